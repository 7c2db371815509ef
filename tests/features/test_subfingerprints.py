"""Audio fingerprints: what they keep of a recording, and what does not matter to them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from tunes import tune

from genre.audio.decode import resample
from genre.features.subfingerprints import (
    FRAME,
    HIGHEST_HZ,
    HOP,
    LOWEST_HZ,
    N_BANDS,
    SAMPLE_RATE,
    SILENCE,
    SubfingerprintStream,
    seconds,
    subfingerprints,
)


@pytest.fixture(scope="module")
def music() -> np.ndarray:
    return tune(4.0, seed=1)


def bit_errors(one: np.ndarray, other: np.ndarray) -> float:
    n = min(len(one), len(other))
    return float(np.bitwise_count(one[:n] ^ other[:n]).mean() / 32)


def test_a_word_is_what_the_paper_says() -> None:
    samples = tune(1.0, seed=2, sample_rate=SAMPLE_RATE)
    edges = np.round(np.geomspace(LOWEST_HZ, HIGHEST_HZ, N_BANDS + 1) * FRAME / SAMPLE_RATE).astype(int)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)

    def energies(frame: int) -> list[float]:
        power = np.abs(np.fft.rfft(samples[frame * HOP : frame * HOP + FRAME] * window)) ** 2
        return [power[low:high].sum() for low, high in pairwise(edges)]

    number = 7
    before, now = energies(number), energies(number + 1)
    bits = [(now[m] - now[m + 1]) - (before[m] - before[m + 1]) > 0 for m in range(32)]
    assert subfingerprints(samples, SAMPLE_RATE)[number] == sum(1 << m for m, bit in enumerate(bits) if bit)


def test_there_is_a_word_for_every_hop_after_the_first_frame(music: np.ndarray) -> None:
    n_samples = round(4.0 * SAMPLE_RATE)
    words = subfingerprints(music, 22050)
    assert words.dtype == np.uint32
    assert len(words) == (n_samples - FRAME) // HOP
    assert seconds(len(words)) == pytest.approx(4.0 - FRAME / SAMPLE_RATE, abs=HOP / SAMPLE_RATE)


@pytest.mark.parametrize("size", [HOP - 1, FRAME, 10_000, 50_000])
@pytest.mark.parametrize("n_samples", [FRAME + HOP, 100 * FRAME + 7])
def test_words_of_pieces_are_those_of_the_whole(size: int, n_samples: int) -> None:
    samples = np.random.default_rng(0).normal(0.0, 0.1, n_samples).astype(np.float32)
    samples[50 * FRAME : 60 * FRAME] *= 1e-6
    stream = SubfingerprintStream()
    for at in range(0, n_samples, size):
        stream.push(samples[at : at + size])
    words = stream.finish()
    np.testing.assert_array_equal(words, subfingerprints(samples, SAMPLE_RATE))
    assert len(words) == (n_samples - FRAME) // HOP
    assert (words == SILENCE).any() == (n_samples > 60 * FRAME)


def test_level_and_sample_rate_hardly_matter(music: np.ndarray) -> None:
    words = subfingerprints(music, 22050)
    assert bit_errors(words, subfingerprints(0.03 * music, 22050)) < 0.001
    assert bit_errors(words, subfingerprints(resample(music, 22050, 16000), 16000)) < 0.01
    assert bit_errors(words, subfingerprints(resample(music, 22050, 44100), 44100)) < 0.01


@pytest.mark.parametrize("late", [0, HOP // 4, HOP // 2])
def test_where_an_excerpt_begins_hardly_matters(music: np.ndarray, late: int) -> None:
    samples = resample(music, 22050, SAMPLE_RATE)
    words = subfingerprints(samples, SAMPLE_RATE)
    excerpt = subfingerprints(samples[100 * HOP + late :], SAMPLE_RATE)
    assert bit_errors(words[100:], excerpt) < (0.12 if late else 0.001)


def test_other_music_differs_in_half_of_the_bits(music: np.ndarray) -> None:
    assert bit_errors(subfingerprints(music, 22050), subfingerprints(tune(4.0, seed=3), 22050)) == pytest.approx(
        0.5, abs=0.06
    )


def test_silence_says_nothing(music: np.ndarray) -> None:
    gap = np.concatenate([music, np.zeros(22050, np.float32), music])
    words = subfingerprints(gap, 22050)
    middle = round((4.5 - FRAME / SAMPLE_RATE / 2) * SAMPLE_RATE / HOP)
    assert (words[middle - 10 : middle + 10] == SILENCE).all()
    assert (words != SILENCE).mean() > 0.8
    assert (subfingerprints(np.zeros(22050, np.float32), 22050) == SILENCE).all()


def test_a_recording_of_less_than_two_frames_has_no_words() -> None:
    assert len(subfingerprints(np.zeros(0, np.float32), 22050)) == 0
    assert len(subfingerprints(tune(0.3, seed=0), 22050)) == 0


def test_samples_beyond_all_bounds_do_no_harm() -> None:
    assert len(subfingerprints(np.full(22050, 1e30, np.float32), 22050)) > 0
