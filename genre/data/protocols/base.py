"""What all protocols have in common: checked settings, and a checked deal whatever the order of the tracks."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import ClassVar

import numpy as np

from genre.checks import is_number, is_whole
from genre.data.protocols.disjoint import assert_disjoint
from genre.data.protocols.groups import listing
from genre.data.protocols.table import SIDE_WORDS, SIDES, TEST, TRAIN, Deal, IntArray, TrackTable
from genre.data.protocols.thinning import thin_training
from genre.data.randomness import LARGEST_SEED
from genre.errors import ConfigError, ProtocolError


@dataclass(frozen=True)
class Protocol(ABC):
    """How tracks are dealt to train, val and test, and what may not be on two sides.

    Parameters
    ----------
    train_share
        Share of the artists of each class, above 0 and at most 1, that stay in training; the rest is on no side. What
        is validated and tested does not depend on it, so several shares give a learning curve.

    Raises
    ------
    ConfigError
        When it is out of range.

    Attributes
    ----------
    name
        Its name in configs and reports.
    leaky
        Whether clips of one recording may be on two sides, which makes its figures meaningless for new music.
    copies_apart
        Whether it guarantees that no copies of one recording, however encoded or cut, are on two sides.
    artists_apart
        Whether it guarantees that no known artist is on two sides.
    """

    name: ClassVar[str]
    leaky: ClassVar[bool] = False
    copies_apart: ClassVar[bool] = True
    artists_apart: ClassVar[bool] = False

    train_share: float = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        if isinstance(self.train_share, bool) or self.train_share != 1:
            check_share("protocol.train_share", self.train_share)

    def settings(self) -> dict[str, str | int | float]:
        """Return the protocol as plain values: its name, and the arguments that make it again."""
        return {"name": self.name, **asdict(self)}

    def deal(self, table: TrackTable, *, only_test: bool = False) -> Deal:
        """Deal the clips of ``table`` to the three sides.

        The deal depends on the tracks and the settings, not on the order of the tracks.

        Parameters
        ----------
        table
            The tracks.
        only_test
            Whether a model that is trained already is tested: sides other than test may then be empty, where the
            protocol does not choose the sides itself.

        Raises
        ------
        ProtocolError
            When a side or a class would be left empty, or the sides are not disjoint.
        """
        order = np.array(sorted(np.flatnonzero(table.n_clips), key=lambda track: table.names[track]), dtype=np.int64)
        by_name = table.take(order)
        self._require_classes(by_name)
        sides, notices = self._sides_to_test(by_name) if only_test else self._sides(by_name)
        if self.train_share < 1 and (sides == TRAIN).any():
            thinned = thin_training(by_name, sides, self.train_share, getattr(self, "seed", 0))
            notices = [*notices, self._about_share(by_name, sides, thinned)]
            sides = thinned
        first_clip = np.cumsum(table.n_clips) - table.n_clips
        offset = np.arange(len(by_name.clip_track)) - by_name.per_clip(np.cumsum(by_name.n_clips) - by_name.n_clips)
        clips = by_name.per_clip(first_clip[order]) + offset
        train, val, test = (np.sort(clips[sides == side]) for side in range(len(SIDES)))
        deal = Deal(train=train, val=val, test=test, notices=tuple(notices))
        self._require_sides(deal, SIDES[TEST:] if only_test else SIDES)
        if not only_test:
            self._require_learnt(table, deal)
        self.check(table, deal)
        return deal

    def check(self, table: TrackTable, deal: Deal) -> None:
        """Raise ProtocolError when something is on two sides that this protocol keeps apart."""
        assert_disjoint(table, deal, artists=self.artists_apart, copies=self.copies_apart, leaky=self.leaky)

    @abstractmethod
    def _sides(self, table: TrackTable) -> tuple[IntArray, list[str]]:
        """Return the side of each clip of a table sorted by name (or ``LEFT_OUT``), and the notices."""

    def _sides_to_test(self, table: TrackTable) -> tuple[IntArray, list[str]]:
        """Return what :meth:`_sides` does, where only test tracks are needed."""
        return self._sides(table)

    def _about_share(self, table: TrackTable, before: IntArray, after: IntArray) -> str:
        kept, had = (len(np.unique(table.clip_track[sides == TRAIN])) for sides in (after, before))
        return f"protocol.train_share={self.train_share:g} leaves {kept} of {had} tracks in training"

    def _require_classes(self, table: TrackTable) -> None:
        without = [name for label, name in enumerate(table.labels) if label not in table.label]
        if without or not table.labels:
            raise ProtocolError(
                f"there is no usable track {f'of {listing(without)}' if without else 'at all'} to deal: "
                "add tracks, or take the class out of the data set"
            )

    def _require_sides(self, deal: Deal, needed: Sequence[str]) -> None:
        empty = [SIDE_WORDS[side] for side in needed if not len(deal.side(side))]
        if empty:
            raise ProtocolError(
                f"protocol={self.name} leaves no tracks for the {' and the '.join(empty)} side: "
                "add tracks, or choose another protocol"
            )

    def _require_learnt(self, table: TrackTable, deal: Deal) -> None:
        label = table.per_clip(table.label)
        unlearnt = np.setdiff1d(label[np.concatenate([deal.val, deal.test])], label[deal.train])
        if len(unlearnt):
            raise ProtocolError(
                f"protocol={self.name} leaves no tracks of {listing(table.labels[i] for i in unlearnt)} for training, "
                "and a model cannot be tested on what it has not learnt: add tracks, or choose another protocol"
            )


@dataclass(frozen=True)
class SharesProtocol(Protocol):
    """A protocol whose validation and test sides get a share of the data each; the rest is for training.

    Parameters
    ----------
    val, test
        Shares between 0 and 1 whose sum is below 1.
    seed
        Another seed gives another deal.

    Raises
    ------
    ConfigError
        Naming the setting that is out of range.
    """

    val: float = 0.15
    test: float = 0.15
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_share("protocol.val", self.val)
        check_share("protocol.test", self.test)
        check_whole("protocol.seed", self.seed, least=0, most=LARGEST_SEED)
        if self.val + self.test >= 1:
            raise ConfigError(
                f"protocol.val={self.val} and protocol.test={self.test} leave nothing to train on: "
                "make their sum less than 1"
            )


def check_share(setting: str, value: float) -> None:
    """Raise ConfigError unless ``value`` is a number between 0 and 1, both excluded."""
    if not is_number(value) or not 0 < value < 1:
        raise ConfigError(
            f"{setting} is {value!r}, but it is a share: set it between 0 and 1, for example {setting}=0.15"
        )


def check_whole(setting: str, value: int, *, least: int, most: float = math.inf) -> None:
    """Raise ConfigError unless ``value`` is a whole number from ``least`` to ``most``."""
    if not is_whole(value, least, most):
        span = f"of at least {least}" if most == math.inf else f"from {least} to {most}"
        raise ConfigError(
            f"{setting} is {value!r}, but it must be a whole number {span}: set for example {setting}={least}"
        )
