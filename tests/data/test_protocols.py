import csv
import itertools
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from genre.data.protocols import (
    PROTOCOLS,
    SIDES,
    ArtistProtocol,
    ClipRandomProtocol,
    Deal,
    FaultFilteredProtocol,
    KFoldProtocol,
    PredefinedProtocol,
    Protocol,
    TrackProtocol,
    TrackTable,
    assert_disjoint,
)
from genre.data.protocols.dealing import MUST, SHOULD, Aim, cost, deal_groups, tally
from genre.data.protocols.groups import group_tracks
from genre.data.protocols.thinning import thin_training
from genre.errors import ConfigError, ProtocolError

REAL = Path(__file__).parents[2].parent / "shared" / "audio"
NO_ARTISTS = (
    "no artists are known for this data set, so tracks of one artist may be on two sides; "
    "add an artist column to tracks.csv"
)


def table_of(rows, *, labels=None):
    """Rows are dicts: label, and optionally name, artist, content, split, n_clips, recording (by default content)."""
    labels = tuple(labels or sorted({row["label"] for row in rows}))
    names = tuple(row.get("name", f"{row['label']}/{i:05d}.wav") for i, row in enumerate(rows))
    content = tuple(row.get("content", name) for row, name in zip(rows, names, strict=True))
    return TrackTable(
        names=names,
        label=np.array([labels.index(row["label"]) for row in rows], dtype=np.int64),
        labels=labels,
        artist=tuple(row.get("artist") for row in rows),
        content=content,
        split=tuple(row.get("split") for row in rows),
        n_clips=np.array([row.get("n_clips", 2) for row in rows], dtype=np.int64),
        recording=tuple(row.get("recording", own) for row, own in zip(rows, content, strict=True)),
    )


def artists_of(label, sizes):
    return [{"label": label, "artist": f"{label}-{a}"} for a, size in enumerate(sizes) for _ in range(size)]


def sides_by_name(table, deal):
    """{(track name, number of the clip in its track): side}."""
    first = np.cumsum(table.n_clips) - table.n_clips
    track = table.clip_track
    return {
        (table.names[track[clip]], int(clip - first[track[clip]])): side for side in SIDES for clip in deal.side(side)
    }


def track_sides(table, deal):
    """{track name: its only side}."""
    sides = {}
    for (name, _), side in sides_by_name(table, deal).items():
        assert sides.setdefault(name, side) == side
    return sides


class Count(NamedTuple):
    """Tracks and clips of one class on one side."""

    side: str
    label: str
    tracks: int
    clips: int


def counted(table, deal):
    """A count for each side and class, in that order."""
    rows = []
    for side, (number, label) in itertools.product(SIDES, enumerate(table.labels)):
        track = table.clip_track[deal.side(side)]
        of_class = track[table.label[track] == number]
        rows.append(Count(side, label, len(np.unique(of_class)), len(of_class)))
    return rows


def classes_on(table, deal, side):
    return {table.labels[i] for i in table.label[np.unique(table.clip_track[deal.side(side)])]}


def on_several_sides(keys, table, deal):
    sides = track_sides(table, deal)
    seen = {}
    for key, name in zip(keys, table.names, strict=True):
        if key is not None:
            seen.setdefault(key, set()).add(sides[name])
    return {key for key, its in seen.items() if len(its) > 1}


def shuffled(table, seed):
    return table.take(np.random.default_rng(seed).permutation(len(table.names)))


@st.composite
def tables(draw):
    """Random tables: a few classes with their artists, some artists unknown or shared, some recordings repeated."""
    n_classes = draw(st.integers(1, 4))
    rows = []
    for label in range(n_classes):
        for artist in range(draw(st.integers(3, 7))):
            for _ in range(draw(st.integers(1, 5))):
                rows.append(
                    {"label": f"class{label}", "artist": f"{label}-{artist}", "n_clips": draw(st.integers(1, 4))}
                )
    changes = st.lists(st.tuples(st.integers(0, len(rows) - 1), st.integers(0, len(rows) - 1)), max_size=3)
    for i, _ in draw(changes):
        rows[i]["artist"] = None
    for i, j in draw(changes):
        rows[i]["artist"] = rows[j]["artist"]
    for i, j in draw(changes):
        rows[i]["content"] = rows[j]["content"] = f"copy-{min(i, j)}"
    for i, j in draw(changes):
        if "content" not in rows[i] and "content" not in rows[j]:
            rows[i]["recording"] = rows[j]["recording"] = f"sounds-{min(i, j)}"
    return table_of(rows)


def deal_or_skip(protocol, table):
    """Tables whose classes share artists may be impossible to deal: those are tested by name below."""
    try:
        return protocol.deal(table)
    except ProtocolError:
        assume(False)


TRACKWISE = [ArtistProtocol(), TrackProtocol(), KFoldProtocol(fold=1, n_folds=3)]
DEALING = [*TRACKWISE, ClipRandomProtocol()]
few_examples = settings(max_examples=25, deadline=None)


# --- what every protocol promises -----------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", DEALING, ids=lambda p: p.name)
@given(table=tables())
@few_examples
def test_every_clip_is_dealt_exactly_once(protocol, table):
    deal = deal_or_skip(protocol, table)
    dealt = np.concatenate([deal.train, deal.val, deal.test])
    assert sorted(dealt) == list(range(table.n_clips.sum()))
    for side in SIDES:
        clips = deal.side(side)
        assert clips.dtype == np.int64
        assert len(clips) > 0
        assert (np.diff(clips) > 0).all()


@pytest.mark.parametrize("protocol", TRACKWISE, ids=lambda p: p.name)
@given(table=tables())
@few_examples
def test_tracks_and_recordings_stay_on_one_side_and_artists_where_promised(protocol, table):
    deal = deal_or_skip(protocol, table)
    assert not on_several_sides(table.names, table, deal)
    assert not on_several_sides(table.content, table, deal)
    assert not on_several_sides(table.recording, table, deal)
    assert_disjoint(table, deal, artists=protocol.artists_apart)
    if protocol.artists_apart:
        assert not on_several_sides(table.artist, table, deal)


