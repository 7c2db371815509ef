"""Catalogue: folders and tables become the same ordered tracks everywhere."""

import os
import random
import shutil
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genre.audio.health import Reason
from genre.data.tracks import Catalogue, catalogue, conflicting_labels
from genre.errors import DataError

SHARED = Path(__file__).parents[3] / "shared"
ODD_NAMES = [
    "plain",
    "with space",
    "comma, comma",
    "a=b",
    "[x] (y) {z}",
    'it\'s "quoted"',
    "naïve",
    "音楽",
    "new\nline",
    "100%",
    "#1",
    "-dash",
    "~tilde",
    "a.b.c",
    "$HOME",
    "Ünï – cödé ✓",
]


def touch(root, *files):
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def names(found):
    return [track.file for track in found.tracks]


def error_of(root, **arguments):
    with pytest.raises(DataError) as caught:
        catalogue(root, **arguments)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


class TestFolders:
    def test_one_folder_a_genre(self, tmp_path):
        touch(tmp_path, "rock/b.wav", "rock/a.MP3", "jazz/artist/album/01.flac", "jazz/artist/cover.jpg")
        found = catalogue(tmp_path)
        assert isinstance(found, Catalogue)
        assert (found.name, found.root, found.labels) == (tmp_path.name, tmp_path, ("jazz", "rock"))
        assert names(found) == ["jazz/artist/album/01.flac", "rock/a.MP3", "rock/b.wav"]
        assert [track.label for track in found.tracks] == ["jazz", "rock", "rock"]
        assert all(track.path == tmp_path / track.file for track in found.tracks)
        assert all((track.artist, track.split) == (None, None) for track in found.tracks)
        assert found.notices == ()

    def test_order_is_of_code_points(self, tmp_path):
        touch(tmp_path, "b/z.wav", "b/Z.wav", "b/é.wav", "B/x.wav", "a/a10.wav", "a/a9.wav")
        assert names(catalogue(tmp_path)) == ["B/x.wav", "a/a10.wav", "a/a9.wav", "b/Z.wav", "b/z.wav", "b/é.wav"]

    def test_hidden_is_ignored_without_a_word(self, tmp_path):
        touch(tmp_path, "rock/a.wav", "jazz/a.wav", "rock/._a.wav", ".git/x.wav", "__MACOSX/rock/._a.wav", ".x.wav")
        found = catalogue(tmp_path)
        assert names(found) == ["jazz/a.wav", "rock/a.wav"]
        assert found.notices == ()

    def test_what_is_left_out_is_said(self, tmp_path):
        touch(
            tmp_path, "rock/a.wav", "jazz/a.wav", "loose.wav", "scans/page.pdf", "rock/b.m4a", "pop/x.wma", "empty.txt"
        )
        notices = catalogue(tmp_path).notices
        assert len(notices) == 3
        assert "loose.wav" in notices[0]
        assert "2 audio files such as pop/x.wma" in notices[1]
        assert "FLAC" in notices[1]
        assert "scans" in notices[2]

    def test_unusable_files_are_still_tracks(self, tmp_path):
        touch(tmp_path, "rock/a.wav", "jazz/x.wav/readme.txt")
        (tmp_path / "jazz/gone.wav").symlink_to(tmp_path / "nowhere.wav")
        assert names(catalogue(tmp_path)) == ["jazz/gone.wav", "jazz/x.wav", "rock/a.wav"]

    def test_link_loops_end_and_the_same_file_under_two_labels_is_reported(self, tmp_path):
        touch(tmp_path, "rock/a.wav", "jazz/b.wav")
        (tmp_path / "rock/loop").symlink_to(tmp_path)
        (tmp_path / "rock/own").symlink_to(tmp_path / "rock")
        (tmp_path / "jazz/a too.wav").symlink_to(tmp_path / "rock/a.wav")
        found = catalogue(tmp_path)
        assert names(found) == ["jazz/a too.wav", "jazz/b.wav", "rock/a.wav"]
        (notice,) = found.notices
        assert "2 labels, jazz and rock" in notice
        assert "jazz/a too.wav and rock/a.wav" in notice

    def test_many_double_files_are_counted(self, tmp_path):
        touch(tmp_path, *(f"rock/{i:02}.wav" for i in range(9)), "jazz/x.wav")
        for i in range(9):
            (tmp_path / f"rock/{i:02} again.wav").symlink_to(tmp_path / f"rock/{i:02}.wav")
        notices = catalogue(tmp_path).notices
        assert len(notices) == 6
        assert "4 more files" in notices[-1]

    def test_labels_that_read_alike_are_reported(self, tmp_path):
        touch(tmp_path, "Hip-Hop/a.wav", "hiphop/b.wav", "rock/c.wav")
        (notice,) = catalogue(tmp_path).notices
        assert "Hip-Hop and hiphop" in notice

    def test_names_in_either_unicode_form_are_one(self, tmp_path):
        decomposed = unicodedata.normalize("NFD", "é")
        touch(tmp_path, f"caf{decomposed}/{decomposed}.wav", "rock/a.wav")
        found = catalogue(tmp_path)
        assert found.labels == ("café", "rock")
        assert names(found) == ["café/é.wav", "rock/a.wav"]
        assert found.tracks[0].path.exists()

    def test_names_that_differ_only_in_unicode_form_stay_two(self, tmp_path):
        forms = {unicodedata.normalize(form, "é") for form in ("NFC", "NFD")}
        touch(tmp_path, "rock/a.wav", *(f"jazz/{form}.wav" for form in forms))
        if len(os.listdir(tmp_path / "jazz")) == 1:
            pytest.skip("this file system has one form only")
        assert len(set(names(catalogue(tmp_path)))) == 3

    @pytest.mark.skipif(os.name != "posix", reason="only POSIX file names are bytes")
    def test_names_that_are_not_text_can_be_written_anywhere(self, tmp_path):
        touch(tmp_path, "rock/a.wav", "jazz/b.wav")
        try:
            Path(os.fsdecode(os.fsencode(tmp_path) + b"/jazz/caf\xe9.wav")).touch()
        except OSError:
            pytest.skip("this file system takes text names only")
        track = catalogue(tmp_path).tracks[1]
        assert track.file.encode("utf-8").startswith(b"jazz/caf")
        assert track.path.exists()

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        files=st.lists(
            st.tuples(st.sampled_from(ODD_NAMES), st.sampled_from(ODD_NAMES)), min_size=2, max_size=15, unique=True
        ),
        seed=st.integers(0, 1000),
    )
    def test_order_does_not_depend_on_creation(self, tmp_path, files, seed):
        files = [f"{genre}/{name}.wav" for genre, name in [*files, ("one", "x"), ("two", "x")]]
        results = []
        for root in (tmp_path / "first", tmp_path / "second"):
            shutil.rmtree(root, ignore_errors=True)
            touch(root, *files)
            results.append([(track.file, track.label) for track in catalogue(root).tracks])
            random.Random(seed).shuffle(files)
        assert results[0] == results[1] == sorted(results[0], key=lambda item: (item[1], item[0]))
        assert {file for file, _ in results[0]} == set(files)
        assert all(file.split("/")[0] == label for file, label in results[0])


