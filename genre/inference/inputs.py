"""What models ask of clips, each thing computed once however many models ask for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from genre.data.passages import described_passage
from genre.errors import CheckpointError
from genre.features.clips import at_rate
from genre.features.extract import extract
from genre.features.handcrafted import FEATURE_NAMES, SAMPLE_RATE, handcrafted
from genre.features.spectrogram import FrontEnd


def key_of(frontend: FrontEnd) -> str:
    """Return a text that is equal for front ends that give equal spectrograms."""
    return json.dumps(frontend.settings(), sort_keys=True)


@dataclass(frozen=True)
class Needs:
    """What has to be computed of a clip.

    Parameters
    ----------
    frontends
        The front ends, by their :func:`key_of`.
    features
        Whether the 57 features are needed.
    passage_sec
        Length in seconds of the passages whose features are needed; ``None``: none are.

    Raises
    ------
    CheckpointError
        Of two together, if they need passages of different length.
    """

    frontends: Mapping[str, FrontEnd] = field(default_factory=dict)
    features: bool = False
    passage_sec: float | None = None

    def __or__(self, other: Needs) -> Needs:
        """Return what both need."""
        lengths = {sec for sec in (self.passage_sec, other.passage_sec) if sec is not None}
        if len(lengths) > 1:
            shorter, longer = sorted(lengths)
            raise CheckpointError(
                f"the models hear passages of different length ({shorter:g} s; {longer:g} s), so they cannot be "
                "averaged; take models of the same data.passage_sec"
            )
        return Needs({**self.frontends, **other.frontends}, self.features or other.features, next(iter(lengths), None))


class ClipInputs:
    """Some clips with their spectrograms and features.

    Parameters
    ----------
    samples : shape=(B, n_samples)
        The clips.
    sample_rate
        In Hz.
    needs
        What is computed of them.
    passages : shape=(B, n_columns)
        :data:`genre.data.passages.PASSAGE_COLUMNS` of the passage of each clip; by default, where they are needed, each
        clip is a passage by itself.
    """

    def __init__(
        self,
        samples: NDArray[np.float32],
        sample_rate: int,
        needs: Needs,
        passages: NDArray[np.float32] | None = None,
    ) -> None:
        self.samples = samples
        self.sample_rate = sample_rate
        if needs.passage_sec is not None and passages is None:
            passages = np.stack([described_passage(clip, sample_rate) for clip in samples])
        self._passages = passages
        self._spectrograms: dict[str, torch.Tensor] = {}
        self._features: NDArray[np.float32] | None = None
        for key, frontend in needs.frontends.items():
            if needs.features and self._features is None:
                stored, self._features = extract(samples, sample_rate, frontend)
            else:
                stored = frontend.compute(samples, sample_rate)
            self._spectrograms[key] = frontend.to_float(torch.from_numpy(stored)).unsqueeze(1)
        if needs.features and self._features is None:
            self._features = handcrafted(at_rate(samples, sample_rate, SAMPLE_RATE))

    def spectrogram(self, key: str) -> torch.Tensor:
        """Return the spectrograms of a front end as a network takes them, shape (B, 1, bins, frames)."""
        return self._spectrograms[key]

    @property
    def features(self) -> NDArray[np.float32]:
        """The features, shape (B, 57); zeros if nobody needs them."""
        if self._features is None:
            return np.zeros((len(self.samples), len(FEATURE_NAMES)), np.float32)
        return self._features

    @property
    def passages(self) -> NDArray[np.float32]:
        """What is known of the clips' passages, shape (B, n_columns); of no columns if nobody needs them."""
        return np.zeros((len(self.samples), 0), np.float32) if self._passages is None else self._passages
