"""GTZAN: every layout gives the same tracks, and what is not as expected is said."""

import pytest
from torchaudio.datasets import gtzan as published

from genre.data.gtzan import GENRES, LAYOUTS, gtzan_catalogue, track_key
from genre.errors import DataError


def lay_out(folder, *, suffix=".wav", n=100, without=()):
    for genre in GENRES:
        (folder / genre).mkdir(parents=True, exist_ok=True)
        for i in range(n):
            if f"{genre}.{i:05}" not in without:
                (folder / genre / f"{genre}.{i:05}{suffix}").touch()
    return folder


def error_of(root):
    with pytest.raises(DataError) as caught:
        gtzan_catalogue(root)
    assert str(caught.value).endswith(".")
    return str(caught.value)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("suffix", [".wav", ".au", ".flac"])
def test_every_layout_gives_the_same_names(tmp_path, layout, suffix):
    lay_out(tmp_path / layout, suffix=suffix)
    found = gtzan_catalogue(tmp_path)
    assert (found.name, found.labels, found.notices) == ("gtzan", GENRES, ())
    assert len(found.tracks) == 1000
    assert found.tracks[0].file == f"blues/blues.00000{suffix}"
    assert found.tracks[-1].path == tmp_path / layout / f"rock/rock.00099{suffix}"
    assert {track.label for track in found.tracks} == set(GENRES)


def test_pictures_beside_and_hidden_files_do_not_count(tmp_path):
    lay_out(tmp_path / "Data/genres_original")
    lay_out(tmp_path / "Data/images_original", suffix=".png")
    (tmp_path / "Data/genres_original/rock/._rock.00000.wav").touch()
    for root in (tmp_path, tmp_path / "Data"):
        found = gtzan_catalogue(root)
        assert (len(found.tracks), found.notices) == (1000, ())


def test_missing_genre_folder(tmp_path):
    lay_out(tmp_path / "genres")
    for genre in ("disco", "pop"):
        (tmp_path / "genres" / genre).rename(tmp_path / f"{genre}_elsewhere")
    message = error_of(tmp_path)
    assert "no tracks of disco, pop" in message
    assert str(tmp_path / "genres") in message


def test_empty_genre_folder(tmp_path):
    lay_out(tmp_path, without=[f"metal.{i:05}" for i in range(100)])
    assert "no tracks of metal" in error_of(tmp_path)


def test_unexpected_number_is_said(tmp_path):
    lay_out(tmp_path, without=["jazz.00054", "blues.00001", "blues.00002"])
    (notice,) = gtzan_catalogue(tmp_path).notices
    assert notice == "This copy of GTZAN has 997 tracks instead of 1000; instead of 100: blues 98, jazz 99."


def test_two_copies_of_the_tracks_are_said(tmp_path):
    lay_out(tmp_path)
    (tmp_path / "rock/rock.00007.au").touch()
    notices = gtzan_catalogue(tmp_path).notices
    assert "rock 101" in notices[0]
    assert notices[1] == "The track rock.00007 of GTZAN is there more than once: keep one copy."
    (tmp_path / "rock/rock.00008.au").touch()
    assert gtzan_catalogue(tmp_path).notices[1].startswith("2 tracks of GTZAN, such as rock.00007, are there more")


def test_eleventh_genre(tmp_path):
    lay_out(tmp_path)
    (tmp_path / "hip-hop").mkdir()
    (tmp_path / "hip-hop/a.wav").touch()
    message = error_of(tmp_path)
    assert "hip-hop" in message
    assert "did you mean hiphop" in message


@pytest.mark.parametrize("make", [False, True])
def test_missing_or_foreign_folder_says_how_to_lay_it_out(tmp_path, make):
    root = tmp_path / "a: b"
    if make:
        (root / "polka").mkdir(parents=True)
    message = error_of(root)
    assert "a: b" in message
    assert "genres_original, genres or Data/genres_original" in message


def test_table_with_artists(tmp_path):
    lay_out(tmp_path, n=1)
    rows = [f"{genre}/{genre}.00000.wav,{genre},artist of {genre}" for genre in GENRES]
    (tmp_path / "tracks.csv").write_text("\n".join(["file,label,artist", *rows]))
    found = gtzan_catalogue(tmp_path)
    assert [track.artist for track in found.tracks] == [f"artist of {genre}" for genre in GENRES]
    assert "10 tracks instead of 1000" in found.notices[0]
    (tmp_path / "tracks.csv").write_text("\n".join(["file,label,artist", *rows[:-1]]))
    assert "no tracks of rock" in error_of(tmp_path)


def test_keys_are_those_of_the_published_lists(tmp_path):
    lay_out(tmp_path)
    keys = {track_key(track.file) for track in gtzan_catalogue(tmp_path).tracks}
    assert keys.issuperset(published.filtered_train + published.filtered_valid + published.filtered_test)
