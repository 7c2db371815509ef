"""The features of a data set's clips and whose clips they are: what classical models learn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genre.data.clips import ClipSpec
from genre.data.datamodule import GenreDataModule
from genre.data.duplicates import Duplicate
from genre.data.preparation import PreparedTrack
from genre.data.protocols import TrackTable
from genre.errors import ConfigError
from genre.features.passage import PASSAGE_NAMES
from genre.features.sets import FEATURE_SETS, HANDCRAFTED, check_feature_set, joined
from genre.features.spectrogram import LogMel


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """Features of clips, one row a clip, in the order in which ``table`` numbers them.

    Parameters
    ----------
    name
        Of the data set, for reports.
    values : shape=(n_clips, n_features)
        Not scaled.
    names
        Names of the features.
    version
        Version of the code that computed them; 0 where that is not known.
    table
        The tracks.
    start_sec : shape=(n_clips,)
        Where each clip starts in its track, in seconds.
    clips
        How the tracks were cut; ``None`` where that is not known.
    content
        Hash of all that shaped the values.
    notices
        Sentences to show to the user.
    quarantined
        Files that cannot be used, and why.
    duplicates
        Pairs of tracks that hold one recording, by their numbers in ``table``.
    label_of
        Label of each file of the catalogue, those that cannot be used included.
    path_of
        Where each of these files is; empty where there is no audio.
    """

    name: str
    values: NDArray[np.float32]
    names: tuple[str, ...]
    version: int
    table: TrackTable
    start_sec: NDArray[np.float64]
    clips: ClipSpec | None
    content: str
    notices: tuple[str, ...] = ()
    quarantined: tuple[PreparedTrack, ...] = ()
    duplicates: tuple[Duplicate, ...] = ()
    label_of: Mapping[str, str] = field(default_factory=dict)
    path_of: Mapping[str, Path] = field(default_factory=dict)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their numbers."""
        return self.table.labels

    @property
    def label(self) -> NDArray[np.int64]:
        """Class number of each clip, shape (n_clips,)."""
        return self.table.per_clip(self.table.label)

    @property
    def track(self) -> NDArray[np.int64]:
        """Number in ``table`` of each clip's track, shape (n_clips,)."""
        return self.table.clip_track

    def by_name(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return rows sorted by the name of their track, then by start."""
        place = np.empty(len(self.table.names), dtype=np.int64)
        place[sorted(range(len(place)), key=lambda track: self.table.names[track])] = np.arange(len(place))
        return rows[np.lexsort((self.start_sec[rows], place[self.track[rows]]))]


def check_passages(kind: str, passage_sec: float | None) -> None:
    """Check that clips have passages, if a set of features needs them.

    Raises
    ------
    ConfigError
        If they have none.
    """
    if FEATURE_SETS[kind].of_passages and passage_sec is None:
        raise ConfigError(f"feature_set={kind} needs passages; give data.passage_sec, 30 is usual")


def from_datamodule(datamodule: GenreDataModule, kind: str = HANDCRAFTED) -> FeatureSet:
    """Return the features of the clips of a data module that has been set up.

    Parameters
    ----------
    datamodule
        The data.
    kind
        One of :data:`genre.features.sets.FEATURE_SETS`.

    Raises
    ------
    ConfigError
        If the kind is unknown, the data module's front end is not the one it is computed from, or it needs passages
        and the clips have none.
    """
    check_feature_set(kind)
    if kind != HANDCRAFTED and datamodule.frontend.stored_settings() != LogMel().settings():
        raise ConfigError(
            f"feature_set={kind} is computed from the default log-mel spectrogram; leave the settings of "
            "frontend out of the command"
        )
    check_passages(kind, datamodule.clips.passage_sec)
    arrays = datamodule.arrays
    of_passages = None if arrays.passages is None else arrays.passages[:][:, -len(PASSAGE_NAMES) :]
    values = joined(kind, arrays.spectrogram, arrays.features, of_passages)
    return FeatureSet(
        name=datamodule.catalogue.name,
        values=values,
        names=FEATURE_SETS[kind].names,
        version=FEATURE_SETS[kind].version,
        table=datamodule.table,
        start_sec=arrays.start / datamodule.clips.sample_rate,
        clips=datamodule.clips,
        content=datamodule.store_name,
        notices=tuple(notice for notice in datamodule.notices if notice not in datamodule.deal.notices),
        quarantined=datamodule.quarantined,
        duplicates=datamodule.pairs,
        label_of={track.file: track.label for track in datamodule.catalogue.tracks},
        path_of={track.file: track.path for track in datamodule.catalogue.tracks},
    )
