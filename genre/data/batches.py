"""Whole batches of clips: which clips stand in which batch, and gathering them at once."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, DistributedSampler

from genre.data.repeated import RepeatedRows

Batch = dict[str, torch.Tensor]


@dataclass(frozen=True)
class ClipArrays:
    """Clips of one store as rows of equally long arrays, in memory or memory-mapped.

    Parameters
    ----------
    spectrogram : shape=(n, bins, frames)
        As the front end stores it.
    features : shape=(n, 57)
    label, track, start : shape=(n,)
        Index of the class, index of the track, first sample in the track.
    to_float
        The front end's conversion of stored spectrograms to float32.
    passages : shape=(n, n_columns)
        What is known of the passage of each clip (:data:`genre.data.passages.PASSAGE_COLUMNS`), given after the
        features; ``None``: nothing.
    """

    spectrogram: NDArray[Any]
    features: NDArray[np.float32]
    label: NDArray[np.int64]
    track: NDArray[np.int64]
    start: NDArray[np.int64]
    to_float: Callable[[torch.Tensor], torch.Tensor]
    passages: RepeatedRows | None = None

    def __len__(self) -> int:
        return len(self.label)

    def gather(self, rows: NDArray[np.int64]) -> Batch:
        """Return these rows as one batch; it shares no memory with the arrays.

        Returns
        -------
        batch
            ``spectrogram`` (B, 1, bins, frames) and ``features`` (B, n_features), float32: the 57 and, if there are
            any, those of the passages; ``label``, ``track`` and ``start`` (B,), int64.
        """
        features = [self.features[rows], *([] if self.passages is None else [self.passages[rows]])]
        return {
            "spectrogram": self.to_float(torch.from_numpy(self.spectrogram[rows])).unsqueeze(1),
            "features": torch.from_numpy(np.hstack(features)),
            "label": torch.from_numpy(self.label[rows]),
            "track": torch.from_numpy(self.track[rows]),
            "start": torch.from_numpy(self.start[rows]),
        }


@dataclass(frozen=True)
class ClipVersions:
    """The same clips several times over, such as clean and damaged; row ``k`` of version ``v`` of ``n`` is ``k n + v``.

    Parameters
    ----------
    versions
        Arrays whose rows are the same clips.
    """

    versions: tuple[ClipArrays, ...]

    def __len__(self) -> int:
        return sum(map(len, self.versions))

    def gather(self, rows: NDArray[np.int64]) -> Batch:
        """Return these rows as one batch; see :meth:`ClipArrays.gather`."""
        clip, version = np.divmod(rows, len(self.versions))
        places = {number: np.flatnonzero(version == number) for number in np.unique(version)}
        parts = [self.versions[number].gather(clip[place]) for number, place in places.items()]
        back = torch.from_numpy(np.argsort(np.concatenate(list(places.values()))))
        return {name: torch.cat([part[name] for part in parts])[back] for name in parts[0]}


class BatchDataset(Dataset[Batch]):
    """A data set whose items are whole batches: its index is an array of rows."""

    def __init__(self, arrays: ClipArrays | ClipVersions) -> None:
        self.arrays = arrays

    def __getitem__(self, rows: Any) -> Batch:
        return self.arrays.gather(np.asarray(rows, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.arrays)


@dataclass(frozen=True)
class RandomCrops:
    """What an epoch sees of tracks whose clips overlap: of each as many clips as fit in it end to end, anywhere.

    Since an epoch then has as many clips as it would have without overlap, more overlap costs no time, and in every
    epoch a track is cut at other places.

    Parameters
    ----------
    rows : shape=(n,)
        Clips to draw from, each track's together.
    track, start : shape=(n,)
        Track of each clip, and its first sample.
    length
        Samples of a clip.
    most
        No track has more clips in an epoch than this; ``None`` is no limit.
    """

    rows: NDArray[np.int64]
    track: NDArray[np.int64]
    start: NDArray[np.int64]
    length: int
    most: int | None = None

    @functools.cached_property
    def _tracks(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Place of the first clip of each track in :attr:`rows`, and how many of the track an epoch sees."""
        first = np.flatnonzero(np.r_[True, self.track[1:] != self.track[:-1]])
        ends = np.r_[first[1:], len(self.track)] - 1
        sizes = ends + 1 - first  # a protocol may leave gaps
        count = np.minimum(1 + (self.start[ends] - self.start[first]) // self.length, sizes)
        return first, count if self.most is None else np.minimum(count, self.most)

    def __len__(self) -> int:
        return int(self._tracks[1].sum())

    def draw(self, random: np.random.Generator) -> NDArray[np.int64]:
        """Return the clips of one epoch, no clip twice, in no order."""
        first, count = self._tracks
        sizes = np.diff(np.r_[first, len(self.rows)])
        shuffled = np.lexsort((random.random(len(self.rows)), np.repeat(np.arange(len(first)), sizes)))
        place = np.arange(len(self.rows)) - np.repeat(first, sizes)
        drawn: NDArray[np.int64] = self.rows[shuffled[place < np.repeat(count, sizes)]]
        return drawn


class ClipBatchSampler(DistributedSampler[Any]):
    """Deal rows to batches, and batches to processes.

    For training, every epoch has its own crops and order, drawn from ``seed`` and the epoch, and every process gets
    equally many batches of equal size (a few rows come twice where the numbers do not divide). A single row that would
    be left over joins the last batch, because batch normalisation needs two. For evaluation the order is kept and every
    row comes exactly once, so that a process may get one row more than another, but in as many batches: processes
    that wait for each other at every batch end together.

    Being a ``DistributedSampler`` it is left in place by Lightning, which tells it the epoch.

    Parameters
    ----------
    rows : shape=(n,)
        Rows to deal in this order, for evaluation; or what draws the rows of an epoch, for training.
    batch_size
        Rows a batch.
    seed
        Seed of crops and order.
    rank, world_size
        This process and the number of processes.
    versions
        For training, how many versions there are of every clip: the rows dealt are then those of
        :class:`ClipVersions`, each clip in a version drawn anew every epoch, whichever process gets it.
    """

    def __init__(
        self,
        rows: NDArray[np.int64] | RandomCrops,
        *,
        batch_size: int,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        versions: int = 1,
    ) -> None:
        training = isinstance(rows, RandomCrops)
        super().__init__(range(len(rows)), num_replicas=world_size, rank=rank, shuffle=training, seed=seed)  # type: ignore[arg-type]
        self.rows = rows
        self.batch_size = batch_size
        self.versions = versions

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        own = self._in_versions(self._own_rows())
        edges = self._edges(len(own))
        for first, end in itertools.pairwise(edges):
            yield own[first:end]

    def __len__(self) -> int:
        n_rows = self.num_samples if self.shuffle else len(self._own_rows())
        return len(self._edges(n_rows)) - 1

    def _own_rows(self) -> NDArray[np.int64]:
        """Return the rows of this process in this epoch."""
        if not isinstance(self.rows, RandomCrops):
            return np.array_split(self.rows, self.num_replicas)[self.rank]
        random = np.random.default_rng([self.seed, self.epoch])
        order = random.permutation(self.rows.draw(random))
        return np.resize(order, self.total_size)[self.rank :: self.num_replicas]

    def _in_versions(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the rows of clips as rows of versions of them, drawn for this epoch."""
        if not isinstance(self.rows, RandomCrops) or self.versions == 1:
            return rows
        random = np.random.default_rng([self.seed, self.epoch, 1])
        drawn: NDArray[np.int64] = random.integers(self.versions, size=int(self.rows.rows.max()) + 1)
        return rows * self.versions + drawn[rows]

    def _edges(self, n_rows: int) -> list[int]:
        """Return where batches begin, and the end of the last."""
        begins = list(range(0, n_rows, self.batch_size))
        others = -(-len(self.rows) // self.num_replicas)  # rows of a process that has most
        if not self.shuffle and 0 < n_rows < others and n_rows % self.batch_size == 0 < self.batch_size - 1:
            begins.append(n_rows - 1)  # one batch more, as the others have
        if self.shuffle and len(begins) > 1 and n_rows - begins[-1] == 1 < self.batch_size:
            begins.pop()
        return [*begins, n_rows]