@pytest.mark.parametrize("protocol", DEALING, ids=lambda p: p.name)
@given(table=tables(), seed=st.integers(0, 100))
@few_examples
def test_the_deal_does_not_depend_on_the_order_of_tracks(protocol, table, seed):
    deal = deal_or_skip(protocol, table)
    other = shuffled(table, seed)
    again = protocol.deal(other)
    assert sides_by_name(table, deal) == sides_by_name(other, again)
    assert deal.notices == again.notices


@pytest.mark.parametrize("protocol", [ArtistProtocol(), TrackProtocol(), ClipRandomProtocol()], ids=lambda p: p.name)
@given(table=tables())
@few_examples
def test_every_class_is_trained_on_and_tested(protocol, table):
    deal = deal_or_skip(protocol, table)
    assert classes_on(table, deal, "train") == classes_on(table, deal, "test") == set(table.labels)
    for label in set(table.labels) - classes_on(table, deal, "val"):
        assert any(label in notice and "validation" in notice for notice in deal.notices)


@pytest.mark.parametrize("name", ["artist", "track", "clip_random", "kfold"])
def test_a_deal_is_repeatable_and_another_seed_gives_another(name):
    table = table_of([row for label in "abc" for row in artists_of(label, [3] * 12)])
    first, again, other = (PROTOCOLS[name](seed=seed).deal(table) for seed in (3, 3, 4))
    assert all(np.array_equal(first.side(side), again.side(side)) for side in SIDES)
    assert not np.array_equal(first.test, other.test)


def test_a_track_without_clips_is_on_no_side_and_does_not_count_as_a_group():
    rows = artists_of("a", [2] * 6) + artists_of("b", [2] * 6)
    rows.insert(3, {"label": "a", "artist": "a-silent", "n_clips": 0})
    table = table_of(rows)
    deal = ArtistProtocol().deal(table)
    assert len(deal.train) + len(deal.val) + len(deal.test) == table.n_clips.sum()
    assert 3 not in table.clip_track
    kept = table.take(np.flatnonzero(table.n_clips))
    assert track_sides(table, deal) == track_sides(kept, ArtistProtocol().deal(kept))


def test_the_flags_of_the_protocols():
    assert list(PROTOCOLS) == ["artist", "track", "clip_random", "kfold", "fault_filtered", "predefined"]
    assert {name for name, protocol in PROTOCOLS.items() if protocol.leaky} == {"clip_random"}
    assert {name for name, protocol in PROTOCOLS.items() if protocol.artists_apart} == {"artist", "kfold"}


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_class_without_tracks_is_named(name):
    with pytest.raises(ProtocolError, match=r"no usable track of jazz"):
        PROTOCOLS[name]().deal(table_of(artists_of("blues", [2] * 6), labels=["blues", "jazz"]))


@pytest.mark.parametrize("name", PROTOCOLS)
def test_an_empty_table_is_an_error(name):
    with pytest.raises(ProtocolError, match=r"no usable track at all"):
        PROTOCOLS[name]().deal(table_of([]))


class _EveryThirdTrack(Protocol):
    name = "broken"

    def _sides(self, table):
        return table.per_clip(np.arange(len(table.names)) % 3), []


def test_no_protocol_can_test_a_class_that_is_not_trained_on():
    rows = [{"label": label, "name": f"{i}.wav"} for i, label in enumerate("abcaba")]
    with pytest.raises(ProtocolError, match=r"protocol=broken leaves no tracks of b and c for training"):
        _EveryThirdTrack().deal(table_of(rows))


def test_no_protocol_can_leave_a_side_empty():
    rows = [{"label": "a", "name": f"{i}.wav"} for i in range(2)]
    with pytest.raises(ProtocolError, match=r"protocol=broken leaves no tracks for the test side"):
        _EveryThirdTrack().deal(table_of(rows))


@pytest.mark.parametrize("protocol", DEALING, ids=lambda p: p.name)
def test_a_table_without_copies_is_dealt_as_if_nobody_had_looked_for_them(protocol):
    rows = [*artists_of("a", [3, 2, 2, 1, 4]), *artists_of("b", [1, 1, 5, 2])]
    looked = [row | {"recording": f"recording {number}"} for number, row in enumerate(rows)]
    one, other = protocol.deal(table_of(rows)), protocol.deal(table_of(looked))
    assert all(np.array_equal(one.side(side), other.side(side)) for side in SIDES)
    assert one.notices == other.notices


def test_copies_are_counted_in_a_notice():
    rows = [{"label": label} for label in "aaaaabbbbb"]
    for number in (0, 1, 7):
        rows[number]["recording"] = "x"
    for number in (3, 4):
        rows[number]["content"] = "y"
    told = TrackProtocol().deal(table_of(rows)).notices
    assert "2 recordings are there in several copies, 5 tracks together: these stay on one side" in told


# --- learning curves ------------------------------------------------------------------------------------------------


def groups_in_training(table, deal):
    """{class: groups of its training tracks}."""
    group = group_tracks(table, by_artist=True)
    trained = np.unique(table.clip_track[deal.train])
    return {label: set(group[trained[table.label[trained] == number]]) for number, label in enumerate(table.labels)}


@pytest.mark.parametrize("protocol", DEALING, ids=lambda p: p.name)
@given(table=tables(), share=st.floats(0.01, 0.99), more=st.floats(0.0, 1.0))
@few_examples
def test_a_share_of_the_training_side_is_whole_artists_of_every_class(protocol, table, share, more):
    whole = deal_or_skip(protocol, table)
    small = replace(protocol, train_share=share).deal(table)
    large = replace(protocol, train_share=share + more * (0.99 - share)).deal(table)
    assert np.array_equal(small.val, whole.val)
    assert np.array_equal(small.test, whole.test)
    assert set(small.train) <= set(large.train) <= set(whole.train)
    kept, had = groups_in_training(table, small), groups_in_training(table, whole)
    for label in table.labels:
        assert len(kept[label]) >= max(1, round(share * len(had[label])))
    group = group_tracks(table, by_artist=True)[table.clip_track]
    stayed = set(group[small.train])
    assert set(small.train) == {clip for clip in whole.train if group[clip] in stayed}


