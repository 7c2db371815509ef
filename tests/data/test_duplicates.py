"""Tracks that hold one recording: found, listed, and kept on one side."""

from __future__ import annotations

import csv
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tunes import tune

from genre.audio.decode import decode, resample
from genre.data.clips import ClipSpec
from genre.data.content import file_digest
from genre.data.datamodule import DataSettings, GenreDataModule
from genre.data.duplicates import (
    IDENTICAL,
    SAME_RECORDING,
    AudioFile,
    Duplicate,
    duplicates_among,
    identical,
    prints,
    recordings,
)
from genre.data.duplicates.__main__ import main
from genre.data.duplicates.search import FEWEST_WORDS, compare, find_matches, most_bit_errors
from genre.data.protocols import ClipRandomProtocol, TrackProtocol
from genre.data.sources import folder
from genre.errors import ConfigError, DataError, GenreError
from genre.features.spectrogram import LogMel
from genre.features.subfingerprints import seconds, subfingerprints

RATE = 22050
COPIES = {
    "mp3": lambda x: (x, RATE, {"format": "MP3", "compression_level": 0.9, "bitrate_mode": "CONSTANT"}),
    "ogg": lambda x: (x, RATE, {"format": "OGG", "subtype": "VORBIS", "compression_level": 0.9}),
    "level": lambda x: (0.1 * x, RATE, {"format": "WAV", "subtype": "PCM_16"}),
    "rate": lambda x: (resample(x, RATE, 16000), 16000, {"format": "WAV", "subtype": "PCM_16"}),
}


def words(samples: np.ndarray, rate: int = RATE) -> np.ndarray:
    return subfingerprints(samples, rate)


def audio_files(root: Path) -> list[AudioFile]:
    paths = sorted(path for path in root.rglob("*") if path.suffix in {".wav", ".mp3", ".ogg", ".flac"})
    return [AudioFile(path.relative_to(root).as_posix(), path, file_digest(path)) for path in paths]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


# --- the search -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def originals() -> list[np.ndarray]:
    return [tune(8.0, seed) for seed in range(12)]


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("excerpt", [None, (4.321, 2.3)], ids=["whole", "excerpt"])
def test_copies_are_found_and_nothing_else(originals, tmp_path: Path, way: str, excerpt) -> None:
    start, length = excerpt or (0.0, 8.0)
    copies = []
    for number, samples in enumerate(originals[:6]):
        cut = samples[round(start * RATE) : round((start + length) * RATE)]
        changed, rate, form = COPIES[way](cut)
        path = tmp_path / f"{number}.{form['format'].lower()}"
        soundfile.write(path, changed, rate, **form)
        recording = decode(path)
        copies.append(words(recording.samples, recording.sample_rate))
    found = find_matches([*map(words, originals), *copies])
    assert [(match.one, match.other) for match in found] == [(number, 12 + number) for number in range(6)]
    delay = 0.08 if way == "mp3" else 0.02  # an MP3 encoder puts a little silence before the music
    assert all(abs(seconds(match.offset) - start) < delay for match in found)
    assert all(match.bit_errors < 0.25 for match in found)


def test_overlapping_excerpts_are_found_with_their_offset(originals) -> None:
    one, other = originals[0][: 5 * RATE], originals[0][2 * RATE :]
    (match,) = find_matches([words(other), words(originals[1]), words(one)])
    assert (match.one, match.other) == (0, 2)
    assert seconds(match.offset) == pytest.approx(-2.0, abs=0.02)
    assert seconds(match.overlap) == pytest.approx(3.0, abs=0.4)
    assert compare(words(other), words(one), match.offset) == (match.overlap, match.bit_errors)


def test_a_short_overlap_has_to_agree_better() -> None:
    assert most_bit_errors(FEWEST_WORDS - 1) < 0
    assert most_bit_errors(FEWEST_WORDS) < most_bit_errors(256) < most_bit_errors(2500) == 0.35


def test_silence_and_nothing_match_nothing() -> None:
    silent = words(np.zeros(5 * RATE, np.float32))
    assert find_matches([silent, silent, words(np.zeros(10, np.float32))]) == ()
    assert find_matches([]) == ()


def test_many_copies_are_joined(originals) -> None:
    rng = np.random.default_rng(0)
    copies = [words(originals[0] + rng.normal(0, 0.002, len(originals[0])).astype(np.float32)) for _ in range(40)]
    pairs = [Duplicate(m.one, m.other, SAME_RECORDING, 0.0, 0.0, 1.0) for m in find_matches(copies)]
    assert len(set(recordings([str(number) for number in range(40)], pairs))) == 1


