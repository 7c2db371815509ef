"""The data module: from a catalogue to batches whose sides share nothing."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader

from genre.audio.damage import Damage
from genre.data.augment import Augment
from genre.data.backends import Backend
from genre.data.balance import artist_weights, check_artist_balance
from genre.data.batches import Batch, BatchDataset, ClipArrays, ClipBatchSampler, ClipVersions, RandomCrops
from genre.data.clip_limit import check_max_clips
from genre.data.clips import ClipSpec
from genre.data.damaged import DamagedClips
from genre.data.duplicates import (
    FILE_NAME,
    IDENTICAL,
    AudioFile,
    Duplicate,
    FingerprintProgress,
    by_name,
    duplicates_among,
    identical,
    recordings,
)
from genre.data.preparation import PreparedTrack, Progress
from genre.data.protocols import Deal, Protocol, TrackTable
from genre.data.randomness import step_seed
from genre.data.repeated import RepeatedRows
from genre.data.store import SourceFile, Store, prepare
from genre.data.tracks import Catalogue, Track, conflicting_labels
from genre.errors import ConfigError, DataError, StoreError, counted, near_names
from genre.features.spectrogram import FrontEnd

SIDES = ("train", "val", "test")
DUPLICATES = ("fingerprint", "content")
IN_MEMORY_BYTES = 2 << 30
STATISTICS_CLIPS = 2000
COLUMNS_AT_ONCE = 64
SMALLEST_STD = 1e-6


@dataclass(frozen=True)
class Statistics:
    """Mean and standard deviation over training clips.

    Parameters
    ----------
    feature_mean, feature_std : shape=(57,)
    spectrogram_mean, spectrogram_std : shape=(bins,)
        Over clips and frames.
    class_share : shape=(classes,)
        Share of each class in the clips of a training epoch.
    """

    feature_mean: NDArray[np.float32]
    feature_std: NDArray[np.float32]
    spectrogram_mean: NDArray[np.float32]
    spectrogram_std: NDArray[np.float32]
    class_share: NDArray[np.float32]


@dataclass(frozen=True)
class DataSettings:
    """Settings of a data module: where clips are kept and how batches are made of them.

    Parameters
    ----------
    store_dir
        Folder of prepared clips.
    batch_size
        Clips a batch.
    in_memory
        ``True`` holds the clips in memory, ``False`` reads them from disk as they are needed, ``"auto"`` decides by
        their size.
    max_clips
        A training epoch sees no more clips than this of one track; ``None`` is no limit.
    artist_balance
        How far artists of a class count alike in training, whatever the number of their clips: 0 not at all, 1 wholly.
        Training batches then have ``"weight": (B,)``, see :func:`genre.data.balance.artist_weights`.
    seed
        Of the training clips of an epoch, their order and their augmentation.
    jobs
        Processes that prepare clips; ``None`` is one a core.
    damage, copies
        What befalls damaged copies, and how many are prepared beside the clean clips. Training draws every clip from
        the clean ones or a copy, each equally often; everything else sees clean clips only.
    duplicates
        How tracks are found that hold one recording, which protocols keep on one side: ``"fingerprint"`` by their
        sound, ``"content"`` only where the decoded samples are the same.

    Raises
    ------
    ConfigError
        If a setting is out of range.
    """

    store_dir: Path = Path("stores")
    batch_size: int = 32
    in_memory: bool | str = "auto"
    max_clips: int | None = None
    artist_balance: float = 0.0
    seed: int = 0
    jobs: int | None = None
    damage: Damage | None = None
    copies: int = 0
    duplicates: str = "fingerprint"

    def __post_init__(self) -> None:
        if not _is_whole(self.batch_size, least=2):
            raise ConfigError(f"data.batch_size={self.batch_size} is not a number of clips from 2 on; 32 is usual")
        if not _is_whole(self.seed, least=0):
            raise ConfigError(f"seed={self.seed} is not a whole number from 0 on; choose another")
        if self.in_memory not in (True, False, "auto"):
            raise ConfigError(
                f"data.in_memory={self.in_memory} is unknown; {near_names(str(self.in_memory), _IN_MEMORY)}"
            )
        check_max_clips(self.max_clips)
        check_artist_balance(self.artist_balance)
        if self.jobs is not None and not _is_whole(self.jobs, least=1):
            raise ConfigError(f"data.jobs={self.jobs} is not a number of processes; leave it at null for one a core")
        self._check_copies()
        if self.duplicates not in DUPLICATES:
            known = near_names(str(self.duplicates), DUPLICATES)
            raise ConfigError(f"data.duplicates={self.duplicates} is unknown; {known}")

    def _check_copies(self) -> None:
        if not _is_whole(self.copies, least=0):
            raise ConfigError(f"damage.copies={self.copies} is not a number of damaged copies; choose 0 or more")
        if self.copies > 0 and self.damage is None:
            raise ConfigError(
                f"damage.copies={self.copies} asks for copies that nothing damages; choose damage=microphone"
            )


class GenreDataModule(LightningDataModule):
    """Clips of a catalogue, dealt to train, val and test by a protocol.

    Batches are ``{"spectrogram": (B, 1, bins, frames), "features": (B, n_features), "label": (B,), "track": (B,),
    "start": (B,)}``; features are the 57 of the clip, and after them those of its passage if ``clips.passage_sec`` asks
    for them, ``track`` counts in :attr:`tracks`, ``start`` in samples at ``clips.sample_rate``. Where clips overlap, a
    training epoch sees of every track as many as fit in it end to end, drawn anew (:class:`RandomCrops`).

    Parameters
    ----------
    catalogue
        The tracks.
    protocol
        How they are dealt.
    frontend
        What makes a spectrogram of a clip.
    clips
        How tracks are cut.
    settings
        Where clips are kept and how batches are made of them.
    augment
        What is done to training batches.
    backend
        What runs the processes that prepare clips; processes of this machine by default.
    only_test
        Whether a model that is trained already is tested, so that other sides than test may be empty, see
        :meth:`genre.data.protocols.Protocol.deal`.
    progress, say
        See :func:`genre.data.store.prepare`.
    fingerprint_progress
        See :func:`genre.data.duplicates.prints.fingerprints`.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        protocol: Protocol,
        frontend: FrontEnd,
        clips: ClipSpec,
        settings: DataSettings | None = None,
        *,
        augment: Augment | None = None,
        backend: Backend | None = None,
        only_test: bool = False,
        progress: Progress | None = None,
        say: Callable[[str], None] = lambda _: None,
        fingerprint_progress: FingerprintProgress | None = None,
    ) -> None:
        super().__init__()
        self.catalogue = catalogue
        self.protocol = protocol
        self.frontend = frontend
        self.clips = clips
        self.settings = settings or DataSettings()
        self.augment = augment or Augment()
        self.backend = backend
        self.only_test = only_test
        self.notices: tuple[str, ...] = ()
        self._progress = progress
        self._say = say
        self._fingerprint_progress = fingerprint_progress
        self._store: Store | None = None
        self._pairs: tuple[Duplicate, ...] | None = None
        self._damaged: tuple[Store, ...] | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, in the order of the labels' indices."""
        return self.catalogue.labels

    @property
    def store_name(self) -> str:
        """Name of the prepared clips: a hash of all that shaped them."""
        return self._open_store().folder.name

    @functools.cached_property
    def prepared(self) -> tuple[PreparedTrack, ...]:
        """What preparation found out about each of :attr:`tracks`."""
        return tuple(track for track in self._open_store().tracks if track.usable)

    @property
    def quarantined(self) -> tuple[PreparedTrack, ...]:
        """Files that cannot be used, and why."""
        return tuple(track for track in self._open_store().tracks if not track.usable)

    @functools.cached_property
    def tracks(self) -> tuple[Track, ...]:
        """The usable tracks, in the order of their clips."""
        by_file = {track.file: track for track in self.catalogue.tracks}
        return tuple(by_file[track.file] for track in self.prepared)

    @property
    def pairs(self) -> tuple[Duplicate, ...]:
        """Pairs of :attr:`tracks` that hold one recording, by their numbers."""
        return self._find_pairs()

    @functools.cached_property
    def table(self) -> TrackTable:
        """The usable tracks as the protocol sees them; no clip is read for it."""
        content = [track.content for track in self.prepared]
        return self._table_of(
            self.tracks,
            content=content,
            n_clips=np.array([track.n_clips for track in self.prepared], dtype=np.int64),
            recording=recordings(content, self.pairs),
        )

    def prepare_data(self) -> None:
        """Prepare all clips that are not prepared yet.

        Raises
        ------
        ProtocolError
            Before anything is prepared, if the tracks could not be dealt even if every one of them were good.
        """
        if self._store is None:
            self._check_protocol()
        self._open_store()
        self._open_damaged()
        self._find_pairs()

    def _check_protocol(self) -> None:
        if self.protocol.leaky:  # it deals clips, which are not counted yet
            return
        tracks = self.catalogue.tracks
        each_one_clip = np.ones(len(tracks), dtype=np.int64)
        table = self._table_of(tracks, content=[track.file for track in tracks], n_clips=each_one_clip)
        self.protocol.deal(table, only_test=self.only_test)

    def _table_of(
        self,
        tracks: Sequence[Track],
        *,
        content: Sequence[str],
        n_clips: NDArray[np.int64],
        recording: tuple[str, ...] = (),
    ) -> TrackTable:
        return TrackTable(
            names=tuple(track.file for track in tracks),
            label=np.array([self.labels.index(track.label) for track in tracks], dtype=np.int64),
            labels=self.labels,
            artist=tuple(track.artist for track in tracks),
            content=tuple(content),
            split=tuple(track.split for track in tracks),
            n_clips=n_clips,
            recording=recording,
        )

    def _open_store(self) -> Store:
        if self._store is None:
            self._store = self._prepare(self.clips)
        return self._store

    def _open_damaged(self) -> tuple[Store, ...]:
        """Return the stores of the damaged copies, whose rows are those of the clean store."""
        if self._damaged is None:
            self._damaged = tuple(self._open_copy(number) for number in range(1, self.settings.copies + 1))
        return self._damaged

    def _open_copy(self, number: int) -> Store:
        assert self.settings.damage is not None
        clean = self._open_store()
        copy = self._prepare(DamagedClips(**self.clips.settings(), damage=self.settings.damage, copy=number))
        if not (np.array_equal(copy.track, clean.track) and np.array_equal(copy.start, clean.start)):
            raise StoreError("the audio files changed while they were prepared; run again when nothing writes to them")
        return copy

    def _find_pairs(self) -> tuple[Duplicate, ...]:
        if self._pairs is None:
            if self.settings.duplicates == "content":
                self._pairs = identical([track.content for track in self.prepared])
            else:
                path = {track.file: track.path for track in self.catalogue.tracks}
                self._pairs = duplicates_among(
                    [AudioFile(track.file, path[track.file], track.bytes_hash) for track in self.prepared],
                    self.settings.store_dir,
                    jobs=self.settings.jobs,
                    progress=self._fingerprint_progress,
                    say=self._say,
                )
        return self._pairs

    def _prepare(self, clips: ClipSpec) -> Store:
        return prepare(
            [SourceFile(track.file, track.path) for track in self.catalogue.tracks],
            clips,
            self.frontend.stored_settings(),
            store_dir=self.settings.store_dir,
            jobs=self.settings.jobs,
            backend=self.backend,
            progress=self._progress,
            say=self._say,
        )

    def setup(self, stage: str | None = None) -> None:
        """Open the prepared clips and deal them; does nothing when called again.

        Raises
        ------
        DataError
            If a class has no usable track left, or every track is shorter than a clip.
        ProtocolError
            If the tracks cannot be dealt as the protocol asks.
        """
        if hasattr(self, "deal"):
            return
        store = self._open_store()
        self._check_usable()
        track = np.repeat(np.arange(len(self.tracks)), self.table.n_clips)
        usable = np.flatnonzero([track.usable for track in store.tracks])
        if not np.array_equal(usable[track], store.track):
            raise StoreError(
                f"the clips in {store.folder} are not those of its tracks; delete that folder and run again"
            )
        damaged = self._open_damaged()
        size = (1 + len(damaged)) * store.spectrogram.nbytes
        hold = self.settings.in_memory is True or (self.settings.in_memory == "auto" and size <= IN_MEMORY_BYTES)
        self.arrays = ClipArrays(
            spectrogram=_held(store.spectrogram, hold),
            features=np.asarray(store.features).copy(),
            passages=_passages(store),
            label=self.table.label[track],
            track=track,
            start=store.start,
            to_float=self.frontend.to_float,
        )
        copies = [
            replace(
                self.arrays,
                spectrogram=_held(copy.spectrogram, hold),
                features=np.asarray(copy.features).copy(),
                passages=_passages(copy),
            )
            for copy in damaged
        ]
        self._versions = ClipVersions((self.arrays, *copies))
        self.deal: Deal = self.protocol.deal(self.table, only_test=self.only_test)
        self.protocol.check(self.table, self.deal)
        self.notices = (*self.catalogue.notices, *self._health_notices(), *self.deal.notices)

    def _check_usable(self) -> None:
        by_file = {track.file: track for track in self.catalogue.tracks}
        for label in self.labels:
            if any(track.label == label for track in self.tracks):
                continue
            bad = [track for track in self.quarantined if by_file[track.file].label == label]
            if not bad:
                raise DataError(
                    f"the class {label} has no tracks in {self.catalogue.root}; add some or leave the class out"
                )
            if len(bad) == 1:
                raise DataError(
                    f"the only track of {label} cannot be used ({_inside(bad[0].detail)}); mend or replace it, or "
                    "remove the class"
                )
            raise DataError(
                f"none of the {len(bad)} tracks of {label} can be used (the first: {_inside(bad[0].detail)}); "
                "mend or replace them, or remove the class"
            )
        longest = max(track.seconds for track in self.prepared)
        if longest < self.clips.clip_sec - 0.5 / self.clips.sample_rate:
            raise DataError(
                f"data.clip_sec={self.clips.clip_sec:g} is longer than every track (the longest lasts {longest:.2f} s)"
                "; choose shorter clips"
            )

    def _health_notices(self) -> Sequence[str]:
        notices: list[str] = []
        if self.quarantined:
            count = len(self.quarantined)
            first = self.quarantined[0]
            notices.append(
                f"{count} of {count + len(self.tracks)} tracks cannot be used and {'is' if count == 1 else 'are'} left "
                f"out, see quarantine.csv (the first: {_inside(first.detail)})"
            )
        cut = [track.file for track in self.prepared if track.detail]
        if cut:
            notices.append(
                f"1 track ends early and is used as far as it could be decoded: {cut[0]}"
                if len(cut) == 1
                else f"{len(cut)} tracks end early and are used as far as they could be decoded (the first: {cut[0]})"
            )
        files = [track.file for track in self.tracks]
        notices += conflicting_labels(files, [track.label for track in self.tracks], self.table.recording)
        notices += self._duplicate_notices()
        return notices

    def _duplicate_notices(self) -> Sequence[str]:
        if not self.pairs:
            return []
        same = sum(pair.kind == IDENTICAL for pair in self.pairs)
        pair = by_name(self.pairs, self.table)[0]
        first = f"{self.table.names[pair.one]} and {self.table.names[pair.other]}"
        count = "1 pair of tracks holds" if len(self.pairs) == 1 else f"{len(self.pairs)} pairs of tracks hold"
        return [f"{count} one recording ({same} identical; the first: {first}), see {FILE_NAME}"]

    @property
    def judged(self) -> tuple[str, ...]:
        """Which of ``"val"`` and ``"test"`` have clips."""
        return tuple(side for side in SIDES[1:] if len(self.deal.side(side)))

    def rows(self, side: str) -> NDArray[np.int64]:
        """Return the clips of ``side`` as rows of :attr:`arrays`, by name of their track, then by start.

        Parameters
        ----------
        side
            ``"train"``, ``"val"`` or ``"test"``.
        """
        rows: NDArray[np.int64] = self.deal.side(side)
        name = np.empty(len(self.tracks), dtype=np.int64)
        name[sorted(range(len(self.tracks)), key=lambda track: self.tracks[track].file)] = np.arange(len(self.tracks))
        return rows[np.lexsort((self.arrays.start[rows], name[self.arrays.track[rows]]))]

    @functools.cached_property
    def statistics(self) -> Statistics:
        """Statistics of training clips, and of no others.

        Of spectrograms at most 2000 clips, evenly spread over the training side, are looked at.
        """
        rows = self.rows("train")
        some = rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), STATISTICS_CLIPS)).astype(np.int64))]
        total = square = 0.0
        count = 0
        for first in range(0, len(some), 64):
            spectrogram = self.arrays.gather(some[first : first + 64])["spectrogram"].double().squeeze(1).numpy()
            total = total + spectrogram.sum(axis=(0, 2))
            square = square + np.square(spectrogram).sum(axis=(0, 2))
            count += spectrogram.shape[0] * spectrogram.shape[2]
        mean = np.asarray(total) / count
        deviation = np.sqrt(np.maximum(np.asarray(square) / count - mean**2, 0.0))
        feature_mean, feature_std = self._moments(rows)
        return Statistics(
            feature_mean=feature_mean.astype(np.float32),
            feature_std=_no_zeros(feature_std),
            spectrogram_mean=mean.astype(np.float32),
            spectrogram_std=_no_zeros(deviation),
            class_share=self._class_share(),
        )

    def _moments(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and standard deviation of the features of some clips, a few columns at a time."""
        parts: list[tuple[NDArray[np.float32], NDArray[Any]]] = [(self.arrays.features, rows)]
        if (passages := self.arrays.passages) is not None:
            parts.append((passages.distinct, passages.number[rows]))
        mean, deviation = list[NDArray[np.float64]](), list[NDArray[np.float64]]()
        for features, of_clips in parts:
            for first in range(0, features.shape[1], COLUMNS_AT_ONCE):
                values = features[:, first : first + COLUMNS_AT_ONCE][of_clips].astype(np.float64)
                mean.append(values.mean(axis=0))
                deviation.append(values.std(axis=0))
        return np.concatenate(mean), np.concatenate(deviation)

    def loader(self, side: str) -> DataLoader[Batch]:
        """Return all clips of one side, clean, as batches in the order of :meth:`rows`; of several processes, its own.

        Raises
        ------
        ConfigError
            If there are fewer clips than processes.
        """
        rows = self.rows(side)
        processes = self.trainer.world_size if self.trainer is not None else 1
        if len(rows) < processes > 1:
            count = counted(len(rows), "clip")
            raise ConfigError(f"{side} has {count} for {processes} processes; choose fewer trainer.devices")
        return self._loader(rows)

    def _loader(self, rows: NDArray[np.int64] | RandomCrops) -> DataLoader[Batch]:
        trainer = self.trainer
        sampler = ClipBatchSampler(
            rows,
            batch_size=self.settings.batch_size,
            seed=self.settings.seed,
            rank=trainer.global_rank if trainer is not None else 0,
            world_size=trainer.world_size if trainer is not None else 1,
            versions=1 + self.settings.copies,
        )
        arrays = self._versions if isinstance(rows, RandomCrops) and self.settings.copies > 0 else self.arrays
        return DataLoader(BatchDataset(arrays), batch_size=None, sampler=sampler)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return the training batches, other crops in another order every epoch."""
        return self._loader(self._crops())

    @property
    def epoch_clips(self) -> int:
        """Clips of a training epoch."""
        return len(self._crops())

    def _crops(self) -> RandomCrops:
        rows = self.rows("train")
        return RandomCrops(
            rows, self.arrays.track[rows], self.arrays.start[rows], self.clips.length, self.settings.max_clips
        )

    def _drawn_tracks(self) -> NDArray[np.int64]:
        """Return the track of each clip of a training epoch, in no order; the same in every epoch."""
        # which of a track's clips are drawn is chance, how many is not
        return self.arrays.track[self._crops().draw(np.random.default_rng(0))]

    def _class_share(self) -> NDArray[np.float32]:
        label = self.table.label[self._drawn_tracks()]
        return (np.bincount(label, minlength=len(self.labels)) / len(label)).astype(np.float32)

    @functools.cached_property
    def track_weights(self) -> NDArray[np.float32]:
        """Weight of the clips of each track in training, shape (n_tracks,); 0 for tracks of other sides."""
        n_clips = np.bincount(self._drawn_tracks(), minlength=len(self.tracks))
        return artist_weights(self.table, n_clips, float(self.settings.artist_balance))

    def val_dataloader(self) -> DataLoader[Batch]:
        """Return the validation batches."""
        return self.loader("val")

    def test_dataloader(self) -> DataLoader[Batch]:
        """Return the test batches."""
        return self.loader("test")

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Weigh and augment a training batch; step and process decide how, so that a resumed run goes on alike."""
        if self.trainer is None or not self.trainer.training:
            return batch
        if self.settings.artist_balance > 0:
            weight = torch.from_numpy(self.track_weights).to(batch["track"].device)
            batch = {**batch, "weight": weight[batch["track"]]}
        if not self.augment.active:
            return batch
        like = batch["spectrogram"]
        return self.augment.apply(
            batch,
            n_classes=len(self.labels),
            bin_mean=torch.from_numpy(self.statistics.spectrogram_mean).to(like),
            feature_std=torch.from_numpy(self.statistics.feature_std).to(like),
            seed=step_seed(self.trainer, self.settings.seed, "augment"),
            shown_db=getattr(self.frontend, "top_db", None),
        )

    def describe(self) -> dict[str, Any]:
        """Return plain facts that a checkpoint keeps: how clips are cut and what the front end is."""
        return {"clips": self.clips.settings(), "frontend": self.frontend.settings(), "labels": list(self.labels)}


_IN_MEMORY = ("auto", "true", "false")


def _held(array: NDArray[Any], hold: bool) -> NDArray[Any]:
    """Return an array in memory if ``hold``, else as it is."""
    return np.asarray(array).copy() if hold else array


def _passages(store: Store) -> RepeatedRows | None:
    """Return the passages of all clips, each passage once, in memory; ``None`` if there are none."""
    return None if store.passage is None else RepeatedRows.of(store.passage)


def _is_whole(value: object, *, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _inside(sentence: str) -> str:
    """Return a sentence as it stands within another."""
    return sentence.rstrip(".")


def _no_zeros(deviation: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.where(deviation < SMALLEST_STD, 1.0, deviation).astype(np.float32)