def test_a_share_counts_artists_class_by_class_and_says_what_is_left():
    table = table_of([*artists_of("a", [1] * 20), *artists_of("b", [3] * 10)])
    protocol = KFoldProtocol(fold=1, val=0.2)
    had = groups_in_training(table, protocol.deal(table))
    for share in (0.01, 0.25, 0.5, 0.9):
        deal = replace(protocol, train_share=share).deal(table)
        kept = groups_in_training(table, deal)
        assert {a: len(groups) for a, groups in kept.items()} == {
            a: max(1, round(share * len(groups))) for a, groups in had.items()
        }
        left = len(np.unique(table.clip_track[deal.train]))
        assert (
            f"protocol.train_share={share:g} leaves {left} of {len(had['a']) + 3 * len(had['b'])} tracks in training"
            in (deal.notices)
        )


def test_another_seed_leaves_other_artists_out_and_the_order_of_the_tracks_does_not_matter():
    split = {"train": 30, "val": 3, "test": 3}
    rows = [
        {"label": label, "artist": f"{label}-{side}-{i}", "name": f"{label}-{side}-{i}.wav", "split": side}
        for label in "ab"
        for side, n in split.items()
        for i in range(n)
    ]
    table = table_of(rows)
    deal = PredefinedProtocol(train_share=0.5).deal(table)
    other = shuffled(table, 5)
    assert track_sides(table, deal) == track_sides(other, PredefinedProtocol(train_share=0.5).deal(other))
    assert len(deal.train) == len(table.clip_track) / 36 * 15
    one, another = (thinned_by(table, seed) for seed in (0, 1))
    assert not np.array_equal(one, another)


def thinned_by(table, seed):
    sides = np.array([SIDES.index(side) for side in table.split])
    return thin_training(table, table.per_clip(sides), 0.5, seed)


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("share", [0, 1.5, -0.1, "half", False, True, float("nan")])
def test_a_share_out_of_range_is_named(name, share):
    with pytest.raises(ConfigError, match=rf"^protocol.train_share is {share!r}, but it is a share"):
        PROTOCOLS[name](train_share=share)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_file_offers_the_settings_of_its_protocol(name):
    file = Path(__file__).parents[2] / "conf" / "protocol" / f"{name}.yaml"
    settings = OmegaConf.to_container(OmegaConf.load(file))
    assert settings.pop("_target_").endswith(PROTOCOLS[name].__name__)
    assert {"name": name, **settings} == PROTOCOLS[name]().settings()


# --- groups and shares ----------------------------------------------------------------------------------------------


def test_groups_join_by_artist_and_by_content_and_through_one_another():
    rows = [
        {"label": "a", "artist": "x", "content": "1"},
        {"label": "b", "artist": "x", "content": "2"},  # the same artist under another label
        {"label": "b", "artist": "y", "content": "2"},  # another artist's copy of the same recording
        {"label": "b", "artist": "y", "content": "3"},
        {"label": "a", "artist": None, "content": "4"},
        {"label": "a", "artist": None, "content": "5"},  # unknown artists are not one artist
        {"label": "a", "artist": None, "content": "5"},
    ]
    table = table_of(rows)
    assert group_tracks(table, by_artist=True).tolist() == [0, 0, 0, 0, 1, 2, 2]
    assert group_tracks(table, by_artist=False).tolist() == [0, 1, 1, 2, 3, 4, 4]


@pytest.mark.parametrize("protocol", [ArtistProtocol(val=0.1, test=0.2), TrackProtocol(val=0.1, test=0.2)])
def test_shares_are_met_within_a_track_or_two_when_groups_are_many_and_small(protocol):
    sizes = np.random.default_rng(0).integers(1, 4, size=(4, 60))
    table = table_of([row for label, of in zip("abcd", sizes, strict=True) for row in artists_of(label, of)])
    deal = protocol.deal(table)
    for row in counted(table, deal):
        total = int((table.label == table.labels.index(row.label)).sum())
        wanted = {"train": 0.7, "val": 0.1, "test": 0.2}[row.side] * total
        assert abs(row.tracks - wanted) <= 1.5
    assert not deal.notices or protocol.name == "track"


def test_one_dominant_artist_does_not_starve_a_side():
    table = table_of(artists_of("a", [40, 1, 1]) + artists_of("b", [2, 2, 2]) + artists_of("c", [1] * 20))
    deal = ArtistProtocol().deal(table)
    assert all(classes_on(table, deal, side) == {"a", "b", "c"} for side in SIDES)
    assert {track_sides(table, deal)[name] for name in table.names[:40]} == {"train"}


def test_where_one_side_must_be_small_it_is_validation():
    table = table_of(artists_of("a", [17, 12, 11, 1, 1]) + artists_of("b", [1] * 20))
    counts = {(row.side, row.label): row.tracks for row in counted(table, ArtistProtocol().deal(table))}
    assert [counts[side, "a"] for side in SIDES] == [29, 2, 11]


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_the_deal_is_nearly_the_best_of_all_deals(data):
    n_groups, n_classes = data.draw(st.integers(3, 7)), data.draw(st.integers(1, 3))
    row = st.lists(st.sampled_from([0, 0, 1, 2, 5, 9]), min_size=n_classes, max_size=n_classes)
    counts = np.array(data.draw(st.lists(row, min_size=n_groups, max_size=n_groups)))
    assume((counts.sum(axis=1) > 0).all() and ((counts > 0).sum(axis=0) >= 2).all())
    target = np.outer([0.7, 0.15, 0.15], counts.sum(axis=0))
    need = np.repeat([[MUST], [SHOULD], [MUST]], n_classes, axis=1)
    aim = Aim(target, need, np.ones(3))
    every = [tally(counts, np.array(sides), 3) for sides in itertools.product(range(3), repeat=n_groups)]
    best = cost(np.stack(every), aim).min()
    dealt = tally(counts, deal_groups(counts, aim, np.random.default_rng(0)), 3)
    assert cost(dealt, aim) <= best + 0.1