def test_the_search_in_parts_finds_the_same(originals, monkeypatch: pytest.MonkeyPatch) -> None:
    prints_of = [words(samples) for samples in originals[:4]] + [words(originals[2][RATE:])]
    whole = find_matches(prints_of)
    monkeypatch.setattr("genre.data.duplicates.search.ENTRIES_AT_ONCE", 500)
    assert sum(map(len, prints_of)) > 500  # so that there are several parts
    assert find_matches(prints_of) == whole


def random_words(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 2**32, n, dtype=np.uint32)


def test_copies_among_random_words_are_found_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    recordings = [random_words(seed, int(n)) for seed, n in enumerate(rng.integers(200, 3000, 60))]
    recordings[7] = recordings[11] = np.zeros(0, np.uint32)
    planted = {}
    for one, other, start in ((0, 40, 10), (3, 20, 0), (25, 59, 30)):
        copy = recordings[one][start : start + 160].copy()
        copy[::3] ^= np.uint32(1) << rng.integers(0, 32, len(copy[::3]), dtype=np.uint32)
        copy[50:60] = 0
        recordings[other] = np.concatenate([random_words(100 + other, 77), copy, random_words(200 + other, 99)])
        planted[one, other] = start - 77
    found = find_matches(recordings)
    assert {(match.one, match.other): match.offset for match in found} == planted
    monkeypatch.setattr("genre.data.duplicates.search.ENTRIES_AT_ONCE", 7000)
    monkeypatch.setattr("genre.data.duplicates.search.WORDS_AT_ONCE", 999)
    assert find_matches(recordings) == found


