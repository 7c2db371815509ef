"""Decoding and resampling in pieces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from small_music import tone

from genre.audio import blocks
from genre.audio.blocks import AudioBlocks
from genre.audio.decode import Resampler, decode, resample
from genre.audio.health import Extent
from genre.errors import AudioError


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_blocks_are_the_recording(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, np.column_stack([tone(440, 2.0), tone(660, 2.0, seed=1)]), 22050)
    whole = decode(path)
    monkeypatch.setattr(blocks, "BLOCK_VALUES", 5000)
    parts = AudioBlocks(path)
    given = list(parts)
    assert max(map(len, given)) <= 2500
    np.testing.assert_array_equal(np.concatenate(given), whole.samples)
    assert (parts.sample_rate, parts.channels, parts.truncated) == (22050, 2, False)


def test_blocks_of_a_file_that_breaks_are_what_can_be_decoded(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, tone(440, 5.0), 22050)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2000] = b"\xff" * 2000
    path.write_bytes(data)
    whole = decode(path)
    assert whole.truncated
    monkeypatch.setattr(blocks, "BLOCK_VALUES", 8192)  # blocks are given before the break is met
    parts = AudioBlocks(path)
    np.testing.assert_array_equal(np.concatenate(list(parts)), whole.samples)
    assert parts.truncated


def test_no_blocks_of_what_is_no_audio(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF" + bytes(200))
    with pytest.raises(AudioError, match="cannot be decoded"):
        AudioBlocks(tmp_path / "a.wav")


@pytest.mark.parametrize("rate", [22050, 44100, 48000, 16000])
def test_resampled_pieces_are_the_resampled_whole(rate: int) -> None:
    samples = tone(440, 3.0, rate)
    resampler = Resampler(rate, 22050)
    pieces = [resampler.push(samples[at : at + 1234]) for at in range(0, len(samples), 1234)]
    np.testing.assert_array_equal(np.concatenate([*pieces, resampler.finish()]), resample(samples, rate, 22050))


def test_extent_of_blocks_is_that_of_the_whole() -> None:
    samples = tone(440, 1.0)
    extent = Extent()
    for at in range(0, len(samples), 1000):
        extent = extent.with_block(samples[at : at + 1000])
    assert extent == Extent().with_block(samples)
    assert extent.n_samples == len(samples)
    bad = Extent().with_block(np.array([0, np.nan], np.float32)).with_block(samples)
    assert np.isnan(bad.amplitude)
