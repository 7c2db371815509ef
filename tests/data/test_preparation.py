"""From a file to the arrays of its clips: piece by piece, and yet as of the whole."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from small_audio import SMALL, noise

from genre.audio.blocks import BLOCK_VALUES
from genre.audio.damage import Damage
from genre.audio.decode import decode, load
from genre.data.clips import ClipSpec
from genre.data.damaged import DamagedClips
from genre.data.duplicates.prints import fingerprint
from genre.data.listening import CheckedBlocks, content_hash
from genre.data.preparation import KINDS, Job, prepare_track
from genre.errors import AudioError
from genre.features.handcrafted import handcrafted
from genre.features.subfingerprints import subfingerprints

RATE = 44100


def job(path: Path, clips: ClipSpec) -> Job:
    return Job("track.wav", path, "", (), clips, SMALL.settings(), KINDS)


@pytest.fixture(scope="module")
def stereo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some blocks of music with a gap, in two channels."""
    path = tmp_path_factory.mktemp("stereo") / "music.wav"
    samples = np.stack([noise(11.3, 1, RATE), noise(11.3, 2, RATE)], axis=1)
    samples[4 * RATE : 7 * RATE] = 0
    assert len(samples) > 3 * BLOCK_VALUES // 2
    soundfile.write(path, samples, RATE)
    return path


@pytest.mark.parametrize(
    "clips",
    [
        ClipSpec(1.0, hop_sec=0.7),
        ClipSpec(4.0, sample_rate=16000),
        ClipSpec(30.0, short="pad"),
        DamagedClips(clip_sec=1.0, hop_sec=0.7, damage=Damage(noise=1.0, band=1.0), copy=1),
    ],
    ids=["22 kHz", "16 kHz", "short", "damaged"],
)
def test_arrays_are_those_of_the_clips_of_the_whole_track(stereo: Path, clips: ClipSpec) -> None:
    track, arrays = prepare_track(job(stereo, clips))
    samples = load(stereo, clips.sample_rate)
    cut, starts = clips.cut(samples)
    heard = clips.with_sound(samples)
    np.testing.assert_array_equal(arrays["start"], starts[heard])
    np.testing.assert_array_equal(arrays["spectrogram"], SMALL.compute(cut[heard], clips.sample_rate))
    if clips.sample_rate == 22050:
        np.testing.assert_array_equal(arrays["features"], handcrafted(cut[heard]))
    assert (track.n_clips, track.seconds, track.channels) == (heard.sum(), 11.3, 2)
    assert track.content == content_hash(decode(stereo).samples)


def test_the_fingerprint_is_that_of_the_whole_track(stereo: Path) -> None:
    made, recording = fingerprint(stereo, name="track.wav"), decode(stereo)
    np.testing.assert_array_equal(made.words, subfingerprints(recording.samples, RATE))
    assert made.content == content_hash(recording.samples)


@pytest.mark.parametrize(("late", "reason"), [(70_000.0, "too_loud"), (np.nan, "non_finite")])
def test_what_follows_a_sample_out_of_range_counts_for_the_verdict_alone(tmp_path: Path, late, reason: str) -> None:
    samples = 0.1 * np.random.default_rng(0).standard_normal(4 * BLOCK_VALUES).astype(np.float32)
    samples[BLOCK_VALUES + 5] = 5000.0
    samples[3 * BLOCK_VALUES + 5] = late
    soundfile.write(tmp_path / "x.wav", samples, RATE, subtype="FLOAT")
    track, arrays = prepare_track(job(tmp_path / "x.wav", ClipSpec(1.0, hop_sec=4.0)))
    assert (track.reason, arrays) == (reason, {})
    assert ("70000 times" in track.detail) == (reason == "too_loud")
    given: list[np.ndarray] = []
    with pytest.raises(AudioError, match=r"x.wav holds samples"):
        given.extend(CheckedBlocks(tmp_path / "x.wav", name="x.wav"))
    assert sum(block.size for block in given) == BLOCK_VALUES


def prepare_few(path: Path) -> None:
    assert prepare_track(job(path, ClipSpec(1.0, hop_sec=20.0)))[0].usable


def listen(path: Path) -> None:
    assert len(fingerprint(path, name="track.wav").words) > 0


@pytest.mark.parametrize("use", [prepare_few, listen])
def test_memory_does_not_grow_with_the_length_of_a_track(tmp_path: Path, use: Callable[[Path], None]) -> None:
    minute = noise(60.0, rate=RATE)
    peaks = []
    for minutes in (1, 4):
        path = tmp_path / f"{minutes}.wav"
        soundfile.write(path, np.tile(minute, minutes), RATE)
        if not peaks:
            use(path)  # compiles
        tracemalloc.start()
        use(path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    decoded_minute = 4 * len(minute)
    assert peaks[1] < decoded_minute
    assert peaks[1] - peaks[0] < 0.1 * decoded_minute
