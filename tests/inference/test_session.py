"""Ring buffer, sources and the loop around the stages."""

from __future__ import annotations

import gc
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from listening import RATE, cnn_gru, mini_vgg, music

from genre.audio.blocks import AudioBlocks
from genre.audio.decode import load
from genre.errors import AudioError
from genre.inference.denoise import NoDenoising, SpectralSubtraction
from genre.inference.intake import Intake
from genre.inference.ring import RingBuffer
from genre.inference.session import Books, Moment, Session
from genre.inference.sources import FileSource, Source
from genre.inference.stream import LiveClassifier, LiveSettings, Verdict


def test_ring_gives_what_was_written_in_order() -> None:
    ring = RingBuffer(10)
    got = []
    for first in range(0, 40, 4):
        ring.write(np.arange(first, first + 4, dtype=np.float32))
        if first % 8 == 4:
            got.append(ring.read(0))
    np.testing.assert_array_equal(np.concatenate(got), np.arange(40))
    assert ring.lost == 0


def test_ring_loses_and_counts_what_does_not_fit() -> None:
    ring = RingBuffer(10)
    ring.write(np.arange(8, dtype=np.float32))
    ring.write(np.arange(5, dtype=np.float32))
    assert (ring.lost, ring.free) == (5, 2)
    np.testing.assert_array_equal(ring.read(0), np.arange(8))


def test_ring_between_two_threads() -> None:
    ring = RingBuffer(1000)
    written = np.arange(100_000, dtype=np.float32)

    def write() -> None:
        for first in range(0, len(written), 137):
            block = written[first : first + 137]
            while not ring.wait_for_room(len(block), 1.0):
                pass
            ring.write(block)
        ring.close()

    threading.Thread(target=write).start()
    got = []
    while not (ring.closed and ring.free == 1000):
        got.append(ring.read(0.5))
    np.testing.assert_array_equal(np.concatenate(got), written)


def test_ring_knows_when_samples_came() -> None:
    ring = RingBuffer(100)
    before = time.perf_counter()
    ring.write(np.zeros(10, np.float32))
    between = time.perf_counter()
    ring.write(np.zeros(10, np.float32))
    first, second = ring.arrival(10), ring.arrival(11)
    assert first is not None
    assert second is not None
    assert before <= first <= between <= second
    assert ring.arrival(21) is None


def test_ring_read_waits_no_longer_than_told() -> None:
    began = time.perf_counter()
    assert len(RingBuffer(5).read(0.05)) == 0
    assert 0.04 < time.perf_counter() - began < 2


def session(source: Source, classifier: LiveClassifier, said: list[Verdict], denoiser=None, **options) -> Session:
    intake = Intake(source.sample_rate, RATE, denoiser or NoDenoising(RATE))
    return Session(source, intake, classifier, on_verdict=said.append, **options)


def listened(path: Path, predictor=None, denoiser=None, *, real_time: bool = False, **options):
    said: list[Verdict] = []
    classifier = LiveClassifier(predictor or mini_vgg(), LiveSettings(hop_sec=0.5))
    with FileSource(path, real_time=real_time) as source:
        books = session(source, classifier, said, denoiser, **options).run()
    return books, said


