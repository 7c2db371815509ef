"""The k-fold protocol: every track is tested once, artists apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from genre.data.protocols.base import Protocol, check_share, check_whole
from genre.data.protocols.dealing import MUST, SHOULD, Aim, deal_groups, tally
from genre.data.protocols.groups import Groups, listing
from genre.data.protocols.reasons import (
    about_copies,
    about_unknown_artists,
    entangled,
    nothing_to_validate,
    require_two,
)
from genre.data.protocols.table import SIDES, TEST, TRAIN, VAL, BoolArray, IntArray, TrackTable
from genre.data.randomness import LARGEST_SEED
from genre.errors import ConfigError, ProtocolError


@dataclass(frozen=True)
class KFoldProtocol(Protocol):
    """Deal groups as ``artist`` does to ``n_folds`` folds; fold number ``fold`` is the test side.

    The folds depend on ``seed`` and ``n_folds`` only, so over all values of ``fold`` every track is tested
    exactly once. Validation is dealt from the groups of the other folds.

    Parameters
    ----------
    fold
        Number of the test fold, from 0 to ``n_folds`` - 1.
    n_folds
        Number of folds, at least 2.
    val
        Share of all tracks that goes to validation; together with the test fold's 1 / ``n_folds`` below 1.
    seed
        Another seed gives other folds.

    Raises
    ------
    ConfigError
        Naming the setting that is out of range.
    """

    name: ClassVar[str] = "kfold"
    artists_apart: ClassVar[bool] = True

    fold: int = 0
    n_folds: int = 5
    val: float = 0.15
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("protocol.n_folds", self.n_folds, least=2)
        check_whole("protocol.fold", self.fold, least=0, most=self.n_folds - 1)
        check_whole("protocol.seed", self.seed, least=0, most=LARGEST_SEED)
        check_share("protocol.val", self.val)
        if self.val + 1 / self.n_folds >= 1:
            raise ConfigError(
                f"protocol.val={self.val} and a test fold of 1/{self.n_folds} leave nothing to train on: "
                f"set protocol.val below {1 - 1 / self.n_folds:.3g}"
            )

    def _sides(self, table: TrackTable) -> tuple[IntArray, list[str]]:
        groups = Groups.of(table, by_artist=True)
        require_two(self.name, groups)
        fold_of = self._folds(groups)
        side = np.full(len(fold_of), TEST)
        rest = fold_of != self.fold
        side[rest] = self._train_or_val(groups.counts[rest])
        present = tally(groups.counts, side, len(SIDES)) > 0
        if not present[VAL].any():
            raise nothing_to_validate(groups)
        notices = [*about_copies(table), *about_unknown_artists(table), *self._about_few_groups(groups, present)]
        return table.per_clip(side[groups.group]), notices

    def _folds(self, groups: Groups) -> IntArray:
        """Return the fold of each group, shape=(n_groups,)."""
        total = groups.counts.sum(axis=0)
        target = np.repeat([total / self.n_folds], self.n_folds, axis=0)
        aim = Aim(target, np.full_like(target, SHOULD), np.ones(self.n_folds))
        fold_of = deal_groups(groups.counts, aim, np.random.default_rng(self.seed))
        present = tally(groups.counts, fold_of, self.n_folds) > 0
        if not present.any(axis=1).all():
            raise ProtocolError(
                f"protocol.n_folds={self.n_folds} is too many for {len(fold_of)} groups of tracks that share an artist "
                "or a recording: set fewer folds"
            )
        trapped = np.flatnonzero(present.sum(axis=0) < 2)
        if len(trapped):
            raise entangled(groups, trapped)
        return fold_of

    def _train_or_val(self, counts: IntArray) -> IntArray:
        """Return ``TRAIN`` or ``VAL`` for each group outside the test fold."""
        total = counts.sum(axis=0)
        share = self.val / (1.0 - 1.0 / self.n_folds)
        target = np.outer([1.0 - share, share], total)
        need = np.repeat([[MUST], [SHOULD]], len(total), axis=1)
        single = (counts > 0).sum(axis=0) == 1
        target[TRAIN, single], target[VAL, single] = total[single], 0
        return deal_groups(counts, Aim(target, need, np.ones(2)), np.random.default_rng([self.seed, self.fold]))

    def _about_few_groups(self, groups: Groups, present: BoolArray) -> list[str]:
        notices = []
        few = np.flatnonzero(groups.per_class < self.n_folds)
        if len(few):
            tested = "it is tested" if len(few) == 1 else "they are tested"
            notices.append(f"{groups.have_only(few)}, so with {self.n_folds} folds {tested} in some of them only")
        for side, word in ((TEST, "test"), (VAL, "validation")):
            absent = [groups.table.labels[label] for label in np.flatnonzero(~present[side])]
            if absent:
                notices.append(f"in fold {self.fold} no tracks of {listing(absent)} are in {word}")
        return notices