def test_no_class_is_absent_from_a_side_that_another_deal_of_few_groups_would_give_it():
    counts = np.array([[1, 0, 0], [1, 1, 1], [5, 0, 1], [0, 1, 1]])
    aim = Aim(np.outer([0.7, 0.15, 0.15], [7, 2, 3]), np.repeat([[MUST], [SHOULD], [MUST]], 3, axis=1), np.ones(3))
    dealt = tally(counts, deal_groups(counts, aim, np.random.default_rng(0)), 3)
    assert (dealt == 0).sum() == 1


def test_cost_is_zero_for_the_wanted_shares_and_rises_faster_below_them_than_above():
    aim = Aim(np.array([[70.0], [15.0], [15.0]]), np.zeros((3, 1)), np.ones(3))

    def of(*dealt):
        return float(cost(np.array(dealt)[:, None], aim))

    assert of(70, 15, 15) == pytest.approx(0)
    assert of(70, 5, 25) > of(70, 10, 20) > 0
    low = 0.15 * np.log(15 / 5) - 0.15 + 0.05  # t log(t / p) - t + p, by hand
    high = 0.15 * np.log(15 / 25) - 0.15 + 0.25
    assert of(70, 5, 25) == pytest.approx(low + high)
    assert low > high


def test_thousands_of_groups_are_dealt_to_exact_shares():
    rng = np.random.default_rng(0)
    counts = np.zeros((20_000, 4), dtype=np.int64)
    counts[np.arange(20_000), rng.integers(0, 4, 20_000)] = rng.integers(1, 6, 20_000)
    aim = Aim(np.outer([0.7, 0.15, 0.15], counts.sum(axis=0)), np.full((3, 4), SHOULD), np.ones(3))
    shares = tally(counts, deal_groups(counts, aim, rng), 3) / counts.sum(axis=0)
    assert shares == pytest.approx(np.outer([0.7, 0.15, 0.15], np.ones(4)), abs=0.002)


# --- few groups -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shares", [(0.15, 0.15), (0.1, 0.6)])
def test_a_class_with_two_artists_has_the_larger_in_train_and_none_in_validation(shares):
    table = table_of(artists_of("pop", [3] * 8) + artists_of("reggae", [16, 28]))
    for seed in range(5):
        deal = ArtistProtocol(*shares, seed=seed).deal(table)
        sides = Counter(side for name, side in track_sides(table, deal).items() if name.startswith("reggae"))
        assert sides == {"train": 28, "test": 16}
        assert deal.notices == ("reggae has only 2 artists: none of its tracks are in validation",)


def test_several_classes_with_two_artists_share_one_notice():
    table = table_of([r for label, n in {"a": 2, "b": 2, "c": 5}.items() for r in artists_of(label, [2] * n)])
    assert ArtistProtocol().deal(table).notices == (
        "a and b have only 2 artists each: none of their tracks are in validation",
    )


@pytest.mark.parametrize("name", ["artist", "kfold"])
def test_a_class_with_one_artist_is_an_error_that_names_it_and_the_remedy(name):
    table = table_of(artists_of("pop", [3] * 8) + artists_of("reggae", [5]))
    with pytest.raises(ProtocolError) as error:
        PROTOCOLS[name]().deal(table)
    assert str(error.value) == (
        f"reggae has only 1 artist, and protocol={name} needs at least 2 in a class, to train on one and test on "
        "another: add tracks by other artists, or use protocol=track"
    )


def test_a_single_recording_is_not_helped_by_the_track_protocol():
    table = table_of(artists_of("pop", [3] * 8) + [{"label": "rock", "artist": "r", "content": "x"}] * 1)
    with pytest.raises(ProtocolError, match=r"rock has only 1 artist.*: add tracks by other artists$"):
        ArtistProtocol().deal(table)
    with pytest.raises(ProtocolError, match=r"rock has only 1 recording, and protocol=track .*: add recordings$"):
        TrackProtocol().deal(table)


def test_two_artists_with_one_recording_are_one_group_and_called_so():
    rows = artists_of("pop", [3] * 8) + [{"label": "rock", "artist": a, "content": "same"} for a in "xy"]
    rows += [{"label": "rock", "artist": "x", "content": "more"}]
    with pytest.raises(ProtocolError, match=r"rock has only 1 group of tracks that share an artist or a recording"):
        ArtistProtocol().deal(table_of(rows))


def test_copies_of_two_recordings_are_two_recordings():
    copies = [{"label": "rock", "content": c} for c in "xxxyy"]
    table = table_of(artists_of("pop", [1] * 8) + copies)
    deal = TrackProtocol().deal(table)
    sides = track_sides(table, deal)
    assert [sides[name] for name in table.names[8:]] == ["train"] * 3 + ["test"] * 2
    assert "rock has only 2 recordings: none of its tracks are in validation" in deal.notices


def test_validation_may_not_be_empty_overall():
    table = table_of(artists_of("a", [2, 3]) + artists_of("b", [4, 1]))
    with pytest.raises(ProtocolError, match=r"a and b have only 2 artists each, so no tracks are left for validation"):
        ArtistProtocol().deal(table)


def test_an_artist_under_two_labels_is_on_one_side():
    rows = artists_of("classical", [4] * 5) + artists_of("jazz", [4] * 5)
    rows += [{"label": label, "artist": "both"} for label in ("classical", "jazz", "jazz")]
    for seed in range(10):
        table = table_of(rows)
        sides = track_sides(table, ArtistProtocol(seed=seed).deal(table))
        assert len({sides[name] for name in table.names[-3:]}) == 1


