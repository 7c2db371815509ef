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
from genre.inference.stream import LastPassage, LiveClassifier, LiveSettings, Verdict, WindowListener
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
    before = [last.of_window(start, since=0) for start in (0, 3 * RATE)]
    np.testing.assert_array_equal(last.of_window(4 * RATE, since=since), before[1])  # not of new sound alone
    np.testing.assert_array_equal(
        last.of_window(5 * RATE, since=since), described_passage(sound[since : 6 * RATE], RATE)
    )
    np.testing.assert_array_equal(last.of_window(6 * RATE, since=since), described_passage(sound[since:], RATE))


def verdicts_of(sound: np.ndarray, size_sec: float) -> list[Verdict]:
    """What is shown of sound that comes in pieces of so many seconds."""
    live = LiveClassifier(hears_passages(), LiveSettings(hop_sec=0.5, memory_sec=2.0))
    length = round(size_sec * RATE)
    return [one for first in range(0, len(sound), length) for one in live.push(sound[first : first + length])]


def interrupted(seconds: float) -> np.ndarray:
    """Music of so many seconds, silence of 1.9 s, other music."""
    silence = np.zeros(round(1.9 * RATE), np.float32)
    return np.concatenate([music(seconds), silence, 0.3 * music(5.0)[::-1]]).astype(np.float32)


@pytest.mark.parametrize("size_sec", [0.5, 3.0, 4.2, 60.0])
def test_live_answers_around_a_silence_do_not_depend_on_the_pieces(size_sec: float) -> None:
    expected, found = (verdicts_of(interrupted(8.2), size) for size in (0.1, size_sec))
    assert [(one.end, one.state) for one in found] == [(one.end, one.state) for one in expected]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.window, other.window, atol=1e-6)
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-6)


@pytest.mark.parametrize("seconds", [8.2, 9.4])
def test_after_a_silence_nothing_is_heard_of_the_music_before(seconds: float) -> None:
    noise = np.random.default_rng(3).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)
    music_before = interrupted(seconds)
    noise_before = np.concatenate([noise, music_before[len(noise) :]])
    one, other = (
        [
            verdict
            for verdict in verdicts_of(sound, 0.1)
            if verdict.state != "silence" and verdict.end > len(noise) + 1.9 * RATE
        ]
        for sound in (music_before, noise_before)
    )
    assert len(one) == len(other) > 5
    for verdict, same in zip(one, other, strict=True):
        np.testing.assert_allclose(verdict.probabilities, same.probabilities, atol=1e-6)


def test_live_sound_is_held_for_a_passage_and_no_longer() -> None:
    spec = ClipSpec(clip_sec=1.0, hop_sec=0.5, sample_rate=RATE, passage_sec=SEC)
    last = LastPassage(spec)
    for second in range(12):
        last.push(np.zeros(RATE, np.float32))
        last.of_window(second * RATE, since=0)
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
