"""Passages of sound in pieces are those of the whole, and clips get the features of the one in which they begin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_audio import RATE, Counter, make, noise, write

from genre.data import passages, preparation
from genre.data.clips import ClipSpec
from genre.data.datamodule import DataSettings, GenreDataModule
from genre.data.feature_set import from_datamodule
from genre.data.passages import PASSAGE_COLUMNS, PassageCutter, described_passage
from genre.data.protocols import ArtistProtocol
from genre.data.sources import folder as catalogue_of
from genre.errors import ConfigError
from genre.features.spectrogram import LogMel

SPEC = ClipSpec(clip_sec=1.0, hop_sec=0.5, passage_sec=3.0)


@given(
    n_samples=st.integers(0, 1000),
    length=st.integers(1, 120),
    sizes=st.lists(st.integers(1, 300), min_size=1, max_size=8),
)
@settings(max_examples=100, deadline=None)
def test_passages_of_pieces_lie_end_to_end(n_samples: int, length: int, sizes: list[int]) -> None:
    samples = np.arange(n_samples, dtype=np.float32)
    cutter = PassageCutter(length)
    found, at, turn = [], 0, 0
    while at < n_samples:
        size = sizes[turn % len(sizes)]
        found += cutter.push(samples[at : at + size])
        assert len(cutter._held) < 1.5 * length
        at, turn = at + size, turn + 1
    found += cutter.finish()
    assert cutter.finish() == []
    np.testing.assert_array_equal(np.concatenate([np.zeros(0, np.float32), *found]), samples)
    assert all(len(passage) == length for passage in found[:-1])
    if n_samples:
        assert len(found[-1]) < 1.5 * length
        assert len(found[-1]) >= (length / 2 if len(found) > 1 else 1)


@pytest.mark.parametrize("passage_sec", [2.9, 121, True, "long"])
def test_passages_of_other_lengths_are_refused(passage_sec: object) -> None:
    with pytest.raises(ConfigError, match=r"data\.passage_sec=.* 30 is usual, or null for none"):
        ClipSpec(passage_sec=passage_sec)


def test_a_clip_has_the_features_of_the_passage_in_which_it_begins(tmp_path) -> None:
    sound = noise(7.0)
    files = [write(tmp_path / "audio" / "long.wav", sound), write(tmp_path / "audio" / "short.wav", noise(0.7, 1))]
    store = make(files, tmp_path / "stores", SPEC)
    assert store.passage is not None
    assert store.passage.shape == (len(store), len(PASSAGE_COLUMNS))
    long, short = (number for number, track in sorted(enumerate(store.tracks), key=lambda item: item[1].file))
    samples = sound.astype(np.float32) / 32768
    rows = store.rows_of(long)
    first, rest = described_passage(samples[: 3 * RATE], RATE), described_passage(samples[3 * RATE :], RATE)
    assert not np.array_equal(first, rest)
    for start, row in zip(store.start[rows], store.passage[rows], strict=True):
        np.testing.assert_array_equal(row, first if start < 3 * RATE else rest)
    of_short = described_passage(noise(0.7, 1).astype(np.float32) / 32768, RATE)
    np.testing.assert_array_equal(store.passage[store.rows_of(short)], of_short[None])
    assert [first[0], rest[0], of_short[0]] == pytest.approx([3.0, len(samples) / RATE - 3.0, 0.7], abs=1e-4)


def test_a_store_with_passages_takes_the_rest_from_one_without(tmp_path, monkeypatch) -> None:
    files = [write(tmp_path / "audio" / "one.wav", noise(3.3))]
    plain = make(files, tmp_path / "stores", ClipSpec(clip_sec=1.0, hop_sec=0.5))
    assert plain.passage is None
    computed = Counter(preparation._compute)
    monkeypatch.setattr(preparation, "_compute", computed)
    heard = Counter(passages.passage_features)
    monkeypatch.setattr(passages, "passage_features", heard)
    with_passages = make(files, tmp_path / "stores", SPEC, jobs=1)
    assert (len(computed.calls), len(heard.calls)) == (0, 1)
    assert with_passages.folder != plain.folder
    np.testing.assert_array_equal(with_passages.features, plain.features)
    np.testing.assert_array_equal(with_passages.spectrogram, plain.spectrogram)
    make(files, tmp_path / "stores", SPEC, LogMel(n_mels=9), jobs=1)
    assert len(heard.calls) == 1  # another front end leaves them alone


def test_a_data_module_keeps_every_passage_once_and_gives_it_with_its_clips(make_music, tmp_path) -> None:
    data = GenreDataModule(
        catalogue_of(str(make_music(artists=3))),
        ArtistProtocol(val=0.3, test=0.3),
        LogMel(),
        SPEC,
        DataSettings(tmp_path / "stores", jobs=1),
    )
    data.prepare_data()
    data.setup()
    kept = data.arrays.passages
    assert kept is not None
    assert len(kept.distinct) == len(data.tracks) < len(kept.number)  # one passage a track
    expected = np.hstack([data.arrays.features, kept[:]])
    assert expected.shape[1] == 57 + len(PASSAGE_COLUMNS)
    rows = data.rows("train")
    np.testing.assert_array_equal(data.arrays.gather(rows)["features"], expected[rows])
    of_training = expected[rows].astype(np.float64)
    np.testing.assert_array_equal(data.statistics.feature_mean, of_training.mean(axis=0).astype(np.float32))
    np.testing.assert_allclose(data.statistics.feature_std[1:57], of_training.std(axis=0)[1:57], rtol=1e-6)
    np.testing.assert_array_equal(from_datamodule(data, "passages").values[:, -316:], kept[:][:, 1:])
    np.testing.assert_array_equal(from_datamodule(data, "handcrafted").values, data.arrays.features)