def test_memory_of_the_search_does_not_grow_with_the_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genre.data.duplicates.search.ENTRIES_AT_ONCE", 200_000)
    monkeypatch.setattr("genre.data.duplicates.search.WORDS_AT_ONCE", 50_000)
    n_words = 50_000
    seeds = [*range(60), 7]
    find_matches([random_words(seed, 500) for seed in (0, 0)])  # compiles
    tracemalloc.start()
    (match,) = find_matches(map(random_words, seeds, [n_words] * len(seeds)), scratch=tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (match.one, match.other, match.offset, match.bit_errors) == (7, 60, 0, 0.0)
    assert peak < 4 * n_words * len(seeds)
    assert list(tmp_path.iterdir()) == []


# --- pairs ----------------------------------------------------------------------------------------------------------


def test_identical_tracks_are_pairs_with_the_first_of_them() -> None:
    assert [(pair.one, pair.other, pair.kind) for pair in identical(["a", "b", "a", "a", "c"])] == [
        (0, 2, IDENTICAL),
        (0, 3, IDENTICAL),
    ]


def test_recordings_join_tracks_through_others() -> None:
    pairs = [Duplicate(one, other, SAME_RECORDING, 0.0, 3.0, 0.9) for one, other in ((0, 3), (3, 5), (1, 2))]
    key = recordings(["f", "e", "d", "c", "b", "a"], pairs)
    assert key[0] == key[3] == key[5]
    assert key[1] == key[2]
    assert len(set(key)) == 3
    assert recordings(["x", "y"], ()) == ("x", "y")


# --- files ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two genres of four tracks; one is there as MP3 under another genre, one twice, and one file is broken."""
    root = tmp_path_factory.mktemp("library")
    for number in range(8):
        path = root / ("calm" if number < 4 else "wild") / f"{number}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, tune(4.0, seed=40 + number), RATE)
    soundfile.write(root / "wild" / "copy.mp3", tune(4.0, seed=40)[RATE // 2 :], RATE)
    (root / "calm" / "again.wav").write_bytes((root / "calm" / "1.wav").read_bytes())
    (root / "wild" / "broken.wav").write_bytes(b"RIFF and nothing else")
    return root


def test_duplicates_among_files_are_found_once_and_kept(library: Path, tmp_path: Path, monkeypatch) -> None:
    files = [file for file in audio_files(library) if "broken" not in file.file]
    told = []
    pairs = duplicates_among(files, tmp_path, progress=lambda done, total: told.append((done, total)))
    named = {(files[pair.one].file, files[pair.other].file): pair for pair in pairs}
    assert set(named) == {("calm/0.wav", "wild/copy.mp3"), ("calm/1.wav", "calm/again.wav")}
    assert named["calm/1.wav", "calm/again.wav"].kind == IDENTICAL
    shifted = named["calm/0.wav", "wild/copy.mp3"]
    assert shifted.offset_sec == pytest.approx(0.5, abs=0.08)
    assert told[0] == (0, 9)  # the file that is there twice is decoded once
    assert told[-1] == (9, 9)
    monkeypatch.setattr(prints, "CheckedBlocks", lambda *_args, **_kw: pytest.fail("decoded again"))
    backwards = duplicates_among(files[::-1], tmp_path)
    turned = next(pair for pair in backwards if pair.kind == SAME_RECORDING)
    assert (files[::-1][turned.one].file, files[::-1][turned.other].file) == ("wild/copy.mp3", "calm/0.wav")
    assert turned.offset_sec == -shifted.offset_sec
    assert duplicates_among(files[:-3], tmp_path) != ()  # another set of files: new pairs of known fingerprints


def test_a_damaged_fingerprint_is_made_again(library: Path, tmp_path: Path) -> None:
    files = audio_files(library / "calm")
    first = duplicates_among(files, tmp_path)
    for kept in (tmp_path / ".fingerprints").rglob("*"):
        if kept.is_file():
            kept.write_bytes(b"")
    assert duplicates_among(files, tmp_path) == first


def test_the_command_lists_pairs_with_labels(library: Path, tmp_path: Path, capsys) -> None:
    assert main([str(library), "--out", str(tmp_path / "out"), "--store", str(tmp_path / "store")]) == 0
    shown = capsys.readouterr()
    assert "10 files, 2 pairs: identical 1, same recording 1; 1 of them with different labels" in shown.out
    assert "left out: wild/broken.wav cannot be decoded" in shown.err
    rows = read(tmp_path / "out" / "duplicates.csv")
    assert [(row["file"], row["other"], row["kind"]) for row in rows] == [
        ("calm/0.wav", "wild/copy.mp3", "same recording"),
        ("calm/1.wav", "calm/again.wav", "identical"),
    ]
    assert (rows[0]["label"], rows[0]["other_label"]) == ("calm", "wild")
    assert float(rows[0]["score"]) > 0.75


def test_the_command_takes_labels_and_artists_from_the_table(tmp_path: Path, music: Path, capsys) -> None:
    assert main([str(music), "--out", str(tmp_path), "--store", str(tmp_path)]) == 0
    assert "12 files, 0 pairs" in capsys.readouterr().out
    assert read(tmp_path / "duplicates.csv") == []


def listed(root: Path, tmp_path: Path) -> list[tuple[str, ...]]:
    """Return (file, label) of both ends of each pair that the command writes."""
    assert main([str(root), "--out", str(tmp_path), "--store", str(tmp_path / "store")]) == 0
    rows = read(tmp_path / "duplicates.csv")
    return [tuple(row[column] for column in ("file", "label", "other", "other_label")) for row in rows]


def put(library: Path, root: Path, *files: str) -> None:
    """Put one recording under several names."""
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library / "calm" / "0.wav", root / file)


def test_the_command_labels_files_as_a_training_does(library: Path, tmp_path: Path, capsys) -> None:
    root = tmp_path / "music"
    put(library, root, "techno/Album 1/CD 1/x.wav", "techno/Album 2/CD 1/y.wav", "rock/Album 1/z.wav", "loose.wav")
    (one, two, three) = listed(root, tmp_path)
    assert one == ("loose.wav", "", "rock/Album 1/z.wav", "rock")
    labels = {track.file: track.label for track in folder(str(root)).tracks} | {"loose.wav": ""}
    for file, label, other, other_label in (one, two, three):
        assert (label, other_label) == (labels[file], labels[other])
    (root / "rock" / "Album 1" / "z.wav").unlink()
    (root / "loose.wav").unlink()
    soundfile.write(root / "rock" / "other.wav", tune(4.0, seed=41), RATE)
    capsys.readouterr()
    assert listed(root, tmp_path) == [("techno/Album 1/CD 1/x.wav", "techno", "techno/Album 2/CD 1/y.wav", "techno")]
    assert "3 files, 1 pair: identical 1, same recording 0; " in capsys.readouterr().out


def test_the_command_knows_no_labels_where_there_are_none(library: Path, tmp_path: Path, capsys) -> None:
    put(library, tmp_path / "flat", "a.wav", "b.wav")
    assert listed(tmp_path / "flat", tmp_path) == [("a.wav", "", "b.wav", "")]
    put(library, tmp_path / "single", "genres_original/a/a.wav", "b.wav")
    assert listed(tmp_path / "single", tmp_path) == [("b.wav", "", "genres_original/a/a.wav", "")]
    assert "different labels" not in capsys.readouterr().out


def test_the_command_names_every_file_it_leaves_out(library: Path, tmp_path: Path, capsys) -> None:
    root = tmp_path / "music"
    put(library, root, "techno/a.wav", "rock/b.wav")
    for file in ("techno/zero.ogg", "rock/empty.wav", "techno/song.m4a", "loose.wma"):
        (root / file).touch()
    for file in ("techno/noise.wav", "rock/noise.wav"):
        (root / file).write_bytes(b"RIFF and nothing else")
    (root / "rock" / "gone.mp3").symlink_to(root / "nowhere.mp3")
    listed(root, tmp_path)
    told = capsys.readouterr().err
    for file in ("techno/zero.ogg", "rock/empty.wav"):
        assert told.count(f"left out: {file} is empty (zero bytes): copy it again from its source.") == 1
    for file in ("techno/noise.wav", "rock/noise.wav"):
        assert told.count(f"left out: {file} cannot be decoded") == 1
    assert "left out: rock/gone.mp3 is a link that leads nowhere: mend or remove it." in told
    assert "Left out 2 audio files such as techno/song.m4a: the format cannot be read" in told
    shutil.rmtree(root / "rock")
    shutil.rmtree(root / "techno")
    with pytest.raises(DataError, match=r"\(Left out the audio file loose.wma: the format cannot be read"):
        main([str(root)])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere"], "there is no folder nowhere"),
        ([], "the following arguments are required"),
        (["."], "no audio"),
        ([".", "--jobs", "-1"], "--jobs -1 is not a number of threads; give 1 or more"),
        ([".", "--jobs", "0"], "--jobs 0 is not a number of threads"),
    ],
)
def test_the_command_says_what_is_wrong(tmp_path: Path, monkeypatch, arguments, sentence: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GenreError, match=sentence):
        main(arguments)