def test_classes_that_cannot_all_be_trained_on_and_tested_are_an_error():
    # Three artists, each under two of three labels: wherever they are dealt, one class is not both trained and tested.
    pairs = {"x": "ab", "y": "bc", "z": "ac"}
    table = table_of([{"label": label, "artist": artist} for artist, both in pairs.items() for label in both])
    for protocol in (ArtistProtocol(), KFoldProtocol(n_folds=2)):
        with pytest.raises(ProtocolError, match=r"cannot be both trained on and tested.*use protocol=track"):
            protocol.deal(table)


def test_a_class_that_cannot_be_validated_for_want_of_free_artists_is_told():
    # b forces x and y to train and test, c forces x and z there: all of a's artists are taken.
    rows = [{"label": "a", "artist": artist} for artist in "xyz"]
    rows += [{"label": label, "artist": artist} for label, artist in ("bx", "by", "cx", "cz")]
    deal = ArtistProtocol().deal(table_of(rows + artists_of("d", [2] * 5)))
    assert "no tracks of a are in validation, because the same artists appear under other labels too" in deal.notices


def test_notices_about_unknown_artists():
    rows = [{"label": label} for label in "ab" for _ in range(8)]
    for name in ("artist", "kfold"):
        assert NO_ARTISTS in PROTOCOLS[name]().deal(table_of(rows)).notices
    rows += artists_of("a", [2] * 5) + artists_of("b", [2] * 5)
    assert ArtistProtocol().deal(table_of(rows)).notices == (
        "16 of 36 tracks have no artist, so tracks of one artist may be on two sides; "
        "fill in the artist column of tracks.csv",
    )


def test_the_track_protocol_says_how_many_artists_are_on_two_sides():
    table = table_of(artists_of("a", [10, 10]) + artists_of("b", [1] * 20))
    (notice,) = TrackProtocol().deal(table).notices
    assert notice.startswith("tracks of one artist may be on two sides (2 of 22 artists are)")


# --- clips at random ------------------------------------------------------------------------------------------------


def test_clip_random_is_stratified_and_says_that_it_leaks():
    rows = [{"label": label, "n_clips": 10} for label, n in {"a": 10, "b": 4}.items() for _ in range(n)]
    table = table_of(rows)
    deal = ClipRandomProtocol().deal(table)
    counts = {(row.side, row.label): (row.clips, row.tracks) for row in counted(table, deal)}
    assert [counts[side, "a"][0] for side in SIDES] == [70, 15, 15]
    assert [counts[side, "b"][0] for side in SIDES] == [28, 6, 6]
    assert counts["train", "a"][1] == 10  # every track is trained on
    assert counts["test", "a"][1] > 3
    assert len(deal.notices) == 1
    assert deal.notices[0].startswith("leaked: ")


@pytest.mark.parametrize("shares", [(0.15, 0.15), (0.01, 0.01), (0.49, 0.5), (0.01, 0.98)])
@pytest.mark.parametrize("n_clips", [3, 4, 10])
def test_clip_random_leaves_no_side_of_a_class_empty(shares, n_clips):
    table = table_of([{"label": "a", "n_clips": n_clips}, {"label": "b", "n_clips": 100}])
    deal = ClipRandomProtocol(*shares).deal(table)
    assert all(classes_on(table, deal, side) == {"a", "b"} for side in SIDES)


def test_clip_random_needs_three_clips_of_a_class():
    rows = [{"label": "a", "n_clips": 2}, {"label": "b", "n_clips": 9}]
    with pytest.raises(
        ProtocolError, match=r"^a has only 2 clips, .*: add recordings, or set a smaller data.clip_sec$"
    ):
        ClipRandomProtocol().deal(table_of(rows))


# --- k-fold ---------------------------------------------------------------------------------------------------------


@given(table=tables(), n_folds=st.integers(2, 4), seed=st.integers(0, 3))
@few_examples
def test_every_track_is_tested_in_exactly_one_fold(table, n_folds, seed):
    deals = [deal_or_skip(KFoldProtocol(fold, n_folds, seed=seed), table) for fold in range(n_folds)]
    tested = np.concatenate([deal.test for deal in deals])
    assert sorted(tested) == list(range(table.n_clips.sum()))
    for deal in deals:
        assert classes_on(table, deal, "train") == set(table.labels)
        assert len(deal.val) > 0


def test_folds_are_balanced_and_validation_has_its_share():
    table = table_of([row for label in "ab" for row in artists_of(label, [1, 2, 3] * 10)])
    for fold in range(5):
        deal = KFoldProtocol(fold=fold).deal(table)
        shares = {side: len(deal.side(side)) / table.n_clips.sum() for side in SIDES}
        assert shares == pytest.approx({"train": 0.65, "val": 0.15, "test": 0.2}, abs=0.03)
        assert deal.notices == ()


def test_a_class_with_fewer_artists_than_folds_is_tested_in_some_folds_and_named():
    table = table_of(artists_of("pop", [3] * 10) + artists_of("reggae", [28, 16]))
    deals = [KFoldProtocol(fold=fold).deal(table) for fold in range(5)]
    tested = ["reggae" in classes_on(table, deal, "test") for deal in deals]
    assert sum(tested) == 2
    for fold, deal in enumerate(deals):
        assert deal.notices[0] == ("reggae has only 2 artists, so with 5 folds it is tested in some of them only")
        absent = "validation" if tested[fold] else "test"
        assert deal.notices[1:] == (f"in fold {fold} no tracks of reggae are in {absent}",)


def test_more_folds_than_groups_is_an_error():
    table = table_of(artists_of("a", [2] * 3) + artists_of("b", [2] * 3))
    with pytest.raises(ProtocolError, match=r"protocol.n_folds=7 is too many for 6 groups"):
        KFoldProtocol(n_folds=7).deal(table)


