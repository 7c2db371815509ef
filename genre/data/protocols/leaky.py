"""The protocol that leaks: clips of one recording on both sides, kept to reproduce figures that others published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from genre.data.protocols.base import SharesProtocol
from genre.data.protocols.groups import listing
from genre.data.protocols.table import LEFT_OUT, SIDES, TEST, TRAIN, VAL, IntArray, TrackTable
from genre.errors import ProtocolError


@dataclass(frozen=True)
class ClipRandomProtocol(SharesProtocol):
    """Deal single clips at random, each class by the same shares.

    The model is then tested on recordings it was trained on, so its figures say nothing about new music. Nothing but
    the clips themselves is kept apart.
    """

    name: ClassVar[str] = "clip_random"
    leaky: ClassVar[bool] = True

    def _sides(self, table: TrackTable) -> tuple[IntArray, list[str]]:
        label = table.per_clip(table.label)
        n_clips = np.bincount(label, minlength=len(table.labels))
        few = np.flatnonzero(n_clips < len(SIDES))
        if len(few):
            classes = listing(
                f"{table.labels[i]} has only {n_clips[i]} clip{'s' if n_clips[i] > 1 else ''}" for i in few
            )
            raise ProtocolError(
                f"{classes}, and protocol=clip_random needs one for each of the 3 sides: add recordings, "
                "or set a smaller data.clip_sec"
            )
        rng = np.random.default_rng(self.seed)
        side = np.full(len(label), LEFT_OUT)
        for number in range(len(table.labels)):
            clips = rng.permutation(np.flatnonzero(label == number))
            n_val, n_test = self._sizes(len(clips))
            side[clips[:n_test]] = TEST
            side[clips[n_test : n_test + n_val]] = VAL
            side[clips[n_test + n_val :]] = TRAIN
        return side, [
            "leaked: clips of one recording are in training and in test, so the figures are far too high for new music "
            "and cannot be compared with those of any other protocol"
        ]

    def _sizes(self, n_clips: int) -> tuple[int, int]:
        """Return how many of a class's clips go to val and test: each at least 1, and at least 1 stays in train."""
        n_test = min(max(round(self.test * n_clips), 1), n_clips - 2)
        n_val = min(max(round(self.val * n_clips), 1), n_clips - n_test - 1)
        return n_val, n_test