class TestTable:
    def write(self, root, text, *files):
        touch(root, *files)
        (root / "tracks.csv").write_text(text, encoding="utf-8")
        return root

    def test_everything_in_it(self, tmp_path):
        text = "file,label,artist,split\nx/b.wav,rock,Bo,train\na.wav,jazz,,\nx/c.anything,rock,Di,test\n"
        found = catalogue(self.write(tmp_path, text, "a.wav", "x/b.wav", "x/c.anything", "x/not listed.wav"))
        assert [(t.file, t.label, t.artist, t.split) for t in found.tracks] == [
            ("a.wav", "jazz", None, None),
            ("x/b.wav", "rock", "Bo", "train"),
            ("x/c.anything", "rock", "Di", "test"),
        ]
        assert found.labels == ("jazz", "rock")

    def test_wins_over_folders(self, tmp_path):
        self.write(tmp_path, "file,label\nrock/a.wav,loud\njazz/a.wav,soft\n", "rock/a.wav", "jazz/a.wav", "jazz/b.wav")
        assert catalogue(tmp_path).labels == ("loud", "soft")

    def test_odd_names(self, tmp_path):
        files = [f"{name}.wav" for name in ODD_NAMES]
        quoted = [f'"{file.replace(chr(34), chr(34) * 2)}",{"ab"[i % 2]}' for i, file in enumerate(files)]
        found = catalogue(self.write(tmp_path, "\n".join(["file,label", *quoted]), *files))
        assert sorted(names(found)) == sorted(files)

    def test_names_spelt_as_on_another_system(self, tmp_path):
        decomposed = unicodedata.normalize("NFD", "é.wav")
        self.write(tmp_path, "file,label\né.wav,rock\nx\\b.wav,jazz\n c.wav,jazz\n", decomposed, "x/b.wav", "c.wav")
        assert names(catalogue(tmp_path)) == ["c.wav", "x/b.wav", "é.wav"]

    def test_missing_files(self, tmp_path):
        self.write(tmp_path, "file,label\na.wav,rock\nb.wav,jazz\nc.wav,jazz\nd.wav,jazz\n", "a.wav")
        message = error_of(tmp_path)
        assert "tracks.csv, line 3" in message
        assert "b.wav does not exist" in message
        assert "nor do 2 more of the files listed" in message
        touch(tmp_path, "d.wav")
        assert "nor does 1 more of the files listed" in error_of(tmp_path)

    def test_dangling_links_are_left_to_the_health_check(self, tmp_path):
        self.write(tmp_path, "file,label\na.wav,rock\nb.wav,jazz\n", "a.wav")
        (tmp_path / "b.wav").symlink_to(tmp_path / "nowhere.wav")
        assert names(catalogue(tmp_path)) == ["b.wav", "a.wav"]

    @pytest.mark.parametrize("again", ["a.wav", "./a.wav", "x/../a.wav"])
    def test_duplicate_row(self, tmp_path, again):
        self.write(tmp_path, f"file,label\na.wav,rock\nb.wav,jazz\n{again},jazz\n", "a.wav", "b.wav")
        message = error_of(tmp_path)
        assert "line 4: a.wav is listed already on line 2" in message

    def test_two_names_of_one_file(self, tmp_path):
        self.write(tmp_path, "file,label\na.wav,rock\nb.wav,jazz\n", "a.wav")
        (tmp_path / "b.wav").symlink_to(tmp_path / "a.wav")
        assert "under 2 labels, jazz and rock" in catalogue(tmp_path).notices[0]

    def test_no_way_out_of_the_root(self, tmp_path):
        touch(tmp_path, "secret.wav")
        root = tmp_path / "root"
        for file in ("../secret.wav", "..\\secret.wav", " ../secret.wav"):
            self.write(root, f"file,label\na.wav,rock\n{file},jazz\n", "a.wav")
            assert "line 3" in error_of(root)

    def test_faults_of_the_table_come_through(self, tmp_path):
        assert "no column label" in error_of(self.write(tmp_path, "file\na.wav\n", "a.wav"))