def test_k_fold_needs_something_left_to_validate_on():
    table = table_of(artists_of("a", [2, 2]) + artists_of("b", [2, 2]))
    with pytest.raises(ProtocolError, match=r"no tracks are left for validation"):
        KFoldProtocol(n_folds=2).deal(table)


# --- sides fixed by somebody else -----------------------------------------------------------------------------------


def gtzan_table(keep=lambda stem: True, *, extension="wav", **columns):
    genres = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
    rows = [
        {"name": f"{genre}/{genre}.{i:05d}.{extension}", "label": genre} | columns
        for genre in genres
        for i in range(100)
        if keep(f"{genre}.{i:05d}")
    ]
    return table_of(rows)


def fault_filtered_lists():
    from torchaudio.datasets import gtzan

    return {"train": gtzan.filtered_train, "val": gtzan.filtered_valid, "test": gtzan.filtered_test}


def test_fault_filtered_knows_tracks_without_an_extension_too():
    """As the column ``track`` of a table of features may name them."""
    table = gtzan_table()
    bare = replace(table, names=tuple(name.removesuffix(".wav") for name in table.names))
    one, other = (FaultFilteredProtocol().deal(each) for each in (table, bare))
    assert all(np.array_equal(one.side(side), other.side(side)) for side in ("train", "val", "test"))


@pytest.mark.parametrize("extension", ["wav", "au", "flac"])
def test_fault_filtered_deals_gtzan_by_the_published_lists(extension):
    table = gtzan_table(extension=extension)
    deal = FaultFilteredProtocol().deal(table)
    sides = track_sides(table, deal)
    assert Counter(sides.values()) == {"train": 443, "val": 197, "test": 290}
    for side, stems in fault_filtered_lists().items():
        assert {name.split("/")[1].removesuffix(f".{extension}") for name in sides if sides[name] == side} == set(stems)
    assert deal.notices == ("70 of 1000 tracks are in none of the fault-filtered lists and are left out",)


def test_fault_filtered_says_what_is_missing_of_its_lists():
    deal = FaultFilteredProtocol().deal(gtzan_table(lambda stem: stem != "jazz.00054"))
    assert any(
        notice.startswith("1 of the 930 tracks of the fault-filtered lists is not here") for notice in deal.notices
    )


def test_fault_filtered_without_the_test_tracks_names_the_side():
    test = set(fault_filtered_lists()["test"])
    with pytest.raises(ProtocolError) as error:
        FaultFilteredProtocol().deal(gtzan_table(lambda stem: stem not in test))
    assert str(error.value) == (
        "of these tracks the fault-filtered lists have none in test: use the whole of GTZAN, or protocol=artist"
    )


def test_fault_filtered_without_a_class_on_a_side_names_both():
    lists = fault_filtered_lists()
    gone = {stem for stem in lists["test"] if stem.startswith("jazz")}
    gone |= {stem for stem in lists["val"] if stem.startswith(("hiphop", "reggae"))}
    with pytest.raises(ProtocolError, match=r"have none of hiphop and reggae in validation and none of jazz in test: "):
        FaultFilteredProtocol().deal(gtzan_table(lambda stem: stem not in gone))


def test_fault_filtered_is_for_gtzan_only():
    rows = artists_of("blues", [2] * 5)
    with pytest.raises(ProtocolError, match=r"^blues/00000.wav is not named like a GTZAN track.*use protocol=artist$"):
        FaultFilteredProtocol().deal(table_of(rows))


def test_fault_filtered_counts_artists_on_two_sides():
    (_, notice) = FaultFilteredProtocol().deal(gtzan_table(artist="everybody")).notices
    assert notice == "1 artist has tracks on more than one side, as the given split has it: everybody"


def predefined_rows(**columns):
    return [{"label": label, "split": side} | columns for label in "ab" for side in ("train", "val", "test", "train")]


def test_predefined_follows_the_split_column_and_leaves_the_rest_out():
    table = table_of([*predefined_rows(), {"label": "a"}])
    deal = PredefinedProtocol().deal(table)
    sides = track_sides(table, deal)
    assert sides == {name: split for name, split in zip(table.names, table.split, strict=True) if split}
    assert deal.notices == ("1 of 9 tracks has no split in tracks.csv and is left out",)


def test_predefined_without_a_split_column():
    with pytest.raises(ProtocolError, match=r"add a column split with train, val and test to tracks.csv"):
        PredefinedProtocol().deal(table_of([{"label": label} for label in "abab"]))


def test_predefined_with_an_unknown_side_suggests_one():
    rows = [*predefined_rows(), {"label": "a", "split": "trian", "name": "a/x.wav"}]
    with pytest.raises(ProtocolError, match=r"the split of a/x.wav is 'trian': did you mean train"):
        PredefinedProtocol().deal(table_of(rows))


def test_predefined_with_an_empty_side_names_it():
    rows = [row for row in predefined_rows() if row["split"] != "val"]
    with pytest.raises(ProtocolError, match=r"^of these tracks the split column has none in validation: fill in"):
        PredefinedProtocol().deal(table_of(rows))


@pytest.mark.parametrize(("side", "word"), [("train", "training"), ("test", "test")])
def test_predefined_with_a_class_missing_on_a_side_names_it(side, word):
    rows = [row for row in predefined_rows() if row != {"label": "b", "split": side}]
    with pytest.raises(ProtocolError, match=rf"the split column has none of b in {word}: "):
        PredefinedProtocol().deal(table_of(rows))


def test_predefined_without_validation_of_a_class_is_told():
    rows = [row for row in predefined_rows() if row != {"label": "b", "split": "val"}]
    assert PredefinedProtocol().deal(table_of(rows)).notices == ("the split column gives no tracks of b to validation",)


