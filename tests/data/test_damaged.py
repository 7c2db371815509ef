"""Damaged copies: stores of their own whose rows are those of the clean one, and only training sees them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from small_audio import ONE_SECOND, RATE, SMALL, contents, make, module, noise, tracks, write
from small_music import write_music

import genre
from genre.audio.damage import Damage
from genre.audio.decode import load
from genre.data.batches import ClipBatchSampler, ClipVersions, RandomCrops
from genre.data.clips import ClipSpec
from genre.data.damaged import DamagedClips
from genre.data.datamodule import DataSettings, GenreDataModule
from genre.data.fingerprint import code_fingerprints, damage_fingerprint, package_fingerprints
from genre.data.protocols import ArtistProtocol
from genre.data.sources import folder as catalogue_of
from genre.data.store import SourceFile
from genre.errors import ConfigError, StoreError
from genre.features.handcrafted import handcrafted

NOISY = Damage(noise=1.0, band=1.0)
EVERYTHING = Damage(room=1.0, band=1.0, noise=1.0, rate=1.0, codec=1.0)


def damaged(damage: Damage = NOISY, copy: int = 1, clips: ClipSpec = ONE_SECOND) -> DamagedClips:
    return DamagedClips(**clips.settings(), damage=damage, copy=copy)


@pytest.fixture
def files(tmp_path):
    return tracks(tmp_path / "audio", 3)


@pytest.fixture
def stores(tmp_path):
    return tmp_path / "stores"


# Stores


def test_rows_starts_and_health_are_those_of_the_clean_store(files, stores):
    text = files[0].path.with_name("text.wav")
    text.write_text("these are not samples")
    beyond = files[0].path.with_name("beyond.wav")
    soundfile.write(beyond, np.float32(1e30) * noise(2), RATE, subtype="FLOAT")
    listed = [*files, SourceFile("text.wav", text), SourceFile("beyond.wav", beyond)]
    spec = ClipSpec(1.0, hop_sec=0.4)
    clean, other = make(listed, stores, spec), make(listed, stores, damaged(EVERYTHING, clips=spec))
    assert other.folder != clean.folder
    assert other.tracks == clean.tracks
    assert {track.reason for track in other.tracks} == {"", "undecodable", "too_loud"}
    np.testing.assert_array_equal(other.track, clean.track)
    np.testing.assert_array_equal(other.start, clean.start)
    assert not np.array_equal(other.spectrogram, clean.spectrogram)


def test_noise_over_a_silent_clip_makes_no_row_of_it(tmp_path, stores):
    silence = np.zeros(RATE, dtype=np.int16)
    source = write(tmp_path / "a.wav", np.concatenate([silence, noise(1.0), silence, noise(1.0)]))
    clean, other = make([source], stores), make([source], stores, damaged())
    assert clean.start.tolist() == other.start.tolist() == [RATE, 3 * RATE]
    assert not np.array_equal(other.spectrogram, clean.spectrogram)


def test_spectrogram_and_features_are_those_of_the_same_damaged_samples(files, stores):
    clips = damaged(EVERYTHING)
    store = make(files, stores, clips)
    paths = {source.file: source.path for source in files}
    for number, track in enumerate(store.tracks):
        cut, starts = clips.cut(load(paths[track.file], RATE))
        rows = store.rows_of(number)
        np.testing.assert_array_equal(store.spectrogram[rows], SMALL.compute(cut, RATE))
        np.testing.assert_array_equal(store.features[rows], handcrafted(cut))
        np.testing.assert_array_equal(store.start[rows], starts)


def test_the_whole_track_is_damaged_before_it_is_cut(files):
    samples = load(files[0].path, RATE)
    overlapping, _ = damaged(EVERYTHING, clips=ClipSpec(1.0, hop_sec=0.5)).cut(samples)
    np.testing.assert_array_equal(overlapping[0, RATE // 2 :], overlapping[1, : RATE // 2])


@pytest.mark.parametrize(
    "clips",
    [damaged(copy=2), damaged(EVERYTHING), damaged(Damage(noise=1.0, band=1.0, noise_snr_db=(12.0, 39.0)))],
    ids=["another copy", "another damage", "another range"],
)
def test_what_shapes_the_damage_gives_another_store(files, stores, clips):
    first, other = make(files, stores, damaged()), make(files, stores, clips)
    assert other.folder != first.folder
    assert not np.array_equal(other.features, first.features)


def test_names_order_processes_and_containers_do_not_matter(files, stores, tmp_path):
    first = make(files, stores, damaged(EVERYTHING))
    flac = [write(tmp_path / "other" / f"{9 - n}.flac", noise(2.5 + 0.1 * n, n)) for n in range(len(files))]
    other = make(flac[::-1], tmp_path / "fresh", damaged(EVERYTHING), jobs=2)
    places = {track.content: number for number, track in enumerate(other.tracks)}
    for number, track in enumerate(first.tracks):
        rows, others = first.rows_of(number), other.rows_of(places[track.content])
        np.testing.assert_array_equal(first.spectrogram[rows], other.spectrogram[others])
        np.testing.assert_array_equal(first.features[rows], other.features[others])


def test_the_clean_store_is_what_it_is_without_copies(files, stores, tmp_path):
    alone = make(files, tmp_path / "alone")
    make(files, stores, damaged())
    clean = make(files, stores)
    assert clean.folder.name == alone.folder.name
    assert contents(clean.folder) == contents(alone.folder)


def test_a_copy_of_nothing_is_like_the_clean_clips(files, stores):
    clean, copy = make(files, stores), make(files, stores, damaged(Damage()))
    np.testing.assert_array_equal(copy.spectrogram, clean.spectrogram)
    np.testing.assert_array_equal(copy.features, clean.features)


@pytest.mark.parametrize("file", ["audio/damage.py", "data/damaged.py"])
def test_the_code_of_the_damage_counts_for_copies_only(tmp_path, file):
    package = Path(
        shutil.copytree(Path(genre.__file__).parent, tmp_path / "genre", ignore=shutil.ignore_patterns("__pycache__"))
    )
    before = damage_fingerprint(package)
    assert before == damage_fingerprint()
    with (package / file).open("a", encoding="utf-8") as stream:
        stream.write("\n\nSOMETHING = 1\n")
    damage_fingerprint.cache_clear()
    assert damage_fingerprint(package) != before
    assert package_fingerprints(package) == code_fingerprints()


def test_another_front_end_takes_the_features_of_the_copy_from_its_other_store(files, stores):
    from genre.features.spectrogram import LogMel

    first = make(files, stores, damaged())
    second = make(files, stores, damaged(), LogMel(n_mels=16))
    assert os.path.samefile(first.folder / "features.npy", second.folder / "features.npy")


# Versions of clips in batches


def apart(rows: np.ndarray) -> RandomCrops:
    """Crops of tracks of one clip each: every epoch sees all of them."""
    return RandomCrops(rows, track=rows, start=np.zeros_like(rows), length=4)


def deal(*, world: int = 1, epoch: int = 0, seed: int = 0, versions: int = 3, rows: int = 30) -> list[list[int]]:
    """Return the rows of every process."""
    dealt = []
    for rank in range(world):
        sampler = ClipBatchSampler(
            apart(np.arange(rows) + 7), batch_size=4, seed=seed, rank=rank, world_size=world, versions=versions
        )
        sampler.set_epoch(epoch)
        dealt.append([int(row) for batch in sampler for row in batch])
    return dealt


def test_every_clip_comes_once_an_epoch_in_one_of_its_versions():
    (rows,) = deal()
    assert sorted(row // 3 for row in rows) == list(range(7, 37))
    assert {row % 3 for row in rows} == {0, 1, 2}


def test_versions_are_drawn_equally_often_and_anew_every_epoch():
    drawn = np.array([sorted(deal(epoch=epoch)[0]) for epoch in range(40)]) % 3
    shares = np.bincount(drawn.ravel(), minlength=3) / drawn.size
    np.testing.assert_allclose(shares, 1 / 3, atol=0.05)
    assert all(len(set(clip)) == 3 for clip in drawn.T)
    assert deal(epoch=1) == deal(epoch=1)
    assert deal(epoch=1, seed=1) != deal(epoch=1)


def test_the_order_of_clips_does_not_depend_on_the_number_of_versions():
    assert [row // 3 for row in deal()[0]] == deal(versions=1)[0]


@pytest.mark.parametrize("world", [2, 3])
def test_a_clip_has_the_same_version_whichever_process_gets_it(world):
    one = set(deal(epoch=2)[0])
    assert {row for rows in deal(world=world, epoch=2) for row in rows} == one


def test_evaluation_knows_no_versions():
    sampler = ClipBatchSampler(np.arange(5), batch_size=3, versions=4)
    assert [batch.tolist() for batch in sampler] == [[0, 1, 2], [3, 4]]


# The data module


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_music(tmp_path_factory.mktemp("music"), artists=3)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return tmp_path_factory.mktemp("stores")


def test_a_training_batch_is_gathered_from_clean_clips_and_copies(folder, shared):
    data = module(folder, shared, damage=NOISY, copies=2)
    clean = module(folder, shared)
    files = [SourceFile(track.file, track.path) for track in data.catalogue.tracks]
    copies = [clean.arrays, *(make(files, shared, damaged(copy=copy)) for copy in (1, 2))]
    loader = data.train_dataloader()
    seen = set()
    for epoch in range(4):
        loader.sampler.set_epoch(epoch)
        for rows, batch in zip(loader.sampler, loader, strict=True):
            for position, row in enumerate(rows):
                clip, version = divmod(int(row), 3)
                source = copies[version]
                np.testing.assert_array_equal(batch["spectrogram"][position, 0], source.spectrogram[clip])
                np.testing.assert_array_equal(batch["features"][position], source.features[clip])
                for name in ("label", "track", "start"):
                    assert batch[name][position] == getattr(clean.arrays, name)[clip]
                seen.add(version)
    assert seen == {0, 1, 2}


def test_only_training_sees_copies(folder, shared):
    data, clean = module(folder, shared, damage=NOISY, copies=1), module(folder, shared)
    for side in ("val", "test"):
        for one, other in zip(getattr(data, f"{side}_dataloader")(), clean.loader(side), strict=True):
            assert all(torch.equal(one[name], other[name]) for name in other)
    for one, other in zip(data.loader("train"), clean.loader("train"), strict=True):
        assert torch.equal(one["spectrogram"], other["spectrogram"])
    statistics, others = data.statistics, clean.statistics
    np.testing.assert_array_equal(statistics.spectrogram_mean, others.spectrogram_mean)
    np.testing.assert_array_equal(statistics.feature_std, others.feature_std)
    assert data.store_name == clean.store_name


def test_of_copies_only_clips_of_the_training_side_are_read(folder, shared):
    data = module(folder, shared, damage=NOISY, copies=2)
    loader = data.train_dataloader()
    read = set()
    for epoch in range(6):
        loader.sampler.set_epoch(epoch)
        read |= {int(row) // 3 for rows in loader.sampler for row in rows}
    assert read == set(data.rows("train").tolist())


def test_without_copies_nothing_is_prepared_or_gathered_anew(folder, shared, monkeypatch):
    module(folder, shared)
    monkeypatch.setattr("genre.data.store.build", None)
    data = module(folder, shared, damage=NOISY, copies=0)
    assert data.train_dataloader().dataset.arrays is data.arrays


def test_copies_on_disk_and_in_memory_are_the_same(folder, shared):
    held, mapped = (module(folder, shared, damage=NOISY, copies=1, in_memory=held) for held in (True, False))
    assert not isinstance(held._versions.versions[1].spectrogram, np.memmap)
    assert isinstance(mapped._versions.versions[1].spectrogram, np.memmap)
    for one, other in zip(held.train_dataloader(), mapped.train_dataloader(), strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_batch_of_versions_keeps_the_order_of_its_rows(folder, shared):
    data = module(folder, shared, damage=NOISY, copies=2)
    rows = np.array([5, 3, 10, 2, 4, 3])
    batch = data._versions.gather(rows)
    for position, row in enumerate(rows):
        single = data._versions.gather(rows[position : position + 1])
        assert all(torch.equal(batch[name][position], single[name][0]) for name in batch), row
    assert len(data._versions) == 3 * len(data.arrays)
    assert isinstance(data._versions, ClipVersions)


def test_an_audio_file_that_changes_between_the_stores_is_noticed(make_music, tmp_path):
    folder = make_music(artists=3)
    data = GenreDataModule(
        catalogue_of(str(folder)),
        ArtistProtocol(),
        SMALL,
        ONE_SECOND,
        DataSettings(store_dir=tmp_path / "stores", damage=NOISY, copies=1),
    )
    data._open_store()
    write(folder / "low" / "low.0.0.wav", noise(5.0))
    with pytest.raises(StoreError, match="changed while they were prepared"):
        data.setup()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"copies": 2}, "damage.copies=2 asks for copies that nothing damages; choose damage=microphone"),
        ({"copies": -1, "damage": NOISY}, "damage.copies=-1 is not a number"),
        ({"copies": 1.5, "damage": NOISY}, "damage.copies=1.5 is not a number"),
        ({"copies": True, "damage": NOISY}, "damage.copies=True is not a number"),
    ],
)
def test_a_wrong_number_of_copies_is_one_sentence(folder, shared, options, sentence):
    with pytest.raises(ConfigError) as caught:
        module(folder, shared, **options)
    assert sentence in str(caught.value)