# --- data sets ------------------------------------------------------------------------------------------------------


def module(root: Path, store_dir: Path, **settings) -> GenreDataModule:
    protocol = TrackProtocol(val=0.25, test=0.25, seed=1)
    clips = ClipSpec(clip_sec=2.0)
    return GenreDataModule(folder(str(root)), protocol, LogMel(n_mels=8), clips, DataSettings(store_dir, **settings))


def test_copies_stay_on_one_side_and_are_told(library: Path, tmp_path: Path) -> None:
    data = module(library, tmp_path)
    data.prepare_data()
    data.setup()
    number = {track.file: i for i, track in enumerate(data.tracks)}
    one, copy = number["calm/0.wav"], number["wild/copy.mp3"]
    assert data.table.recording[one] == data.table.recording[copy]
    assert data.table.content[one] != data.table.content[copy]
    for side in ("train", "val", "test"):
        on_side = set(data.arrays.track[data.rows(side)].tolist())
        assert (one in on_side) == (copy in on_side)
    told = " ".join(data.notices)
    assert "2 pairs of tracks hold one recording (1 identical; the first: calm/0.wav and wild/copy.mp3)" in told
    assert "The same recording has different labels: calm/0.wav (calm) and wild/copy.mp3 (wild)." in told
    assert "2 recordings are there in several copies, 4 tracks together: these stay on one side" in told


def test_a_single_track_is_counted_as_one(library: Path, tmp_path: Path) -> None:
    root = tmp_path / "music"
    shutil.copytree(library / "calm", root / "calm")
    put(library, root, "wild/copy.wav")
    cut = root / "calm" / "2.wav"
    cut.write_bytes(cut.read_bytes()[:120_000])

    def leaked() -> GenreDataModule:
        clips = ClipSpec(clip_sec=1.0)
        return GenreDataModule(folder(str(root)), ClipRandomProtocol(), LogMel(n_mels=8), clips, DataSettings(tmp_path))

    data = leaked()
    data.setup()
    assert "1 track ends early and is used as far as it could be decoded: calm/2.wav" in data.notices
    (root / "wild" / "copy.wav").write_bytes(b"RIFF and nothing else")
    data = leaked()
    with pytest.raises(DataError, match=r"the only track of wild cannot be used \(wild/copy\.wav cannot be decoded"):
        data.setup()


def test_content_only_joins_identical_tracks(library: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(prints, "CheckedBlocks", lambda *_args, **_kw: pytest.fail("no fingerprint is wanted"))
    data = module(library, tmp_path, duplicates="content")
    data.prepare_data()
    data.setup()
    assert data.table.recording == data.table.content
    assert [pair.kind for pair in data.pairs] == [IDENTICAL]


def test_an_unknown_way_to_find_duplicates_is_an_error(library: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.duplicates=contents is unknown; did you mean content"):
        module(library, tmp_path, duplicates="contents")


@pytest.mark.real_audio
def test_known_repetitions_in_real_music_are_found(shared_audio: Path, tmp_path: Path) -> None:
    names = ("jazz.00043", "jazz.00044", "jazz.00069", "metal.00042", "metal.00043", "metal.00063", "metal.00064")
    root = shared_audio / "gtzan_part"
    paths = [root / name.partition(".")[0] / f"{name}.flac" for name in names]
    files = [AudioFile(path.stem, path, file_digest(path)) for path in paths]
    pairs = duplicates_among(files, tmp_path)
    assert {(files[pair.one].file, files[pair.other].file): pair.offset_sec for pair in pairs} == {
        ("jazz.00043", "jazz.00069"): pytest.approx(-20.11, abs=0.03),
        ("metal.00042", "metal.00063"): pytest.approx(-5.18, abs=0.03),
        ("metal.00043", "metal.00064"): pytest.approx(-7.22, abs=0.03),
    }
