"""``tracks.csv``: what is understood, and one sentence with file and line for what is not."""

import pytest

from genre.data.tracks_csv import Row, read_tracks_csv
from genre.errors import DataError


def table(tmp_path, text):
    path = tmp_path / "tracks.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def error_of(path):
    with pytest.raises(DataError) as caught:
        read_tracks_csv(path)
    message = str(caught.value)
    assert path.name in message
    assert "\n" not in message
    assert message.endswith(".")
    return message


def test_two_columns(tmp_path):
    assert read_tracks_csv(table(tmp_path, "file,label\na.wav,rock\n")) == (Row(2, "a.wav", "rock", None, None),)


def test_all_columns_in_any_order_and_case_and_others_ignored(tmp_path):
    path = table(tmp_path, "Split, Label ,year,ARTIST,file\nval,rock,1999,The Band,a.wav\n,jazz,,,b.wav\n")
    assert read_tracks_csv(path) == (
        Row(2, "a.wav", "rock", "The Band", "val"),
        Row(3, "b.wav", "jazz", None, None),
    )


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["lf", "crlf", "cr"])
def test_line_ends_and_byte_order_mark(tmp_path, start, end):
    path = table(tmp_path, start + end.join([b"file,label", b"a.wav,rock", b"", b"\xc3\xa9.wav,pop", b""]))
    assert [(row.line, row.file) for row in read_tracks_csv(path)] == [(2, "a.wav"), (4, "é.wav")]


def test_quoted_fields(tmp_path):
    path = table(tmp_path, 'file,label\n"a, ""b"" = [c].wav",rock\n"two\nlines.wav",pop\nc.wav,jazz\n')
    assert [(row.line, row.file) for row in read_tracks_csv(path)] == [
        (2, 'a, "b" = [c].wav'),
        (3, "two\nlines.wav"),
        (5, "c.wav"),
    ]


def test_blank_lines_and_empty_trailing_columns(tmp_path):
    path = table(tmp_path, "\n , \nfile,label\n\n,,\na.wav,rock,,\n  \n")
    assert [row.file for row in read_tracks_csv(path)] == ["a.wav"]


@pytest.mark.parametrize("split", ["val", "valid", "validation", "Validation", " VAL "])
def test_names_of_the_validation_split(tmp_path, split):
    assert read_tracks_csv(table(tmp_path, f"file,label,split\na.wav,rock,{split}\n"))[0].split == "val"


def test_composed_labels(tmp_path):
    rows = read_tracks_csv(table(tmp_path, "file,label\na.wav,cafe\u0301\nb.wav,caf\u00e9\n"))
    assert {row.label for row in rows} == {"caf\u00e9"}


def test_paths_are_normalised(tmp_path):
    rows = read_tracks_csv(table(tmp_path, "file,label\n./rock//a.wav,rock\nrock/../jazz/b.wav,jazz\n"))
    assert [row.file for row in rows] == ["rock/a.wav", "jazz/b.wav"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("file,genre\na.wav,rock\n", ["no column label", "columns found: file, genre", "file,label"]),
        ("path,genre\n", ["no column file and no column label"]),
        ("file;label\na.wav;rock\n", ["no column file", "file;label", "commas"]),
        ("file,label,file\n", ["two columns named file"]),
        ("", ["lists no tracks"]),
        ("file,label\n\n", ["lists no tracks"]),
        ("file,label\na.wav,rock\nb.wav,\n", ["line 3", "b.wav", "no label"]),
        ("file,label\na.wav\n", ["line 2", "a.wav", "no label"]),
        ("file,label\n,rock\n", ["line 2", "names no file"]),
        ("file,label\na, b.wav,rock\n", ["line 2", "3 fields", "double quotes"]),
        ('file,label\n"a.wav,rock\nb.wav,pop\n', ["line 2", "not valid CSV", "quotes"]),
        ("file,label,split\na.wav,rock,tran\n", ["line 2", "tran", "did you mean train?", "test, train, val"]),
        ("file,label\n/music/a.wav,rock\n", ["line 2", "/music/a.wav", "absolute"]),
        ("file,label\nC:\\music\\a.wav,rock\n", ["line 2", "absolute"]),
        ("file,label\n../a.wav,rock\n", ["line 2", "../a.wav", "leads out"]),
        ("file,label\nx/../../a.wav,rock\n", ["line 2", "leads out"]),
        ("file,label\n.,rock\n", ["line 2", "leads out"]),
        ("file,label\ncafé.wav,rock\n".encode("latin-1"), ["not UTF-8"]),
        ("file,label\na.wav,rock\n".encode("utf-16"), ["not UTF-8"]),
    ],
)
def test_faults(tmp_path, text, parts):
    message = error_of(table(tmp_path, text))
    for part in parts:
        assert part in message


def test_table_that_cannot_be_opened(tmp_path):
    (tmp_path / "tracks.csv").symlink_to(tmp_path / "nowhere.csv")
    assert "cannot be read" in error_of(tmp_path / "tracks.csv")
