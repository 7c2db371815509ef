"""Protocols whose sides somebody else has fixed: ``fault_filtered`` (GTZAN's published lists) and ``predefined``.

They keep tracks and identical content apart. Artists and other copies of recordings are as the lists have them: notices
count those on two sides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import ClassVar

import numpy as np

from genre.data.protocols.base import Protocol
from genre.data.protocols.disjoint import examples, on_two_sides
from genre.data.protocols.groups import listing
from genre.data.protocols.table import LEFT_OUT, SIDE_WORDS, SIDES, TEST, TRAIN, VAL, BoolArray, IntArray, TrackTable
from genre.errors import ProtocolError, near_names

_GTZAN_NAME = re.compile(r"(blues|classical|country|disco|hiphop|jazz|metal|pop|reggae|rock)\.\d{5}")


@dataclass(frozen=True)
class FaultFilteredProtocol(Protocol):
    """The fault-filtered split of GTZAN, without its repetitions, wrong labels and distortions.

    443 train, 197 validation and 290 test tracks: Kereliuk, Sturm and Larsen (2015), "Deep learning and music
    adversaries", IEEE Transactions on Multimedia 17(11). The lists are those of ``torchaudio.datasets.gtzan``, matched
    with the file's name without its folder and extension. Every class must be on all three sides, or the figures could
    not be set beside published ones.
    """

    name: ClassVar[str] = "fault_filtered"
    copies_apart: ClassVar[bool] = False

    def _sides(self, table: TrackTable) -> tuple[IntArray, list[str]]:
        stems = [_stem(name) for name in table.names]
        for name, stem in zip(table.names, stems, strict=True):
            if not _GTZAN_NAME.fullmatch(stem):
                raise ProtocolError(
                    f"{name} is not named like a GTZAN track (such as blues.00000.wav), and protocol=fault_filtered is "
                    "for GTZAN only: use protocol=artist"
                )
        listed = _fault_filtered_lists()
        side = np.array([listed.get(stem, LEFT_OUT) for stem in stems], dtype=np.int64)
        remedy = "use the whole of GTZAN, or protocol=artist"
        present = _present(table, side)
        _require_sides("the fault-filtered lists have", present, remedy, sides=(TRAIN, VAL, TEST))
        _require_classes("the fault-filtered lists have", table, present, sides=(TRAIN, VAL, TEST), remedy=remedy)
        return table.per_clip(side), [*_about_lists(stems, listed), *_about_given(table, side)]


@dataclass(frozen=True)
class PredefinedProtocol(Protocol):
    """The sides of the ``split`` column of ``tracks.csv``: ``train``, ``val`` or ``test``; empty is left out.

    Every class must be in train and test; a class without validation tracks is told in a notice. Where a trained model
    is tested, every class must be in test, and the other sides may be empty.
    """

    name: ClassVar[str] = "predefined"
    copies_apart: ClassVar[bool] = False

    def _sides(self, table: TrackTable) -> tuple[IntArray, list[str]]:
        return self._of_column(table, sides=(TRAIN, VAL, TEST), classes=(TRAIN, TEST))

    def _sides_to_test(self, table: TrackTable) -> tuple[IntArray, list[str]]:
        return self._of_column(table, sides=(TEST,), classes=(TEST,))

    def _of_column(
        self, table: TrackTable, *, sides: Sequence[int], classes: Sequence[int]
    ) -> tuple[IntArray, list[str]]:
        """Return sides and notices; raise if one of ``sides`` is empty or one of ``classes`` lacks a class."""
        remedy = "fill in the split column of tracks.csv"
        if all(split is None for split in table.split):
            raise ProtocolError(
                "protocol=predefined needs to know the side of each track: "
                "add a column split with train, val and test to tracks.csv"
            )
        for name, split in zip(table.names, table.split, strict=True):
            if split is not None and split not in SIDES:
                raise ProtocolError(f"the split of {name} is {split!r}: {near_names(split, SIDES)}")
        side = np.array([LEFT_OUT if split is None else SIDES.index(split) for split in table.split], dtype=np.int64)
        present = _present(table, side)
        _require_sides("the split column has", present, remedy, sides=sides)
        _require_classes("the split column has", table, present, sides=classes, remedy=remedy)
        return table.per_clip(side), [*_about_column(table, side, present), *_about_given(table, side)]


def _stem(name: str) -> str:
    """Return the name of a track without its folder and extension; one without an extension is kept whole."""
    path = PurePosixPath(name)
    return path.name if _GTZAN_NAME.fullmatch(path.name) else path.stem


def _fault_filtered_lists() -> dict[str, int]:
    """Return the side of each listed GTZAN track."""
    from torchaudio.datasets import gtzan

    lists = {TRAIN: gtzan.filtered_train, VAL: gtzan.filtered_valid, TEST: gtzan.filtered_test}
    return {stem: side for side, stems in lists.items() for stem in stems}


def _present(table: TrackTable, side: IntArray) -> BoolArray:
    """Say which classes are on which sides, shape=(3, n_classes)."""
    present = np.zeros((len(SIDES), len(table.labels)), dtype=bool)
    dealt = side != LEFT_OUT
    present[side[dealt], table.label[dealt]] = True
    return present


def _require_sides(source: str, present: BoolArray, remedy: str, *, sides: Sequence[int]) -> None:
    empty = [SIDE_WORDS[SIDES[side]] for side in sides if not present[side].any()]
    if empty:
        raise ProtocolError(f"of these tracks {source} none in {listing(empty)}: {remedy}")


def _require_classes(source: str, table: TrackTable, present: BoolArray, *, sides: Sequence[int], remedy: str) -> None:
    absent = [
        f"none of {listing(table.labels[i] for i in np.flatnonzero(~present[side]))} in {SIDE_WORDS[SIDES[side]]}"
        for side in sides
        if not present[side].all()
    ]
    if absent:
        raise ProtocolError(f"of these tracks {source} {listing(absent)}: {remedy}")


def _about_lists(stems: Sequence[str], listed: dict[str, int]) -> list[str]:
    notices = []
    unlisted = sum(stem not in listed for stem in stems)
    if unlisted:
        be = "is" if unlisted == 1 else "are"
        notices.append(f"{unlisted} of {len(stems)} tracks {be} in none of the fault-filtered lists and {be} left out")
    missing = len(listed.keys() - set(stems))
    if missing:
        be = "is" if missing == 1 else "are"
        notices.append(
            f"{missing} of the {len(listed)} tracks of the fault-filtered lists {be} not here, "
            "so the figures are not quite those of the published split"
        )
    return notices


def _about_column(table: TrackTable, side: IntArray, present: BoolArray) -> list[str]:
    notices = []
    left_out = int((side == LEFT_OUT).sum())
    if left_out:
        lack = "has no split in tracks.csv and is" if left_out == 1 else "have no split in tracks.csv and are"
        notices.append(f"{left_out} of {len(side)} tracks {lack} left out")
    absent = [table.labels[label] for label in np.flatnonzero(~present[VAL])]
    if absent and present[VAL].any():
        notices.append(f"the split column gives no tracks of {listing(absent)} to validation")
    return notices


def _about_given(table: TrackTable, side: IntArray) -> list[str]:
    """Say which copies and artists the given split has on more than one side."""
    present = side[:, None] == np.arange(len(SIDES))
    notices = []
    if copies := on_two_sides(table.recording, present):
        subject = "1 recording has copies" if len(copies) == 1 else f"{len(copies)} recordings have copies"
        pairs = listing((examples(table, table.recording, copy, present) for copy in copies), at_most=3)
        notices.append(
            f"{subject} on more than one side, as the given split has it, so the figures are too high for new music: "
            f"{pairs}"
        )
    if artists := on_two_sides(table.artist, present):
        subject = "1 artist has" if len(artists) == 1 else f"{len(artists)} artists have"
        names = listing(artists, at_most=3)
        notices.append(f"{subject} tracks on more than one side, as the given split has it: {names}")
    return notices