class TestFaults:
    @pytest.mark.parametrize("root", ["", "  "])
    def test_root_not_set(self, root):
        assert error_of(root).startswith("data.root is not set:")

    def test_root_missing(self, tmp_path):
        message = error_of(tmp_path / "nowhere")
        assert "nowhere does not exist" in message
        assert "data.root" in message

    def test_root_is_a_file(self, tmp_path):
        touch(tmp_path, "x.wav")
        assert "x.wav is not a folder" in error_of(tmp_path / "x.wav")

    def test_empty_folder(self, tmp_path):
        message = error_of(tmp_path)
        assert f"{tmp_path} is empty" in message
        assert "one sub-folder a genre" in message

    @pytest.mark.parametrize(
        ("files", "part"),
        [
            (["rock/readme.txt", "jazz/readme.txt"], "no sub-folder"),
            (["a.wav", "b.wav"], "no genre folders"),
            (["rock/a.m4a", "jazz/b.m4a"], "2 files such as jazz/b.m4a"),
            (["rock/.hidden.wav"], "no sub-folder"),
        ],
    )
    def test_no_audio(self, tmp_path, files, part):
        assert part in error_of(touch(tmp_path, *files))

    def test_single_class(self, tmp_path):
        message = error_of(touch(tmp_path, "rock/a.wav", "jazz/b.m4a"))
        assert "a single class, rock" in message
        assert "jazz/b.m4a" in message
        assert "at least two" in message

    def test_folders_that_may_not_be_listed(self, tmp_path, monkeypatch):
        touch(tmp_path, "rock/a.wav", "jazz/b.wav", "pop/c.wav")
        listdir = os.listdir
        closed = {"jazz"}

        def refuse(path):
            if Path(path).name in closed:
                raise PermissionError(13, "Permission denied")
            return listdir(path)

        monkeypatch.setattr(os, "listdir", refuse)
        found = catalogue(tmp_path)
        assert found.labels == ("pop", "rock")
        assert "the folder jazz" in found.notices[0]
        closed.add(tmp_path.name)
        assert "cannot be listed" in error_of(tmp_path)


