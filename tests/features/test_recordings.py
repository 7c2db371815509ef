"""The features of real music: equal to librosa's, and to the published table of GTZAN."""

from __future__ import annotations

import csv
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from feature_signals import RATE
from librosa_reference import SPREAD, librosa_features, librosa_logmel

from genre.audio.decode import load
from genre.features.extract import extract
from genre.features.handcrafted import FEATURE_NAMES, handcrafted
from genre.features.spectrogram import LogMel

CLIP = 3 * RATE
TEMPO = FEATURE_NAMES.index("tempo")
pytestmark = pytest.mark.real_audio


def _recordings(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in {".flac", ".ogg"})


def _compare(path: Path, n_clips: int | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Errors of features in spreads, whether tempi agree, and errors of log-mel in dB, of the first clips of a track.

    A track shorter than a clip is one clip as it is.
    """
    samples = load(path, RATE)
    n = max(1, len(samples) // CLIP)
    clips = samples[: n * CLIP].reshape(n, -1)[:n_clips]
    levels, features = extract(clips, RATE, LogMel())
    expected = np.stack([librosa_features(clip) for clip in clips])
    level_error = [np.abs(level - librosa_logmel(clip)).max() for level, clip in zip(levels, clips, strict=True)]
    same_tempo = features[:, TEMPO] == expected[:, TEMPO].astype(np.float32)
    return np.abs(features - expected) / SPREAD, same_tempo, np.asarray(level_error)


def _assert_equal(compared: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> None:
    errors, same_tempo, level_errors = (np.concatenate(parts) for parts in zip(*compared, strict=True))
    errors[:, TEMPO] = 0
    worst = errors.max(axis=0)
    assert worst.max() < 1e-4, f"{FEATURE_NAMES[worst.argmax()]} is off by {worst.max():.1e} of its spread"
    assert level_errors.max() < 1e-3
    assert same_tempo.mean() >= 0.999


def test_features_and_logmel_of_some_clips_equal_librosas(shared_audio: Path) -> None:
    _assert_equal([_compare(path, n_clips=1) for path in _recordings(shared_audio)[::16]])


@pytest.mark.slow
def test_features_and_logmel_of_every_clip_equal_librosas(shared_audio: Path, request: pytest.FixtureRequest) -> None:
    if request.config.option.markexpr != "slow":
        pytest.skip("takes ten minutes: run it with pytest -m slow")
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as processes:
        _assert_equal(list(processes.map(_compare, _recordings(shared_audio))))


def test_features_of_whole_tracks_equal_the_published_table(shared_audio: Path) -> None:
    """Within 1.3 % of the value or, near zero, of the spread; means of waveforms within 3 % of the spread.

    The table was made from the same recordings by an older librosa.
    """
    with (shared_audio.parent / "tables" / "gtzan_features_30_sec.csv").open(newline="", encoding="utf-8") as stream:
        published = {row["filename"]: [float(row[name]) for name in FEATURE_NAMES] for row in csv.DictReader(stream)}
    spread = np.std(list(published.values()), axis=0)
    originals = [
        path
        for path in _recordings(shared_audio / "gtzan_part")
        if (info := soundfile.info(path)).frames > 29.9 * RATE and info.samplerate == RATE
    ]
    assert len(originals) > 10
    got = np.stack([handcrafted(load(path, RATE)[np.newaxis])[0] for path in originals])
    expected = np.array([published[path.with_suffix(".wav").name] for path in originals])
    scale = np.maximum(np.abs(expected), spread)
    allowed = np.full(57, 0.013)
    for name in ("harmony_mean", "perceptr_mean"):
        column = FEATURE_NAMES.index(name)
        scale[:, column], allowed[column] = spread[column], 0.03
    error = np.abs(got - expected) / scale / allowed
    assert error.max() < 1, f"{FEATURE_NAMES[error.max(axis=0).argmax()]} is too far from the table"
    np.testing.assert_allclose(got[:, TEMPO], expected[:, TEMPO], rtol=1e-6)
