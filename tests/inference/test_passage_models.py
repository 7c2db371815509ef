"""Models that hear the passage of a clip, too: files, live sound, several models, export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from listening import RATE, awake, mini_vgg, music, pieces, settings

from genre.data.clips import ClipSpec
from genre.data.passages import PASSAGE_COLUMNS, described_passage
from genre.errors import CheckpointError, ConfigError
from genre.inference.denoise import NoDenoising
from genre.inference.export import export_program
from genre.inference.files import predict_file
from genre.inference.predictor import DeepPredictor, Ensemble
from genre.inference.stream import LastPassage, WindowListener
from genre.models.late_fusion import LateFusion

SEC = 4.0


def hears_passages(passage_sec: float = SEC, seed: int = 0) -> DeepPredictor:
    """A network that is of two minds about what it has heard of a passage."""
    shared: dict[str, Any] = settings()
    shared["clips"] = {**shared["clips"], "passage_sec": passage_sec, "hop_sec": 0.5}
    shape = {"widths": (4, 8), "pool_bins": (4, 4), "pool_frames": (2, 2), "hidden": 8, "dense_hidden": 8}
    model = awake(LateFusion(**shape, use_features=False, use_passages=True, **shared), seed)
    model.feature_std[57:] = torch.linspace(1, 30, len(PASSAGE_COLUMNS))
    return DeepPredictor(model)


def test_clips_of_a_file_are_judged_by_the_passage_in_which_they_begin(tmp_path: Path) -> None:
    sound = music(9.7)
    soundfile.write(tmp_path / "a.wav", sound, RATE, subtype="FLOAT")
    predictor = hears_passages()
    prediction = predict_file(tmp_path / "a.wav", predictor, NoDenoising(RATE))
    clips, starts = predictor.clips.cut(sound)
    of_passage = [described_passage(part, RATE) for part in (sound[: 4 * RATE], sound[4 * RATE :])]
    passages = np.stack([of_passage[int(start >= 4 * RATE)] for start in starts])
    np.testing.assert_array_equal(prediction.start_sec, starts / RATE)
    expected = predictor.probabilities(np.ascontiguousarray(clips), passages)
    np.testing.assert_allclose(prediction.clip_probabilities, expected, atol=1e-6)
    other = predictor.probabilities(np.ascontiguousarray(clips), passages[::-1])
    assert np.abs(expected - other).max() > 0.01


def test_a_clip_alone_is_a_passage_by_itself() -> None:
    predictor = hears_passages()
    clips = np.stack([music(1.0, seed=seed) for seed in range(3)])
    passages = np.stack([described_passage(clip, RATE) for clip in clips])
    np.testing.assert_array_equal(predictor.probabilities(clips), predictor.probabilities(clips, passages))


def test_live_answers_rest_on_the_last_passage_and_not_on_the_pieces() -> None:
    predictor = hears_passages()
    sound = music(9.0)
    answers = []
    for seed in (0, 1):
        listener = WindowListener(predictor, hop_sec=0.5)
        answers.append([heard.probabilities for piece in pieces(sound, seed) for heard in listener.push(piece)])
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-6)
    windows = [sound[round(start * RATE) : round(start * RATE) + RATE] for start in np.arange(0, 8.01, 0.5)]
    ends = [1.0] * 6 + [4.0] * 6 + [7.0] * 5  # where the passage of each window ends
    passages = [described_passage(sound[max(0, round((end - SEC) * RATE)) : round(end * RATE)], RATE) for end in ends]
    expected = predictor.probabilities(np.stack(windows), np.stack(passages))
    np.testing.assert_allclose(answers[0], expected, atol=1e-6)


def test_what_was_forgotten_is_in_no_later_passage() -> None:
    spec = ClipSpec(clip_sec=1.0, hop_sec=3.0, sample_rate=RATE, passage_sec=SEC)
    sound = music(7.0)
    last = LastPassage(spec)
    last.push(sound)
    since = 5 * RATE
    found = last.of_windows(np.array([0, 3 * RATE, 6 * RATE]), since=since)
    np.testing.assert_array_equal(found[2], described_passage(sound[since:], RATE))


def test_live_sound_is_held_for_a_passage_and_no_longer() -> None:
    spec = ClipSpec(clip_sec=1.0, hop_sec=0.5, sample_rate=RATE, passage_sec=SEC)
    last = LastPassage(spec)
    last._at = lambda start, since: setattr(last, "_done", start + RATE) or np.zeros(1)  # type: ignore[method-assign]
    for second in range(60):
        last.push(np.zeros(RATE, np.float32))
        last.of_windows(np.array([second * RATE]), since=0)
    assert len(last._held) <= (SEC + 2) * RATE


def test_models_of_other_passages_cannot_be_averaged() -> None:
    both = Ensemble([hears_passages(), mini_vgg()])
    assert both.needs.passage_sec == SEC
    clips = music(1.0)[None]
    alone = [member.probabilities(clips) for member in both.members]
    np.testing.assert_allclose(both.probabilities(clips), np.mean(alone, axis=0))
    with pytest.raises(CheckpointError, match=r"passages of different length \(4 s; 6 s\)"):
        Ensemble([hears_passages(), hears_passages(6.0)])


def test_export_says_that_it_takes_single_clips(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"this model hears passages of 4 s, too; train with model\.use_p"):
        export_program(hears_passages(), tmp_path / "a.pt2")
    assert not list(tmp_path.iterdir())