@pytest.mark.parametrize("train_share", [1.0, 0.5])
def test_predefined_needs_only_test_tracks_where_a_trained_model_is_tested(train_share):
    table = table_of([row | {"split": "test"} for row in predefined_rows()])
    protocol = PredefinedProtocol(train_share=train_share)
    deal = protocol.deal(table, only_test=True)
    assert set(track_sides(table, deal).values()) == {"test"}
    assert len(deal.test) == table.n_clips.sum()
    assert not deal.notices
    with pytest.raises(ProtocolError, match=r"the split column has none in training and validation: fill in"):
        protocol.deal(table)


@pytest.mark.parametrize(("left", "sentence"), [("train", "none in test"), ("b", "none of b in test")])
def test_predefined_needs_test_tracks_of_every_class_where_a_trained_model_is_tested(left, sentence):
    rows = [row | {"split": "train" if left in ("train", row["label"]) else "test"} for row in predefined_rows()]
    with pytest.raises(ProtocolError, match=rf"^of these tracks the split column has {sentence}: fill in"):
        PredefinedProtocol().deal(table_of(rows), only_test=True)


def test_predefined_with_one_recording_on_two_sides_is_an_error():
    rows = predefined_rows()
    rows[0]["content"] = rows[2]["content"] = "same"
    with pytest.raises(ProtocolError) as error:
        PredefinedProtocol().deal(table_of(rows))
    assert str(error.value) == (
        "a/00000.wav (training) and a/00002.wav (test) are the same recording on two sides: "
        "remove one of them, or give both the same side"
    )


def test_predefined_tells_of_copies_on_two_sides():
    rows = predefined_rows()
    rows[0]["recording"] = rows[2]["recording"] = "same"
    table = table_of(rows)
    deal = PredefinedProtocol().deal(table)
    assert deal.notices == (
        "1 recording has copies on more than one side, as the given split has it, so the figures are too high for new "
        "music: a/00000.wav (training) and a/00002.wav (test)",
    )
    PredefinedProtocol().check(table, deal)


def test_predefined_counts_artists_on_two_sides():
    table = table_of([row | {"artist": f"{row['label']}-1"} for row in predefined_rows()])
    deal = PredefinedProtocol().deal(table)
    assert deal.notices == ("2 artists have tracks on more than one side, as the given split has it: a-1 and b-1",)
    PredefinedProtocol().check(table, deal)


# --- the disjointness assertion -------------------------------------------------------------------------------------


def four_tracks(**columns):
    return table_of([{"label": "a", "name": f"{i}.wav"} | {k: v[i] for k, v in columns.items()} for i in range(4)])


def deal_of(train, val, test):
    return Deal(*(np.array(clips, dtype=np.int64) for clips in (train, val, test)))


def test_disjoint_sides_pass():
    assert_disjoint(four_tracks(artist="wxyz"), deal_of([0, 1], [2, 3], [4, 5, 6, 7]), artists=True)


def test_a_clip_on_two_sides_is_always_an_error():
    for leaky in (False, True):
        with pytest.raises(ProtocolError, match="same clip is on two sides"):
            assert_disjoint(four_tracks(), deal_of([0, 1], [2], [1]), artists=False, leaky=leaky)


def test_a_track_on_two_sides_is_an_error_unless_leaky():
    table, deal = four_tracks(), deal_of([0, 2, 3], [4, 5], [1])
    with pytest.raises(ProtocolError, match=r"clips of 0.wav are on two sides \(training and test\)"):
        assert_disjoint(table, deal, artists=False)
    assert_disjoint(table, deal, artists=False, leaky=True)


def test_a_recording_on_two_sides_is_an_error_unless_leaky():
    table, deal = four_tracks(content="abcb"), deal_of([0, 1, 2, 3], [4, 5], [6, 7])
    with pytest.raises(ProtocolError, match=r"1.wav \(training\) and 3.wav \(test\) are the same recording"):
        assert_disjoint(table, deal, artists=False)
    assert_disjoint(table, deal, artists=False, leaky=True)


def test_copies_on_two_sides_are_an_error_where_they_are_kept_apart():
    table, deal = four_tracks(recording="abcb"), deal_of([0, 1, 2, 3], [4, 5], [6, 7])
    with pytest.raises(ProtocolError, match=r"1.wav \(training\) and 3.wav \(test\) are copies of one recording"):
        assert_disjoint(table, deal, artists=False)
    assert_disjoint(table, deal, artists=False, copies=False)


def test_an_artist_on_two_sides_is_an_error_where_artists_are_kept_apart():
    table, deal = four_tracks(artist=("x", None, None, "x")), deal_of([0, 1, 2, 3], [4, 5], [6, 7])
    with pytest.raises(ProtocolError, match=r"0.wav \(training\) and 3.wav \(test\) are by one artist \(x\)"):
        assert_disjoint(table, deal, artists=True)
    assert_disjoint(table, deal, artists=False)


def test_a_deal_of_other_tracks_is_an_error():
    with pytest.raises(ProtocolError, match="does not fit these tracks, which have 8 clips"):
        assert_disjoint(four_tracks(), deal_of([0], [1], [8]), artists=False, leaky=True)


@given(table=tables(), data=st.data())
@few_examples
def test_check_notices_any_track_moved_to_another_side(table, data):
    protocol = ArtistProtocol()
    deal = deal_or_skip(protocol, table)
    several = [artist for artist, n in Counter(table.artist).items() if artist is not None and n > 1]
    assume(several)
    moved = table.artist.index(data.draw(st.sampled_from(several)))
    clips = np.flatnonzero(table.clip_track == moved)
    old = track_sides(table, deal)[table.names[moved]]
    new = data.draw(st.sampled_from([side for side in SIDES if side != old]))
    sides = {side: deal.side(side) for side in SIDES}
    sides[old], sides[new] = np.setdiff1d(sides[old], clips), np.union1d(sides[new], clips)
    with pytest.raises(ProtocolError):
        protocol.check(table, Deal(**sides))


