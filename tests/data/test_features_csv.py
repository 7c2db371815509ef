"""Tables of features."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from genre.data.features_csv import read_features_csv
from genre.data.protocols import FaultFilteredProtocol, KFoldProtocol, TrackProtocol
from genre.errors import DataError
from genre.features.handcrafted import FEATURE_NAMES

HEADER = ["filename", "length", "tempo", "rms_mean", "label"]


def write(path: Path, rows: list[list[object]], header: list[str] = HEADER) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path


def tracks(*, pieces: int = 0) -> list[list[object]]:
    """Rows of eight tracks of two genres, in no order."""
    rows = []
    for number in reversed(range(8)):
        genre = ("blues", "rock")[number % 2]
        for piece in range(max(pieces, 1)):
            name = f"{genre}.{number:05}" + (f".{piece}" if pieces else "") + ".wav"
            rows.append([name, 661794, number + piece / 10, number * 2, genre])
    return rows


def test_a_row_is_a_track(tmp_path: Path) -> None:
    features = read_features_csv(write(tmp_path / "table.csv", tracks()))
    assert features.name == "table"
    assert features.names == ("tempo", "rms_mean")
    assert features.labels == ("blues", "rock")
    assert features.table.names == tuple(sorted(row[0] for row in tracks()))
    assert features.table.n_clips.tolist() == [1] * 8
    assert features.values[features.table.names.index("rock.00003.wav")].tolist() == [3, 6]
    assert features.clips is None


def test_a_row_is_a_piece_of_a_track_and_pieces_stay_together(tmp_path: Path) -> None:
    features = read_features_csv(write(tmp_path / "table.csv", tracks(pieces=10)))
    assert len(features.table.names) == 8
    assert features.table.n_clips.tolist() == [10] * 8
    assert features.start_sec[:10].tolist() == [3.0 * piece for piece in range(10)]
    assert np.allclose(features.values[:10, 0], np.arange(10) / 10)
    deal = TrackProtocol(val=0.25, test=0.25).deal(features.table)
    sides = [set(features.track[deal.side(side)]) for side in ("train", "val", "test")]
    assert not (sides[0] & sides[1])
    assert not (sides[0] & sides[2])
    assert not (sides[1] & sides[2])


def test_the_order_of_the_rows_does_not_matter(tmp_path: Path) -> None:
    rows = tracks(pieces=2)
    one, other = (
        read_features_csv(write(tmp_path / f"{n}.csv", given)) for n, given in enumerate((rows, sorted(rows)))
    )
    assert one.content == other.content
    assert np.array_equal(one.values, other.values)


def test_the_57_features_come_in_their_usual_order(tmp_path: Path) -> None:
    names = [*reversed(FEATURE_NAMES), "extra"]
    rows = [[f"{genre}.0000{n}.wav", genre, *range(58)] for n, genre in enumerate(("blues", "rock"))]
    features = read_features_csv(write(tmp_path / "table.csv", rows, ["filename", "label", *names]))
    assert features.names == (*FEATURE_NAMES, "extra")
    assert features.values[0].tolist() == [*reversed(range(57)), 57]


def test_equal_values_are_the_same_recording(tmp_path: Path) -> None:
    rows = tracks()
    rows[0][2:4] = rows[1][2:4]
    features = read_features_csv(write(tmp_path / "table.csv", rows))
    assert len(set(features.table.content)) == 7
    assert "different labels" in features.notices[0]


def test_artist_and_split_are_used(tmp_path: Path) -> None:
    rows = [[*row, f"artist {i // 2}", "train" if i else ""] for i, row in enumerate(tracks())]
    features = read_features_csv(write(tmp_path / "table.csv", rows, [*HEADER, "artist", "split"]))
    assert features.names == ("tempo", "rms_mean")
    by_name = dict(zip(features.table.names, features.table.artist, strict=True))
    assert by_name["rock.00007.wav"] == by_name["blues.00006.wav"] == "artist 0"
    assert features.table.split.count(None) == 1


def test_words_are_understood_as_in_tracks_csv(tmp_path: Path) -> None:
    splits = ["train", "Train", "val", "valid", "Validation", " TEST ", "test", ""]
    rows = [[*row, f"artist {i // 2}", split] for i, (row, split) in enumerate(zip(tracks(), splits, strict=True))]
    header = ["Filename", " LENGTH", "Tempo", "rms_mean", "Label", "Artist", "SPLIT"]
    features = read_features_csv(write(tmp_path / "table.csv", rows, header))
    assert features.names == ("Tempo", "rms_mean")
    given = dict(
        zip((row[0] for row in rows), ("train", "train", "val", "val", "val", "test", "test", None), strict=True)
    )
    assert dict(zip(features.table.names, features.table.split, strict=True)) == given
    assert features.table.artist.count("artist 0") == 2


def test_accents_are_one_letter_however_they_are_written(tmp_path: Path) -> None:
    rows = tracks()
    for number, row in enumerate(rows):
        row[4] = ("Chor\u00f3", "Choro\u0301", "rock")[number % 3]
    assert read_features_csv(write(tmp_path / "table.csv", rows)).labels == ("Chor\u00f3", "rock")


def test_an_unknown_split_is_told(tmp_path: Path) -> None:
    rows = [[*row, "tset" if i == 2 else "train"] for i, row in enumerate(tracks())]
    with pytest.raises(DataError, match="line 4: the split tset is not known: did you mean test"):
        read_features_csv(write(tmp_path / "table.csv", rows, [*HEADER, "split"]))


@pytest.mark.parametrize("between", [";", "\t"])
def test_a_table_without_commas_is_told_what_to_do(between: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("\n".join(between.join(map(str, row)) for row in [HEADER, *tracks()]))
    with pytest.raises(
        DataError, match=r"has no column filename and no column label .*: separate the columns with commas"
    ):
        read_features_csv(path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda rows: rows[1].__setitem__(2, "fast"), "line 3: tempo is fast, not a finite number"),
        (lambda rows: rows[1].__setitem__(2, "nan"), "line 3: tempo is nan, not a finite number"),
        (lambda rows: rows[1].__setitem__(2, "1e39"), r"table.csv, line 3: tempo is 1e\+39, beyond the 3.4e\+38"),
        (lambda rows: rows[1].__setitem__(3, "-4e38"), r"line 3: rms_mean is -4e\+38, beyond"),
        (lambda rows: rows[1].pop(), "line 3 has 4 fields and the header 5"),
        (lambda rows: rows.append(rows[0]), "line 10 names the same file as line 2"),
        (lambda rows: rows[2].__setitem__(0, ""), "line 4 has no filename"),
        (lambda rows: rows.clear(), "has no rows below its header"),
        (lambda rows: [row.__setitem__(4, "rock") for row in rows], "has a single class, rock"),
    ],
)
def test_faults_are_told_with_their_line(change, sentence: str, tmp_path: Path) -> None:
    rows = tracks()
    change(rows)
    with pytest.raises(DataError, match=sentence):
        read_features_csv(write(tmp_path / "table.csv", rows))


def test_the_largest_number_that_can_be_kept_is_kept(tmp_path: Path) -> None:
    rows = tracks()
    rows[0][2] = "3.4028235e38"
    features = read_features_csv(write(tmp_path / "table.csv", rows))
    assert np.isfinite(features.values).all()


def clips(name: str, *, label: str = "{genre}", track: str | None = None) -> list[list[object]]:
    """Rows of five clips each of six recordings of two genres, named after ``name``."""
    rows: list[list[object]] = []
    for number in range(12):
        genre = ("gena", "genb")[number % 2]
        for piece in range(5):
            words = {"genre": genre, "n": number // 2, "piece": piece, "start": 3 * piece, "end": 3 * piece + 3}
            given = [] if track is None else [track.format(**words)]
            rows.append([name.format(**words), 1, number + piece / 10, number, label.format(**words), *given])
    return rows


@pytest.mark.parametrize(
    "name",
    [
        "{genre}.{n:05}.{piece}.wav",
        "{genre}0.{n:05}.{piece}.wav",
        "\u0431\u043b\u044e\u0437 {genre}\u0436.{n:05}.{piece}.wav",
        "{genre}.{n:03}.{piece}.wav",
        "{genre}.{n:06}.{piece}.wav",
        "{genre}.{n}.{piece:02}.mp3",
        "{genre}_.{n:05}.{piece}",
        "{genre}/{genre}.{n:05}.{piece}.wav.npy",
    ],
)
def test_names_of_a_recording_and_a_piece_keep_clips_together(name: str, tmp_path: Path) -> None:
    features = read_features_csv(write(tmp_path / "table.csv", clips(name)))
    assert features.table.n_clips.tolist() == [5] * 12
    assert features.start_sec.tolist() == [0, 3, 6, 9, 12] * 12
    [notice] = features.notices
    assert "are taken for clips of one recording" in notice
    assert "add a column track" in notice


LOOK_ALIKE = [
    "{genre}_{n:05}_{piece}.wav",
    "{genre}-{n}-{piece}.wav",
    "{genre}.{n:05}_{piece}.wav",
    "{genre} {n} clip{piece}.flac",
    "{genre}{n} ({piece}).wav",
    "{genre}{n}_{start}-{end}.wav",
    "{genre}{n}_{start}.0-{end}.0",
    "{genre}{n}_{start}.0s.wav",
    "{piece}_{genre}_{n}.wav",
    "{genre}/{n}/{piece}.wav",
]


@pytest.mark.parametrize("name", LOOK_ALIKE)
def test_other_names_that_look_like_those_of_clips_are_told_of(name: str, tmp_path: Path) -> None:
    features = read_features_csv(write(tmp_path / "table.csv", clips(name)))
    assert features.table.n_clips.tolist() == [1] * 60
    [notice] = features.notices
    assert notice.startswith("60 of 60 tracks have names like clips of one recording, such as ")
    if not name.startswith("{piece}"):  # there the clips of several recordings are told of that have one number
        one, other = notice.partition("such as ")[2].partition(": ")[0].split(" and ")
        rows = [row[0] for row in clips(name)]
        assert rows.index(one) // 5 == rows.index(other) // 5
    assert "add a column track" in notice


@pytest.mark.parametrize("name", [*LOOK_ALIKE, "{genre}.{n:05}.{piece}.wav", "{genre}{n}{piece}"])
def test_a_column_says_of_which_track_a_row_is_a_clip(name: str, tmp_path: Path) -> None:
    rows = clips(name, track="{genre} no. {n}")
    features = read_features_csv(write(tmp_path / "table.csv", rows[::-1], [*HEADER, "Track"]))
    assert features.names == ("tempo", "rms_mean")
    assert features.table.names == tuple(f"{genre} no. {n}" for genre in ("gena", "genb") for n in range(6))
    assert features.table.n_clips.tolist() == [5] * 12
    assert features.start_sec.tolist() == [0, 3, 6, 9, 12] * 12
    assert np.allclose(features.values[:5, 0], np.arange(5) / 10)
    assert not features.notices


def test_a_column_parts_what_names_would_join_and_silences_the_notice(tmp_path: Path) -> None:
    for name in ("{genre}.{n}.{piece}.wav", "{genre}_{n}_{piece}.wav"):
        rows = clips(name, track=name)
        features = read_features_csv(write(tmp_path / "table.csv", rows, [*HEADER, "track"]))
        assert features.table.n_clips.tolist() == [1] * 60
        assert not features.notices


def test_a_column_says_where_clips_start(tmp_path: Path) -> None:
    """Also where the name is that of the recording, which then comes once a clip."""
    rows = [[f"song{row[3]}.mp3", *row[1:], 2.5 * (i % 5)] for i, row in enumerate(clips(""))]
    features = read_features_csv(write(tmp_path / "table.csv", rows[::-1], [*HEADER, "start_sec"]))
    assert features.table.n_clips.tolist() == [5] * 12
    assert features.start_sec.tolist() == [0, 2.5, 5, 7.5, 10] * 12
    assert np.allclose(features.values[:5, 0], np.arange(5) / 10)
    assert not features.notices


def test_starts_that_cannot_be_are_told(tmp_path: Path) -> None:
    for start, sentence in (
        ("-1", "line 2: start_sec is -1, before the track begins"),
        ("soon", "line 2: start_sec is soon, not a finite number"),
        ("6", "line 4 names the same clip of gena as line 2"),
    ):
        rows = [[*row, "gena", 3 * i] for i, row in enumerate(clips("{genre}_{n}_{piece}"))]
        rows[0][-1] = start
        with pytest.raises(DataError, match=sentence):
            read_features_csv(write(tmp_path / "table.csv", rows, [*HEADER, "track", "start_sec"]))


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("{genre}.{n}{piece:03}.wav", "{genre}"),
        ("{genre}/{genre}.{n}{piece:03}.wav", "{genre}"),
        ("{genre}/{n}{piece:03}.wav", "{genre}"),
        ("{genre}_track{n}{piece:03}.wav", "style {genre}"),
        ("{genre} by someone {n}{piece:03} live.wav", "{genre}"),
    ],
)
def test_tracks_that_are_numbered_within_their_genre_are_tracks(name: str, label: str, tmp_path: Path) -> None:
    features = read_features_csv(write(tmp_path / "table.csv", clips(name, label=label)))
    assert features.table.n_clips.tolist() == [1] * 60
    assert not features.notices


def test_tracks_that_are_numbered_in_one_list_are_tracks(tmp_path: Path) -> None:
    rows = [[f"{i // 7:03}/{i:06}.mp3", *row[1:]] for i, row in enumerate(clips(""))]
    for start in (rows, [[f"track {i}", *row[1:]] for i, row in enumerate(rows)]):
        mixed = [start[i] for i in np.random.default_rng(0).permutation(60)]
        given = [[*row[:4], ("gena", "genb")[i % 2]] for i, row in enumerate(sorted(mixed))]
        features = read_features_csv(write(tmp_path / "table.csv", given))
        assert features.table.n_clips.tolist() == [1] * 60
        assert not features.notices


def test_pieces_that_disagree_are_told(tmp_path: Path) -> None:
    rows = tracks(pieces=2)
    rows[1][4] = "blues"
    with pytest.raises(DataError, match=r"line 3 says otherwise than line 2 .* split, or, .* a column track"):
        read_features_csv(write(tmp_path / "table.csv", rows))


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        (["file", "length", "tempo", "rms_mean", "label"], "has no column filename"),
        (["filename", "length", "tempo", "tempo", "label"], "two columns named tempo"),
        (["filename", "Label", "tempo", "rms_mean", "label"], "two columns named label"),
        (["filename", "length", "artist", "split", "label"], "no column besides"),
    ],
)
def test_other_headers_are_told(header: list[str], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=sentence):
        read_features_csv(write(tmp_path / "table.csv", tracks(), header))


def test_other_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"set data\.csv"):
        read_features_csv(tmp_path / "missing.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not UTF-8"):
        read_features_csv(tmp_path / "binary.csv")


@pytest.mark.real_audio
def test_the_published_table(shared_audio: Path) -> None:
    features = read_features_csv(shared_audio.parent / "tables" / "gtzan_features_30_sec.csv")
    assert features.values.shape == (1000, 57)
    assert features.names == FEATURE_NAMES
    assert len(set(features.table.content)) < 1000  # GTZAN's exact replicas
    assert not any("a column track" in notice for notice in features.notices)
    deal = FaultFilteredProtocol().deal(features.table)
    assert [len(deal.side(side)) for side in ("train", "val", "test")] == [443, 197, 290]
    folds = [KFoldProtocol(fold=fold, n_folds=10).deal(features.table).test for fold in range(10)]
    assert np.array_equal(np.sort(np.concatenate(folds)), np.arange(1000))
