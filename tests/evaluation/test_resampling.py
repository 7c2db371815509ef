"""Whole artists in a bootstrap: which tracks are drawn together, what that does to an interval, and the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genre.errors import DataError
from genre.evaluation.comparison import compare, track_scores
from genre.evaluation.metrics import evaluate, interval_of_mean
from genre.evaluation.predictions import track_level
from genre.evaluation.resampling import Units, read_artists, write_artists

TRACKS = ("a1", "a2", "b1", "c1", "c2", "c3")
ARTISTS = {"a1": "A", "a2": "A", "b1": "", "c1": "C", "c3": "C", "elsewhere": "D"}


def test_tracks_of_an_artist_are_one_unit_and_a_track_of_nobody_known_is_its_own() -> None:
    units = Units.of(TRACKS, ARTISTS)
    together = {frozenset(np.flatnonzero(units.number == unit).tolist()) for unit in range(units.number.max() + 1)}
    assert together == {frozenset({0, 1}), frozenset({2}), frozenset({3, 5}), frozenset({4})}
    assert units.over == "artists"
    assert sorted(units.size) == [1, 1, 2, 2]
    totals = units.totals(np.array([1.0, 0.5, 0.25, 1.0, 0.0, 1.0]))
    assert sorted(totals) == [0.0, 0.25, 1.5, 2.0]


@pytest.mark.parametrize(
    "artist",
    [{}, {track: track for track in TRACKS}, dict.fromkeys(TRACKS, "everything by one"), dict.fromkeys(TRACKS, "")],
)
def test_single_tracks_are_drawn_where_artists_say_nothing(artist: dict[str, str]) -> None:
    units = Units.of(TRACKS, artist)
    assert units.over == "tracks"
    assert units.size.tolist() == [1] * len(TRACKS)


def test_a_track_called_like_an_artist_is_another_unit() -> None:
    units = Units.of(("x", "y", "z"), {"y": "x", "z": "x"})
    assert units.number[0] != units.number[1] == units.number[2]


def test_the_interval_is_that_of_drawing_whole_artists() -> None:
    rng = np.random.default_rng(0)
    size = rng.integers(1, 9, 25)
    own = rng.random(25)
    who = np.repeat(np.arange(25), size)
    right = (rng.random(len(who)) < own[who]).astype(float)
    names = [f"{number:03}" for number in range(len(who))]
    units = Units.of(names, {name: f"artist {number}" for name, number in zip(names, who, strict=True)})
    means = []
    for _ in range(4000):
        drawn = np.concatenate([np.flatnonzero(who == artist) for artist in rng.integers(0, 25, 25)])
        means.append(right[drawn].mean())
    assert interval_of_mean(right, units) == pytest.approx(np.percentile(means, [2.5, 97.5]), abs=0.02)


@pytest.mark.parametrize("alike", [True, False])
def test_the_interval_holds_the_accuracy_of_new_artists(alike: bool) -> None:
    rng = np.random.default_rng(1)
    held = {"artists": 0, "tracks": 0}
    names = [f"{number:03}" for number in range(120)]
    artist = {name: str(number // 6) for number, name in enumerate(names)}
    for _ in range(100):
        share = rng.beta(1.3, 0.7, 20) if alike else np.full(20, 0.65)  # correlation within an artist 1/3, or none
        right = (rng.random(120) < np.repeat(share, 6)).astype(float)
        for over, known in (("artists", artist), ("tracks", {})):
            low, high = interval_of_mean(right, Units.of(names, known), n_bootstrap=1000)
            held[over] += low <= 0.65 <= high
    assert held["artists"] >= 85
    assert (held["tracks"] < held["artists"] - 5) == alike


def test_artists_change_the_interval_and_no_other_figure(make_predictions) -> None:
    table = make_predictions(60, 2)
    artist = {track: track[-6] for track in table.track}  # the tens of "track 012.wav"
    with_artists, without = evaluate(table, artist=artist), evaluate(table)
    assert (with_artists.track_accuracy_ci95_over, without.track_accuracy_ci95_over) == ("artists", "tracks")
    assert with_artists.as_dict().keys() == without.as_dict().keys()
    differing = {key for key, value in with_artists.as_dict().items() if value != without.as_dict()[key]}
    assert differing == {"track_accuracy_ci95"}


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_clips_changes_nothing(make_predictions, shuffled, seed: int) -> None:
    table = make_predictions(60, 3)
    artist = {track: track[-6] for track in table.track}
    assert evaluate(shuffled(table, seed), artist=artist).track_accuracy_ci95 == (
        evaluate(table, artist=artist).track_accuracy_ci95
    )


def test_two_models_are_compared_artist_by_artist(make_predictions) -> None:
    a, b = make_predictions(60, 1, signal=2.0), make_predictions(60, 1, signal=1.0)
    artist = {track: track[-6] for track in a.track}
    [found] = compare([track_scores([a], artist), track_scores([b], artist)])
    gain = track_level(a).correct.astype(float) - track_level(b).correct
    assert found.difference.over == "artists"
    known = interval_of_mean(gain, Units.of(track_level(a).track, artist))
    assert found.difference.ci95 == pytest.approx(known, abs=0.017)  # one track of 60


def test_the_file_keeps_any_name_and_who_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "artists.csv"
    names = {'say "x", y.wav': "AC/DC, live", "new\nline.mp3": "Björk", "plain.wav": "\udcff", "none.wav": ""}
    write_artists(path, {"val": ["plain.wav", "plain.wav"], "test": names}, names)
    assert read_artists(path) == {"val": {"plain.wav": "\udcff"}, "test": names}


def test_without_a_known_artist_there_is_no_file(tmp_path: Path) -> None:
    path = tmp_path / "artists.csv"
    write_artists(path, {"test": ["a", "b"]}, {"a": "A"})
    assert path.exists()
    write_artists(path, {"test": ["b"]}, {"a": "A"})
    assert not path.exists()
    assert read_artists(path) == {}


@pytest.mark.parametrize(
    "text", ["track,artist\na,A\n", "side,track,artist\ntest,a\n", "", 'side,track,artist\ntest,"a']
)
def test_a_file_that_is_something_else_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "artists.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=r"artists\.csv"):
        read_artists(path)