# --- settings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["artist", "track", "clip_random"])
@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"val": 0}, "protocol.val is 0,"),
        ({"val": -0.1}, "protocol.val is -0.1,"),
        ({"test": 1.0}, "protocol.test is 1.0,"),
        ({"test": "much"}, "protocol.test is 'much',"),
        ({"test": float("nan")}, "protocol.test is nan,"),
        ({"val": True}, "protocol.val is True,"),
        ({"val": None}, "protocol.val is None,"),
        ({"val": 0.5, "test": 0.5}, "protocol.val=0.5 and protocol.test=0.5 leave nothing to train on"),
        ({"seed": -1}, "protocol.seed is -1,"),
        ({"seed": 0.5}, "protocol.seed is 0.5,"),
        ({"seed": 2**32}, "protocol.seed is 4294967296,"),
    ],
)
def test_wrong_shares_and_seeds_are_named(name, wrong, sentence):
    with pytest.raises(ConfigError) as error:
        PROTOCOLS[name](**wrong)
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"n_folds": 1}, "protocol.n_folds is 1, but it must be a whole number of at least 2"),
        ({"fold": 5}, "protocol.fold is 5, but it must be a whole number from 0 to 4"),
        ({"fold": -1}, "protocol.fold is -1,"),
        ({"fold": 1.5}, "protocol.fold is 1.5,"),
        ({"seed": -1}, "protocol.seed is -1,"),
        ({"seed": 2**32}, "protocol.seed is 4294967296, but it must be a whole number from 0 to 4294967295"),
        ({"val": 1}, "protocol.val is 1,"),
        ({"n_folds": 2, "val": 0.5}, "protocol.val=0.5 and a test fold of 1/2 leave nothing to train on"),
    ],
)
def test_wrong_folds_are_named(wrong, sentence):
    with pytest.raises(ConfigError) as error:
        KFoldProtocol(**wrong)
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_settings_make_the_same_protocol_again(name):
    settings = PROTOCOLS[name]().settings()
    assert settings.pop("name") == name
    assert PROTOCOLS[name](**settings) == PROTOCOLS[name]()


@pytest.mark.parametrize(
    "wrong",
    [
        {"label": np.array([0, 2])},
        {"label": np.array([0.0, 1.0])},
        {"label": np.array([0])},
        {"names": ("x", "x")},
        {"n_clips": np.array([1, -1])},
        {"artist": ()},
        {"recording": ("1",)},
    ],
)
def test_a_table_that_contradicts_itself_is_refused(wrong):
    right = {
        "names": ("x", "y"),
        "label": np.array([0, 1]),
        "labels": ("a", "b"),
        "artist": (None, None),
        "content": ("1", "2"),
        "split": (None, None),
        "n_clips": np.array([1, 1]),
    }
    TrackTable(**right)
    with pytest.raises(ValueError, match=r"\w"):
        TrackTable(**right | wrong)


def test_clips_are_numbered_track_by_track():
    table = table_of([{"label": "a", "n_clips": n} for n in (2, 0, 3)])
    assert table.clip_track.tolist() == [0, 0, 2, 2, 2]


def test_importing_protocols_is_light():
    code = "import sys, genre.data.protocols; print({'torch', 'torchaudio', 'pandas', 'sklearn'} & set(sys.modules))"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert printed.stdout.strip() == "set()"


# --- real tracks ----------------------------------------------------------------------------------------------------


def real_table(folder, split=None):
    path = REAL / folder / "tracks.csv"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return table_of(
        [
            {
                "name": r["file"],
                "label": r["label"],
                "artist": r["artist"],
                "n_clips": max(int(float(r["seconds"])) // 3, 1),
            }
            | ({"split": split(r)} if split else {})
            for r in rows
        ]
    )


@pytest.mark.real_audio
def test_gtzan_part_is_dealt_by_artist():
    table = real_table("gtzan_part")
    deal = ArtistProtocol().deal(table)
    assert not on_several_sides(table.artist, table, deal)
    assert deal.notices == ("reggae has only 2 artists: none of its tracks are in validation",)
    rows = {(row.side, row.label): row for row in counted(table, deal)}
    assert rows["train", "reggae"].tracks == 28
    assert rows["test", "reggae"].tracks == 16
    assert all(row.tracks >= 1 for key, row in rows.items() if key != ("val", "reggae"))
    assert all(26 <= rows["train", label].tracks <= 31 for label in table.labels)


@pytest.mark.real_audio
def test_emotify_part_is_dealt_by_artist_to_nearly_exact_shares():
    table = real_table("emotify_part")
    deal = ArtistProtocol().deal(table)
    assert not on_several_sides(table.artist, table, deal)
    assert deal.notices == ()
    wanted = {"train": 0.7 * 72, "val": 0.15 * 72, "test": 0.15 * 72}
    assert all(abs(row.tracks - wanted[row.side]) <= 1 for row in counted(table, deal))


@pytest.mark.real_audio
@pytest.mark.parametrize("folder", ["gtzan_part", "emotify_part"])
def test_real_tracks_are_each_tested_once_in_five_folds(folder):
    table = real_table(folder)
    deals = [KFoldProtocol(fold=fold).deal(table) for fold in range(5)]
    assert sorted(np.concatenate([deal.test for deal in deals])) == list(range(table.n_clips.sum()))
    assert not any(on_several_sides(table.artist, table, deal) for deal in deals)


@pytest.mark.real_audio
def test_gtzan_part_lacks_classes_of_the_fault_filtered_split_and_the_error_says_which():
    with pytest.raises(
        ProtocolError, match=r"have none of classical, hiphop and reggae in validation and none of jazz in test: "
    ):
        FaultFilteredProtocol().deal(real_table("gtzan_part"))


@pytest.mark.real_audio
def test_the_fault_filtered_column_of_gtzan_part_agrees_with_the_published_lists():
    column = {"train": "train", "valid": "val", "test": "test", "excluded": None}
    table = real_table("gtzan_part", split=lambda row: column[row["fault_filtered"]])
    listed = {stem: side for side, stems in fault_filtered_lists().items() for stem in stems}
    assert [listed.get(Path(name).stem) for name in table.names] == list(table.split)
