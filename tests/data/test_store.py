"""Prepared stores: what is in them, what shapes them, and what they share."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from small_audio import RATE, SMALL, Counter, contents, make, noise, tracks, unfinished, write

from genre.audio.decode import load
from genre.data import fingerprint, layout, parts, preparation
from genre.data.clips import ClipSpec
from genre.data.preparation import PreparedTrack
from genre.data.store import SourceFile, Store, write_quarantine
from genre.errors import StoreError
from genre.features.handcrafted import handcrafted
from genre.features.spectrogram import LogMel, Stft512


@pytest.fixture
def files(tmp_path):
    return tracks(tmp_path / "audio", 4)


@pytest.fixture
def stores(tmp_path):
    return tmp_path / "stores"


@pytest.fixture
def prepared(monkeypatch):
    """Count the tracks that are computed."""
    counter = Counter(preparation.prepare_track)
    monkeypatch.setattr(parts, "prepare_track", counter)
    return counter.calls


@pytest.fixture
def only_links(monkeypatch):
    """Let nothing be computed."""

    def fail(job):
        raise AssertionError(f"{job.file} is computed again")

    return lambda: monkeypatch.setattr(parts, "prepare_track", fail)


# What is in a store


def test_every_row_is_of_the_very_clip_its_key_names(files, stores):
    spec = ClipSpec(1.0, hop_sec=0.4)
    store = make(files, stores, spec)
    paths = {source.file: source.path for source in files}
    seen = set()
    for row in range(len(store)):
        track, start = store.tracks[store.track[row]], int(store.start[row])
        clip = load(paths[track.file], RATE)[None, start : start + RATE]
        np.testing.assert_array_equal(store.spectrogram[row], SMALL.compute(clip, RATE)[0])
        np.testing.assert_array_equal(store.features[row], handcrafted(clip)[0])
        seen.add((track.file, start))
    assert len(seen) == len(store) == sum(len(spec.starts(round(RATE * (2.5 + 0.1 * n)))) for n in range(4))
    assert store.features.shape == (len(store), 57)
    assert store.features.dtype == np.float32
    assert store.sample_rate == RATE


def test_the_table_says_what_every_file_is(tmp_path, stores):
    samples = noise(2.0, rate=44100)
    source = write(tmp_path / "two channels.wav", np.stack([samples, samples], axis=1), 44100)
    (track,) = make([source], stores).tracks
    assert (track.file, track.seconds, track.sample_rate, track.channels) == ("two channels.wav", 2.0, 44100, 2)
    assert (track.n_clips, track.reason, track.usable) == (2, "", True)


def test_the_front_end_decides_shape_and_type(files, stores):
    store = make(files[:1], stores, frontend=Stft512())
    assert store.spectrogram.dtype == np.uint8
    assert store.spectrogram.shape[1:] == Stft512().shape(RATE, RATE)


def test_tracks_are_resampled_to_the_rate_of_the_clips_and_features_to_their_own(files, stores):
    store = make(files[:1], stores, ClipSpec(1.0, sample_rate=16000))
    assert store.sample_rate == 16000
    np.testing.assert_array_equal(store.start, np.arange(2) * 16000)
    plain = make(files[:1], stores)
    centroid = 4
    assert np.allclose(store.features[:, centroid], plain.features[:, centroid], rtol=0.4)
    assert not np.array_equal(store.features, plain.features)


def test_silent_clips_are_left_out_of_a_track(tmp_path, stores):
    sound, silence = noise(1.0), np.zeros(RATE, dtype=np.int16)
    barely = np.resize(np.array([3, -3], dtype=np.int16), RATE)  # -81 dB
    source = write(tmp_path / "a.wav", np.concatenate([silence, sound, barely, sound, silence]))
    store = make([source], stores)
    np.testing.assert_array_equal(store.start, np.array([1, 3]) * RATE)
    assert store.tracks[0].n_clips == 2
    np.testing.assert_array_equal(store.features, handcrafted(load(source.path, RATE).reshape(5, RATE)[[1, 3]]))


def test_a_track_whose_clips_are_all_silent_is_listed(tmp_path, stores):
    silence = np.zeros(2 * RATE, dtype=np.int16)
    rest = write(tmp_path / "rest.wav", np.concatenate([silence, noise(0.5)]))
    store = make([rest, write(tmp_path / "good.wav", noise(1.0))], stores)
    by_file = {track.file: track for track in store.tracks}
    assert by_file["rest.wav"].reason == "silent"
    assert (
        "rest.wav is silent but for a rest at its end that is less than one clip of 1 s" in by_file["rest.wav"].detail
    )
    assert len(store) == 1


def test_files_that_cannot_be_used_are_listed_with_their_reasons_and_the_rest_is_prepared(tmp_path, files, stores):
    folder = tmp_path / "audio"
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("these are not samples")
    (folder / "folder.wav").mkdir()
    (folder / "link.wav").symlink_to(folder / "nowhere.wav")
    write(folder / "silence.wav", np.zeros(RATE, dtype=np.int16))
    write(folder / "click.wav", np.ones(1, dtype=np.int16))
    soundfile.write(folder / "nan.wav", np.full(RATE, np.nan, dtype=np.float32), RATE, subtype="FLOAT")
    soundfile.write(folder / "huge.wav", noise(1.0).astype(np.float32) * 1e30, RATE, subtype="FLOAT")
    bad = {
        "click.wav": "too_short",
        "empty.wav": "empty",
        "folder.wav": "not_a_file",
        "huge.wav": "too_loud",
        "link.wav": "missing",
        "nan.wav": "non_finite",
        "silence.wav": "silent",
        "text.wav": "undecodable",
    }
    store = make([*files, *(SourceFile(name, folder / name) for name in bad)], stores)
    assert {track.file: track.reason for track in store.tracks if not track.usable} == bad
    assert {track.file for track in store.tracks if track.usable} == {source.file for source in files}
    for track in store.tracks:
        if not track.usable:
            assert track.detail.startswith(track.file)
            assert str(tmp_path) not in track.detail
    assert np.isfinite(store.features).all()
    assert np.isfinite(store.spectrogram).all()


def test_a_file_that_may_not_be_read_is_left_out(files, stores, monkeypatch):
    """Run by root, permissions alone would not hinder."""
    closed = files[1].path
    opened = Path.open

    def guarded(self, *args, **options):
        if self == closed:
            raise PermissionError(13, "Permission denied")
        return opened(self, *args, **options)

    monkeypatch.setattr(Path, "open", guarded)
    store = make(files, stores)
    assert [(t.file, t.reason) for t in store.tracks if not t.usable] == [(files[1].file, "unreadable")]
    monkeypatch.setattr(Path, "open", opened)
    assert all(track.usable for track in make(files, stores).tracks)


def test_a_store_of_nothing_usable_can_be_opened(tmp_path, stores):
    store = make([write(tmp_path / "silence.wav", np.zeros(RATE, dtype=np.int16))], stores)
    assert len(store) == 0
    assert [track.reason for track in store.tracks] == ["silent"]
    assert len(make([], stores)) == 0


def test_short_tracks_are_left_out_when_they_shall_be_dropped(files, stores):
    store = make(files, stores, ClipSpec(2.65, short="drop"))
    reasons = {track.file: track.reason for track in store.tracks}
    assert reasons == {"t00.wav": "too_short", "t01.wav": "too_short", "t02.wav": "", "t03.wav": ""}
    details = {track.file: track.detail for track in store.tracks}
    assert details["t00.wav"].startswith("t00.wav lasts 2.50 s, less than one clip of 2.65 s: choose shorter clips")


def test_equal_samples_have_equal_content_whatever_the_container(tmp_path, stores):
    samples = noise(1.5)
    names = ["a.wav", "b.flac", "c.aiff", "d.au"]
    store = make([write(tmp_path / name, samples) for name in names], stores)
    assert {track.file for track in store.tracks} == set(names)
    assert len({track.content for track in store.tracks}) == 1
    assert len({track.bytes_hash for track in store.tracks}) == 4
    other = make([write(tmp_path / "e.wav", samples[::-1])], stores)
    assert other.tracks[0].content != store.tracks[0].content


def test_one_recording_under_two_names_has_rows_for_both_but_is_computed_once(files, stores, prepared):
    twin = SourceFile("twin.wav", files[0].path.with_name("twin.wav"))
    shutil.copyfile(files[0].path, twin.path)
    store = make([*files, twin], stores)
    assert len(prepared) == 4
    numbers = {track.file: number for number, track in enumerate(store.tracks)}
    own, other = (store.rows_of(numbers[name]) for name in (files[0].file, "twin.wav"))
    assert own != other
    np.testing.assert_array_equal(store.spectrogram[own], store.spectrogram[other])
    np.testing.assert_array_equal(store.start[own], store.start[other])


def test_quarantine_lists_bad_files_by_name_with_their_labels(tmp_path):
    listed = [
        PreparedTrack("z, é.wav", reason="silent", detail="z is silent, alas"),
        PreparedTrack("good.wav", n_clips=3),
        PreparedTrack("a.wav", reason="empty", detail="a is empty"),
    ]
    assert write_quarantine(tmp_path / "q.csv", listed, {"z, é.wav": "jazz", "good.wav": "rock"}) == 2
    with (tmp_path / "q.csv").open(newline="", encoding="utf-8") as stream:
        assert list(csv.reader(stream)) == [
            ["file", "label", "reason", "detail"],
            ["a.wav", "", "empty", "a is empty"],
            ["z, é.wav", "jazz", "silent", "z is silent, alas"],
        ]


# Opening


def _shift(path: Path) -> None:
    array = np.load(path)
    array[-1, 1] += 1
    np.save(path, array)


def _swap(path: Path) -> None:
    array = np.load(path)
    np.save(path, array[[1, 0, *range(2, len(array))]])


def _shorten(path: Path) -> None:
    np.save(path, np.load(path)[:-1])


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _one_clip_more(path: Path) -> None:
    rows = list(csv.reader(path.read_text().splitlines()))
    rows[1][6] = str(int(rows[1][6]) + 1)
    path.write_text("\n".join(map(",".join, rows)))


def _forget_a_column(path: Path) -> None:
    path.write_text("\n".join(line.partition(",")[2] for line in path.read_text().splitlines()))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("features.rows.npy", _shift),
        ("features.rows.npy", _swap),
        ("features.rows.npy", _shorten),
        ("spectrogram.rows.npy", _swap),
        ("spectrogram.npy", _shorten),
        ("spectrogram.npy", _cut),
        ("features.npy", _cut),
        ("features.npy", lambda path: path.write_bytes(b"")),
        ("features.npy", Path.unlink),
        ("clips.npy", _shift),
        ("clips.npy", lambda path: np.save(path, np.arange(3))),
        ("tracks.csv", _one_clip_more),
        ("tracks.csv", _forget_a_column),
        ("tracks.csv", lambda path: path.write_text("")),
        ("store.json", lambda path: path.write_text("{")),
        ("store.json", lambda path: path.write_text("[]")),
        ("store.json", lambda path: path.write_text("{}")),
    ],
)
def test_a_damaged_store_is_not_opened(files, stores, name, damage):
    folder = make(files, stores).folder
    path = folder / name
    copy = path.with_name("copy")
    shutil.copyfile(path, copy)
    path.unlink()
    copy.rename(path)  # arrays are linked: damage only this store's own
    damage(path)
    with pytest.raises(StoreError, match="delete that folder and run again") as caught:
        Store(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_store_that_lost_a_file_without_clips_is_not_opened_under_other_names(files, stores, tmp_path):
    silence = write(tmp_path / "audio" / "silence.wav", np.zeros(RATE, dtype=np.int16))
    folder = make([*files, silence], stores).folder
    table = folder / layout.TRACKS
    table.write_text("".join(line for line in table.read_text().splitlines(True) if "silent" not in line))
    with pytest.raises(StoreError, match="delete that folder and run again"):
        make([*files, silence], stores)


def test_a_store_that_lost_its_settings_is_prepared_again(files, stores):
    folder = make(files, stores).folder
    before = contents(folder)
    (folder / "store.json").unlink()
    make(files, stores)
    assert contents(folder) == before


# What shapes a store


def other_bytes(files, monkeypatch):
    samples = noise(2.5)
    samples[1000] += 1
    write(files[0].path, samples)


CHANGES = {
    "audio": (other_bytes, {}),
    "a track less": (lambda files, _: files.pop(), {}),
    "clip length": (None, {"clips": ClipSpec(2.0)}),
    "hop": (None, {"clips": ClipSpec(1.0, hop_sec=0.5)}),
    "short": (None, {"clips": ClipSpec(1.0, short="pad")}),
    "sample rate": (None, {"clips": ClipSpec(1.0, sample_rate=16000)}),
    "front end": (None, {"frontend": Stft512()}),
    "front end's settings": (None, {"frontend": LogMel(n_mels=8, fmin=20.0)}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_shapes_clips_gives_another_store(files, stores, monkeypatch, change):
    before = make(files, stores).folder
    act, options = CHANGES[change]
    if act is not None:
        act(files, monkeypatch)
    assert make(files, stores, **options).folder != before
    assert before.is_dir()


@pytest.mark.parametrize("kind", preparation.KINDS)
def test_other_code_gives_another_store_and_leaves_the_other_array_alone(files, stores, monkeypatch, kind):
    first = make(files, stores)
    codes = {**fingerprint.code_fingerprints(), kind: "other"}
    monkeypatch.setattr("genre.data.store.code_fingerprints", lambda: codes)
    asked = Counter(preparation.prepare_track)
    monkeypatch.setattr(parts, "prepare_track", asked)
    second = make(files, stores)
    assert second.folder != first.folder
    assert {job.kinds for (job,) in asked.calls} == {(kind,)}
    for other in preparation.KINDS:
        same = os.path.samefile(first.folder / f"{other}.npy", second.folder / f"{other}.npy")
        assert same is (other != kind)


def renamed(files: list[SourceFile]) -> list[SourceFile]:
    """Other labels in a layout by folders: other names in another order, in another place."""
    moved = files[0].path.parent.with_name("elsewhere")
    os.rename(files[0].path.parent, moved)
    return [SourceFile(f"swing/{9 - n}.wav", moved / source.file) for n, source in enumerate(files)]


def test_nothing_else_shapes_it(files, stores, only_links):
    first = make(files, stores, ClipSpec(1.0), LogMel(n_mels=8, fmin=0.0))
    only_links()
    assert make(files[::-1], stores).folder == first.folder
    assert make(files, stores, jobs=2).folder == first.folder
    assert make(files, stores, ClipSpec(1), LogMel(n_mels=8, fmin=0)).folder == first.folder  # type: ignore[arg-type]
    assert make(files, stores, ClipSpec(1.0, hop_sec=1.0)).folder == first.folder
    os.utime(files[0].path)
    assert make(files, stores).folder == first.folder
    again = make(renamed(files), stores)
    assert again.folder == first.folder


def test_renamed_tracks_keep_their_rows(files, stores, tmp_path):
    text = tmp_path / "audio" / "text.wav"
    text.write_text("these are not samples")
    first = make([*files, SourceFile("text.wav", text)], stores)
    rows = {track.content: first.rows_of(number) for number, track in enumerate(first.tracks)}
    names = {track.file: track.content for track in first.tracks}
    files = [*renamed(files), SourceFile("no {words}.wav", tmp_path / "elsewhere" / "text.wav")]
    store = make(files, stores)
    assert sorted(track.file for track in store.tracks) == sorted(source.file for source in files)
    for number, track in enumerate(store.tracks):
        if track.usable:
            assert track.content == names[next(s.path.name for s in files if s.file == track.file)]
            assert store.rows_of(number) == rows[track.content]
        else:
            assert track.detail.startswith("no {words}.wav cannot be decoded")


def test_a_file_that_cannot_be_read_today_leaves_the_store_as_it_is(files, stores, only_links, tmp_path):
    first = make(files, stores)
    only_links()
    link = tmp_path / "audio" / "link.wav"
    link.symlink_to(tmp_path / "nowhere.wav")
    store = make([*files, SourceFile("link.wav", link)], stores)
    assert store.folder == first.folder
    assert store.tracks[-1].reason == "missing"


# What stores share


def test_another_front_end_takes_the_features_from_the_store_that_has_them(files, stores, monkeypatch):
    first = make(files, stores)

    def fail(*_):
        raise AssertionError("the features are computed again")

    monkeypatch.setattr("genre.features.handcrafted.handcrafted", fail)
    monkeypatch.setattr("genre.features.handcrafted.describe", fail)
    monkeypatch.setattr("genre.features.extract.extract", fail)
    second = make(files, stores, frontend=LogMel(n_mels=16))
    assert second.folder != first.folder
    assert os.path.samefile(first.folder / "features.npy", second.folder / "features.npy")
    assert second.spectrogram.shape[1] == 16
    np.testing.assert_array_equal(first.start, second.start)


def test_a_shared_array_is_copied_where_there_are_no_hard_links(files, stores, monkeypatch):
    first = make(files, stores)

    def no_links(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    second = make(files, stores, frontend=LogMel(n_mels=16))
    assert not os.path.samefile(first.folder / "features.npy", second.folder / "features.npy")
    np.testing.assert_array_equal(first.features, second.features)


def test_one_track_more_costs_the_computing_of_that_track(files, stores, tmp_path, prepared):
    make(files[:3], stores)
    prepared.clear()
    store = make(files, stores)
    assert [job.file for (job,) in prepared] == [files[3].file]
    fresh = make(files, tmp_path / "fresh")
    assert contents(store.folder) == contents(fresh.folder)


def test_rows_come_from_several_stores_and_from_the_tracks_left(files, stores, tmp_path, prepared):
    make(files[:2], stores)
    make(files[1:3], stores, frontend=Stft512())
    prepared.clear()
    store = make(files, stores)
    assert {job.file: job.kinds for (job,) in prepared} == {
        "t02.wav": ("spectrogram",),
        "t03.wav": ("spectrogram", "features"),
    }
    assert contents(store.folder) == contents(make(files, tmp_path / "fresh").folder)


def test_rows_and_sentences_from_elsewhere_go_by_the_names_of_today(files, stores, tmp_path):
    text = tmp_path / "audio" / "text.wav"
    text.write_text("these are not samples")
    make([*files, SourceFile("old name.wav", text)], stores)
    twins = [SourceFile("new name.wav", text), SourceFile("newer.wav", text)]
    store = make([*files[1:], *twins], stores)
    bad = {track.file: track.detail for track in Store(store.folder).tracks if not track.usable}
    assert set(bad) == {"new name.wav", "newer.wav"}
    assert all(detail.startswith(f"{file} cannot be decoded") for file, detail in bad.items())
    assert contents(store.folder) == contents(make([*files[1:], *twins], tmp_path / "fresh").folder)


def test_a_damaged_store_gives_nothing(files, stores, tmp_path):
    donor = make(files, stores).folder
    for name in ("features.npy", "features.rows.npy"):
        (donor / name).write_bytes(b"damaged")
    second = make(files, stores, frontend=LogMel(n_mels=16))
    assert contents(second.folder) == contents(make(files, tmp_path / "fresh", frontend=LogMel(n_mels=16)).folder)


# How it is made


def test_the_bytes_do_not_depend_on_the_number_of_processes_or_on_the_company(tmp_path):
    files = tracks(tmp_path / "audio", 6, seconds=1.2)
    one = make(files, tmp_path / "one", jobs=1)
    two = make(files, tmp_path / "two", jobs=2)
    assert contents(one.folder) == contents(two.folder)
    alone = make(files[3:4], tmp_path / "alone")
    rows = one.rows_of(next(number for number, track in enumerate(one.tracks) if track.file == files[3].file))
    np.testing.assert_array_equal(alone.spectrogram, one.spectrogram[rows])
    np.testing.assert_array_equal(alone.features, one.features[rows])


def test_blocks_of_clips_do_not_show(files, tmp_path, monkeypatch):
    whole = make(files, tmp_path / "whole", ClipSpec(1.0, hop_sec=0.3))
    monkeypatch.setattr(preparation, "BLOCK_CLIPS", 2)
    blocks = make(files, tmp_path / "blocks", ClipSpec(1.0, hop_sec=0.3))
    assert contents(whole.folder) == contents(blocks.folder)


def test_progress_is_told_when_work_begins_and_after_every_track(files, stores):
    told = []
    make(files, stores, progress=lambda *numbers: told.append(numbers))
    assert told == [(0, 4, 0), (1, 4, 2), (2, 4, 4), (3, 4, 6), (4, 4, 8)]
    make(files, stores, progress=lambda *numbers: told.append(numbers))
    make(files[1:], stores, progress=lambda *numbers: told.append(numbers))  # its rows are in the store of all
    assert len(told) == 5


def test_nothing_is_left_of_the_work(files, stores):
    make(files, stores)
    assert unfinished(stores) == []


def test_settings_are_kept_in_words(files, stores):
    settings = json.loads((make(files, stores).folder / layout.SETTINGS).read_text())
    assert settings["clips"] == {"sample_rate": RATE, "length": RATE, "hop": RATE, "short": "repeat"}
    assert settings["frontend"] == SMALL.settings()
    assert (settings["n_tracks"], settings["n_clips"]) == (4, 8)


def test_users_files_are_not_touched(files, stores):
    before = {source.file: (source.path.read_bytes(), source.path.stat().st_mtime_ns) for source in files}
    make(files, stores)
    assert {s.file: (s.path.read_bytes(), s.path.stat().st_mtime_ns) for s in files} == before
    assert sorted(path.name for path in files[0].path.parent.iterdir()) == sorted(before)