class TestLabels:
    def test_fixed_order(self, tmp_path):
        touch(tmp_path, "rock/a.wav", "jazz/b.wav")
        found = catalogue(tmp_path, labels=["rock", "jazz", "pop"], name="mine")
        assert found.labels == ("rock", "jazz", "pop")
        assert found.name == "mine"
        assert names(found) == ["jazz/b.wav", "rock/a.wav"]

    def test_unknown_label(self, tmp_path):
        message = error_of(touch(tmp_path, "rok/a.wav", "jazz/b.wav"), labels=["rock", "jazz"])
        assert "rok" in message
        assert "did you mean rock?" in message


class TestConflictingLabels:
    def test_one_sentence_a_recording(self):
        notices = conflicting_labels(
            ["a.wav", "b.wav", "c.wav", "d.wav", "e.wav"],
            ["rock", "jazz", "rock", "pop", "pop"],
            ["1", "1", "1", "2", "2"],
        )
        assert notices == ("The same recording has different labels: a.wav (rock), b.wav (jazz) and c.wav (rock).",)

    def test_nothing_to_say(self):
        assert conflicting_labels(["a", "b"], ["rock", "jazz"], ["1", "2"]) == ()
        assert conflicting_labels([], [], []) == ()


def test_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    touch(tmp_path, "music/rock/a.wav", "music/jazz/b.wav")
    assert catalogue("~/music").root == tmp_path / "music"


def test_every_unusable_kind_reaches_the_health_check(tmp_path):
    from genre.audio.decode import decode
    from genre.errors import AudioError

    touch(tmp_path, "rock/empty.wav", "jazz/x.wav/inside.txt")
    (tmp_path / "rock/gone.wav").symlink_to(tmp_path / "nowhere.wav")
    (tmp_path / "jazz/text.wav").write_text("words")
    reasons = {}
    for track in catalogue(tmp_path).tracks:
        with pytest.raises(AudioError) as caught:
            decode(track.path, name=track.file)
        reasons[track.file] = caught.value.reason
    assert reasons == {
        "jazz/text.wav": Reason.UNDECODABLE,
        "jazz/x.wav": Reason.NOT_A_FILE,
        "rock/empty.wav": Reason.EMPTY,
        "rock/gone.wav": Reason.MISSING,
    }


@pytest.mark.real_audio
@pytest.mark.parametrize(("folder", "n_tracks", "n_labels"), [("gtzan_part", 425, 10), ("emotify_part", 288, 4)])
def test_real_folders(folder, n_tracks, n_labels):
    root = SHARED / "audio" / folder
    if not root.is_dir():
        pytest.skip("../shared/audio is not here")
    found = catalogue(root)
    assert (len(found.tracks), len(found.labels)) == (n_tracks, n_labels)
    assert all(track.artist and track.split is None for track in found.tracks)
    assert found.notices == ()
