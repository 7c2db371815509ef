"""What a checkpoint knows, and by which hash a run is told from others."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from genre.commands.build import tracks_hash, tracks_text
from genre.commands.lineage import check_unknown, continued_hash, evaluated_hash, known_artists, known_tracks
from genre.data.fingerprint import digest
from genre.data.protocols import (
    ArtistProtocol,
    ClipRandomProtocol,
    Deal,
    KFoldProtocol,
    PredefinedProtocol,
    TrackProtocol,
    TrackTable,
)
from genre.errors import CheckpointError

CONTENT = tuple(f"{number:032x}"[::-1] for number in range(6))
TABLE = TrackTable(
    names=tuple(f"{letter}.wav" for letter in "abcdef"),
    label=np.array([0, 1, 0, 1, 0, 1]),
    labels=("low", "high"),
    artist=("one", "two", None, "two", "one", None),
    content=CONTENT,
    split=("train", "train", "val", "val", "test", "test"),
    n_clips=np.full(6, 2),
)


def deal_of(sides: str) -> Deal:
    """Deal the two clips of each track to the side of its letter: t(rain), v(al), e (test)."""
    clips = np.repeat(np.array(list(sides)), 2)
    return Deal(*(np.flatnonzero(clips == letter) for letter in "tve"))


FIRST = deal_of("ttvvee")
KNOWN = {"tracks": known_tracks(TABLE, FIRST, {})}


def test_what_is_kept_of_a_track_is_short_and_adds_up() -> None:
    assert KNOWN["tracks"] == {
        "train": sorted(one[:16] for one in CONTENT[:2]),
        "val": sorted(one[:16] for one in CONTENT[2:4]),
    }
    more = known_tracks(TABLE, deal_of("tvtvee"), KNOWN)
    assert more["train"] == sorted(one[:16] for one in CONTENT[:3])
    assert more["val"] == sorted(one[:16] for one in CONTENT[1:4])


@pytest.mark.parametrize(
    ("sides", "sentence"),
    [
        ("ttvvee", None),
        ("ttttve", None),
        ("tettve", "was trained on 1 of the 3 validation and test tracks of this deal, such as b.wav; keep"),
        ("vetttt", "was trained on 2 of the 2 validation and test tracks of this deal, such as a.wav; keep"),
        ("tteevv", "had its epoch chosen by 2 of the 2 test tracks of this deal, such as c.wav; keep"),
    ],
)
@pytest.mark.parametrize("protocol", [TrackProtocol(), PredefinedProtocol()])
def test_tracks_that_are_known_are_not_judged_by(protocol, sides: str, sentence: str | None) -> None:
    deal = deal_of(sides)
    check_unknown("best.ckpt", {}, TABLE, protocol, deal)  # of an earlier version
    check_unknown("best.ckpt", KNOWN, TABLE, ClipRandomProtocol(), deal)
    if sentence is None:
        check_unknown("best.ckpt", KNOWN, TABLE, protocol, deal)
        return
    with pytest.raises(CheckpointError) as caught:
        check_unknown("best.ckpt", KNOWN, TABLE, protocol, deal)
    assert f"best.ckpt {sentence}" in str(caught.value)


def test_a_copy_counts_as_its_recording_where_copies_are_kept_apart() -> None:
    table = replace(TABLE, recording=(CONTENT[0], *CONTENT[1:5], CONTENT[0]))  # the last is another cut of the first
    deal = deal_of("ettvve")
    with pytest.raises(CheckpointError, match="trained on 2 of the 4 validation and test tracks"):
        check_unknown("best.ckpt", KNOWN, table, TrackProtocol(), deal)
    with pytest.raises(CheckpointError, match=r"trained on 1 of the 4 .* such as a\.wav"):
        check_unknown("best.ckpt", KNOWN, table, PredefinedProtocol(), deal)


def artists(*names: str) -> list[str]:
    return sorted(digest(name)[:16] for name in names)


def test_what_is_kept_of_an_artist_is_no_name_and_adds_up() -> None:
    kept = known_artists(TABLE, FIRST, {})
    assert kept == {"train": artists("one", "two"), "val": artists("two")}
    other = replace(TABLE, artist=("three", None, "four", "two", "one", None))
    assert known_artists(other, FIRST, {"artists": kept}) == {
        "train": artists("one", "two", "three"),
        "val": artists("two", "four"),
    }


@pytest.mark.parametrize(
    ("sides", "sentence"),
    [
        ("ttvvte", None),
        ("vtvtve", "was trained on 1 of the 2 validation and test artists of this deal, such as one; keep"),
        ("tevvte", "had its epoch chosen by 1 of the 1 test artists of this deal, such as two; keep"),
    ],
)
def test_artists_that_are_known_are_not_judged_by_where_they_are_kept_apart(sides: str, sentence: str | None) -> None:
    deal = deal_of(sides)
    known = {"artists": {"train": artists("one"), "val": artists("two")}}
    table = replace(TABLE, artist=("one", "two", "three", "three", "one", None))
    for protocol in (TrackProtocol(), PredefinedProtocol(), ClipRandomProtocol()):
        check_unknown("best.ckpt", known, table, protocol, deal)
    for protocol in (ArtistProtocol(), KFoldProtocol()):
        check_unknown("best.ckpt", {}, table, protocol, deal)  # of an earlier version
        if sentence is None:
            check_unknown("best.ckpt", known, table, protocol, deal)
            continue
        with pytest.raises(CheckpointError) as caught:
            check_unknown("best.ckpt", known, table, protocol, deal)
        assert f"best.ckpt {sentence}" in str(caught.value)


def test_artists_that_are_known_are_told_of_where_they_are_not_kept_apart() -> None:
    known = {"artists": {"train": artists("one"), "val": artists("two")}}
    table = replace(TABLE, artist=("one", "two", "three", "one", "one", None))
    [notice] = check_unknown("best.ckpt", known, table, PredefinedProtocol(), deal_of("vvveee"))
    assert notice.startswith("2 of 3 test tracks, such as d.wav, are by artists that best.ckpt was trained on")
    own = replace(TABLE, artist=("one", "two", "three", "one", "four", None))  # which the deal itself trains on
    assert check_unknown("best.ckpt", known, own, TrackProtocol(), deal_of("tvveee")) == ()


def test_a_checkpoint_that_names_no_artists_knows_those_of_its_tracks() -> None:
    table = replace(TABLE, artist=("one", "two", "three", None, "one", "four"))
    deal = deal_of("-tvvee")  # the first track is on no side, and its artist is tested by another
    check_unknown("best.ckpt", KNOWN, table, TrackProtocol(), deal)
    check_unknown("best.ckpt", KNOWN, replace(table, artist=(None,) * 6), ArtistProtocol(), deal)
    with pytest.raises(CheckpointError, match=r"trained on 1 of the 3 validation and test artists .* such as one;"):
        check_unknown("best.ckpt", KNOWN, table, ArtistProtocol(), deal)
    assert known_artists(table, deal, KNOWN)["train"] == artists("one", "two")


@pytest.mark.parametrize(
    "change",
    [
        {"names": ("z.wav", *TABLE.names[1:])},
        {"label": np.array([1, 1, 0, 1, 0, 1])},
        {"labels": ("high", "low")},
        {"artist": (None, *TABLE.artist[1:])},
        {"split": ("test", *TABLE.split[1:])},
        {"content": (CONTENT[1], CONTENT[0], *CONTENT[2:]), "recording": ()},
        {"recording": (CONTENT[1], *CONTENT[1:])},
    ],
    ids=lambda change: next(iter(change)),
)
def test_all_that_is_said_of_a_track_counts(change) -> None:
    assert tracks_hash(replace(TABLE, **change)) != tracks_hash(TABLE)


def test_the_order_of_tracks_does_not_count() -> None:
    assert tracks_hash(TABLE.take(np.arange(6)[::-1])) == tracks_hash(TABLE)


def test_tracks_are_told_shortly_whatever_is_said_of_them_but_name_label_and_sound() -> None:
    text = tracks_text(TABLE)
    assert re.fullmatch(r"6 in 2 classes #[0-9a-f]{6}", text)
    same = TABLE.take(np.arange(6)[::-1])
    assert text == tracks_text(same) == tracks_text(replace(TABLE, artist=(None,) * 6, n_clips=np.full(6, 3)))
    others = (
        {"names": ("z.wav", *TABLE.names[1:])},
        {"label": np.array([1, 1, 0, 1, 0, 1])},
        {"labels": ("high", "low")},
        {"content": (CONTENT[1], CONTENT[0], *CONTENT[2:])},
    )
    assert len({text, *(tracks_text(replace(TABLE, **change)) for change in others)}) == 5


def test_a_continued_run_is_the_same_run_only_with_the_same_settings() -> None:
    assert continued_hash("b", {}) == "b"
    assert continued_hash("b", {"config_hash": "a", "settings_hash": "b"}) == "a"
    others = [{"config_hash": "a", "settings_hash": "a"}, {"config_hash": "b", "settings_hash": "a"}, {"version": "0"}]
    assert len({continued_hash("b", one) for one in others} - {"a", "b"}) == 3


def test_an_evaluation_is_the_trainings_only_if_that_ended_with_it() -> None:
    finished = {"config_hash": "a", "evaluated": "data"}
    assert evaluated_hash(finished, "data", 3) == "a"
    unfinished = {"config_hash": "a"}
    others = [(finished, "other", 3), (finished, "other", 4), (unfinished, "data", 3), (unfinished, "data", 4)]
    assert len({evaluated_hash(*one) for one in others} - {"a"}) == len(others)