@pytest.mark.parametrize("rate", [RATE, 22050])
def test_a_file_through_the_live_path_is_heard_as_offline(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, music(25.0, rate), rate)
    books, said = listened(path)
    predictor = mini_vgg()
    clips = np.lib.stride_tricks.sliding_window_view(load(path, RATE), RATE)[:: RATE // 2]
    assert len(said) == len(clips) == 49
    np.testing.assert_allclose([v.window for v in said], predictor.probabilities(clips), atol=1e-6)
    assert books.lost_seconds == 0
    assert books.seconds == pytest.approx(25)
    assert books.n_verdicts == 49
    heard = [v.window for v in said if v.decision is not None]
    np.testing.assert_allclose(books.probabilities, np.mean(heard, axis=0))
    assert books.n_unsure + books.by_label.total() + books.n_silent == 49


def test_in_real_time_verdicts_follow_their_windows(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, music(2.2), RATE)
    mini_vgg().probabilities(np.zeros((1, RATE), np.float32))
    began = time.perf_counter()
    books, said = listened(path, real_time=True)
    assert 2.1 < time.perf_counter() - began < 10
    assert len(said) == 3
    assert len(books.latencies) == 3
    assert 0 < books.latency(50) < 1.0
    assert 0 < books.real_time_factor < 1


def test_it_ends_after_so_many_seconds(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, music(9.0), RATE)
    books, said = listened(path, max_seconds=3.0)
    assert books.seconds == 3.0
    assert [v.seconds for v in said] == [1, 1.5, 2, 2.5, 3]


@pytest.mark.parametrize("make", [mini_vgg, cnn_gru])
@pytest.mark.parametrize("wrong", [np.inf, np.nan, 3e38])
def test_a_sample_that_is_no_number_does_no_lasting_harm(tmp_path: Path, make, wrong: float) -> None:
    path, samples = tmp_path / "a.wav", music(5.0)
    samples[2 * RATE + 100] = wrong
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    books, said = listened(path, make())
    assert [verdict.seconds for verdict in said] == list(np.arange(1.0, 5.1, 0.5))
    assert all(np.isfinite([*verdict.window, *verdict.probabilities, verdict.level_db]).all() for verdict in said)
    assert np.isfinite(books.probabilities).all()


class Given(Source):
    """A source that gives half a second at every look."""

    def __init__(self, samples: np.ndarray) -> None:
        super().__init__(RATE)
        self._parts = [samples[first : first + RATE // 2] for first in range(0, len(samples), RATE // 2)]

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def read(self, timeout: float = 0.1) -> np.ndarray | None:
        return self._parts.pop(0) if self._parts else None


def test_it_can_be_stopped_between_two_blocks() -> None:
    said: list[Verdict] = []

    def listen_until_three(verdict: Verdict) -> None:
        said.append(verdict)
        if verdict.seconds == 3.0:
            listening.stop()

    classifier = LiveClassifier(mini_vgg(), LiveSettings(hop_sec=0.5))
    intake = Intake(RATE, RATE, NoDenoising(RATE))
    listening = Session(Given(music(60.0)), intake, classifier, on_verdict=listen_until_three)
    assert listening.run().seconds == 3.0
    assert [verdict.seconds for verdict in said] == [1, 1.5, 2, 2.5, 3]


def test_times_count_from_the_first_sample_with_a_lead_in_too() -> None:
    said: list[Verdict] = []
    moments: list[Moment] = []
    denoiser = SpectralSubtraction(RATE, noise_sec=1.0, n_fft=256, hop_length=64)
    classifier = LiveClassifier(mini_vgg(), LiveSettings(hop_sec=0.5))
    session(Given(music(4.0)), classifier, said, denoiser, on_moment=moments.append).run()
    assert [v.seconds for v in said] == [2, 2.5, 3, 3.5, 4]
    assert moments[0].in_lead_in
    assert not moments[-1].in_lead_in
    assert moments[-1].verdict is said[-1]


class Broken(Source):
    """A source that gives a second of sound and is then unplugged."""

    def start(self) -> None:
        self.ring.write(music(1.2))
        self.failure = "the input device gives no more sound"
        self.ring.close()

    def stop(self) -> None:
        pass


def test_a_source_that_breaks_off_keeps_what_was_heard() -> None:
    said: list[Verdict] = []
    with Broken(RATE) as source:
        books = session(source, LiveClassifier(mini_vgg(), LiveSettings()), said).run()
    assert books.seconds == 1.2
    assert len(said) == 1


def test_a_file_that_cannot_be_decoded_further_ends_with_the_reason(tmp_path: Path, monkeypatch) -> None:
    def broken(blocks: AudioBlocks) -> Iterator[np.ndarray]:
        yield music(1.5)
        raise AudioError("a.wav cannot be decoded further")

    path = tmp_path / "a.wav"
    soundfile.write(path, music(2.0), RATE)
    monkeypatch.setattr(AudioBlocks, "__iter__", broken)
    source = FileSource(path, real_time=False)
    with source:
        assert session(source, LiveClassifier(mini_vgg(), LiveSettings()), []).run().seconds == 1.5
    assert source.failure == "a.wav cannot be decoded further"


@pytest.mark.parametrize("make", [mini_vgg, cnn_gru])
def test_memory_stays_flat_however_long_it_lasts(make) -> None:
    books = Books()
    classifier = LiveClassifier(make(), LiveSettings(hop_sec=1.0, memory_sec=5.0))
    intake = Intake(RATE, RATE, SpectralSubtraction(RATE, n_fft=1024, hop_length=512))
    part = music(10.0)

    def listen(times: int) -> int:
        for _ in range(times):
            for first in range(0, len(part), RATE):
                for verdict in classifier.push(intake.push(part[first : first + RATE])):
                    books.enter(verdict)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    listen(1)
    tracemalloc.start()
    early = listen(1)
    growth = listen(3) - early
    tracemalloc.stop()
    assert growth < 50_000
    assert books.n_verdicts == 5 * 10 - 1  # the last is still in the denoiser
