"""Two or three ways to hear a clip, each with a decision of its own, and their mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torchaudio.functional import mask_along_axis_iid

from genre.data.passages import PASSAGE_COLUMNS
from genre.errors import ConfigError
from genre.features.handcrafted import FEATURE_NAMES
from genre.features.passage import PASSAGE_NAMES
from genre.models.base import GenreModule
from genre.models.cnn_gru import RecurrentNetwork, recurrent_network
from genre.models.dynamics import Dynamics
from genre.models.layers import FEATURE_LIMIT
from genre.models.settings import check_range, check_shares, check_sizes, check_switches

LEVEL_SCALE = 10.0
"""Normalised levels times this are about as wide as those in dB, for which the dynamics are made."""

N_MASKS = 2
"""Of each kind."""

_SECONDS = len(FEATURE_NAMES) + PASSAGE_COLUMNS.index("seconds")
_PASSAGE = slice(len(FEATURE_NAMES) + PASSAGE_COLUMNS.index(PASSAGE_NAMES[0]), None)


class LateFusion(GenreModule):
    """The network of :class:`genre.models.cnn_gru.CNNGRU` and a dense one on statistics, perhaps one on passages, too.

    The first learns what to look for in the spectrogram. The second is given what music research has found to tell
    genres apart: how the levels move (:class:`genre.models.dynamics.Dynamics`, computed from the batch) and the 57
    features of the clip. A third, if it is asked for, hears what a clip is too short for. In training each has to name
    the genre by itself, so that none leans on another ("late fusion"; Snoek, Worring and Smeulders, 2005); a weighted
    mean of their logits decides.

    Parameters
    ----------
    widths, pool_bins, pool_frames, kernel, hidden, layers, dropout
        Of the recurrent network, see :class:`genre.models.cnn_gru.CNNGRU`.
    use_features
        Whether the dense network takes the 57 features beside the dynamics.
    use_passages
        Whether a third stream, a logistic regression, names the genre by the features of the clip's passage
        (:mod:`genre.features.passage`); they need ``data.passage_sec``.
    passage_share
        What its logits count in the decision, beside the mean of those of the other two streams, for a passage much
        longer than its clip. Of one as long as n clips they count 1 - 1/n of that: nothing where the passage is the
        clip.
    passage_penalty
        Times the sum of its squared weights is added to the loss of that stream: there are as many features as tracks.
    dense_hidden
        Units of its hidden layer; 0: none, which makes it a logistic regression.
    dense_dropout
        Share of these dropped.
    statistics_dropout
        Share of its inputs dropped.
    frequency_mask, time_mask
        In training the recurrent network does not see two bands of fewer than so many bins, and two stretches of fewer
        than so many frames (Park et al., 2019). Masks of ``augment`` would hide them from the statistics too, which
        then are those of no music.
    **shared
        See :class:`genre.models.base.GenreModule`.

    Raises
    ------
    ConfigError
        If a setting is out of range, or the spectrogram is too small to be pooled that much.
    """

    network: LateFusionNetwork

    def __init__(
        self,
        *,
        widths: Sequence[int] = (32, 64, 96, 128),
        pool_bins: Sequence[int] = (4, 4, 2, 2),
        pool_frames: Sequence[int] = (2, 2, 1, 1),
        kernel: int = 3,
        hidden: int = 128,
        layers: int = 1,
        dropout: float = 0.2,
        use_features: bool = True,
        use_passages: bool = False,
        passage_share: float = 0.6,
        passage_penalty: float = 0.02,
        dense_hidden: int = 256,
        dense_dropout: float = 0.4,
        statistics_dropout: float = 0.2,
        frequency_mask: int = 0,
        time_mask: int = 0,
        **shared: Any,
    ) -> None:
        check_switches(use_features=use_features, use_passages=use_passages)
        if use_passages:
            _check_passages(shared["clips"])
        self.uses_passages = use_passages
        super().__init__(**shared)
        check_shares(dense_dropout=dense_dropout, statistics_dropout=statistics_dropout)
        check_range("model.passage_share", passage_share, 0.0, 1.0)
        check_range("model.passage_penalty", passage_penalty, 0.0, math.inf)
        check_sizes(dense_hidden=dense_hidden, frequency_mask=frequency_mask, time_mask=time_mask)
        self.uses_features = use_features
        recurrent = recurrent_network(
            self.input_shape,
            len(self.labels),
            widths=widths,
            pool_bins=pool_bins,
            pool_frames=pool_frames,
            kernel=kernel,
            hidden=hidden,
            layers=layers,
            dropout=dropout,
        )
        bins, frames = self.input_shape
        frontend = self.hparams["frontend"]
        dynamics = Dynamics(bins, frames, frontend["sample_rate"] / frontend["hop_length"])
        size = dynamics.size + (len(FEATURE_NAMES) if use_features else 0)
        dense = _dense(size, dense_hidden, len(self.labels), (statistics_dropout, dense_dropout))
        self.network = LateFusionNetwork(
            recurrent,
            dynamics,
            dense,
            _dense(len(PASSAGE_NAMES), 0, len(self.labels), (0.0, 0.0)) if use_passages else None,
            use_features=use_features,
            masks=(frequency_mask, time_mask),
        )

    def combined(self, streams: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Return the mean of the logits of the streams of the clip and, by its share, those of the passage."""
        if self.network.passage is None:
            return super().combined(streams, features)
        beyond = (1.0 - self.hparams["clips"]["clip_sec"] / features[:, _SECONDS].float()).clamp(0.0, 1.0)
        return torch.lerp(streams[:2].mean(dim=0), streams[2], self.hparams["passage_share"] * beyond[:, None])

    def penalty(self) -> torch.Tensor | float:
        """Return the squared weights of the stream of passages, times ``passage_penalty``."""
        if self.network.passage is None:
            return 0.0
        squares = [weight.square().sum() for weight in self.network.passage.parameters() if weight.ndim > 1]
        return float(self.hparams["passage_penalty"]) * torch.stack(squares).sum()


def _check_passages(clips: dict[str, Any]) -> None:
    clip_sec, passage_sec = clips["clip_sec"], clips.get("passage_sec")
    if passage_sec is None:
        raise ConfigError("model.use_passages=true needs passages; give data.passage_sec, 30 is usual")
    if passage_sec <= clip_sec:
        raise ConfigError(
            f"model.use_passages=true needs passages longer than clips, but data.passage_sec={passage_sec:g} and "
            f"data.clip_sec={clip_sec:g}; give longer ones, or model.use_passages=false"
        )


def _dense(size: int, hidden: int, classes: int, dropout: tuple[float, float]) -> nn.Sequential:
    """Return a network of one hidden layer, or none, which drops a share of its inputs and of its hidden units."""
    if hidden == 0:
        linear = nn.Linear(size, classes)
        nn.init.zeros_(linear.weight)
        return nn.Sequential(nn.Dropout(dropout[0]), linear)
    return nn.Sequential(
        nn.Dropout(dropout[0]),
        nn.Linear(size, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Dropout(dropout[1]),
        nn.Linear(hidden, classes),
    )


class LateFusionNetwork(nn.Module):
    """The recurrent stream, the dense one and perhaps that of passages, side by side."""

    def __init__(
        self,
        recurrent: RecurrentNetwork,
        dynamics: Dynamics,
        dense: nn.Module,
        passage: nn.Module | None,
        *,
        use_features: bool,
        masks: tuple[int, int],
    ) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.dynamics = dynamics
        self.norm = nn.BatchNorm1d(dynamics.size, affine=False)
        self.dense = dense
        self.passage = passage
        self.use_features = use_features
        self.masks = masks

    def forward(self, spectrogram: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Return the logits of each stream (2 or 3, B, classes)."""
        features = features.float()
        clip, passage = features[:, : len(FEATURE_NAMES)], features[:, _PASSAGE]
        heard = self.recurrent(self._masked(spectrogram), features).float()
        with torch.autocast(spectrogram.device.type, enabled=False):
            statistics = self.norm(self.dynamics(LEVEL_SCALE * spectrogram))
            if self.use_features:
                statistics = torch.cat([statistics, clip], dim=1)
            streams = [heard, self.dense(statistics.clamp(-FEATURE_LIMIT, FEATURE_LIMIT))]
            if self.passage is not None:
                streams.append(self.passage(passage.clamp(-FEATURE_LIMIT, FEATURE_LIMIT)))
        return torch.stack(streams)

    def _masked(self, spectrogram: torch.Tensor) -> torch.Tensor:
        """Return clips (B, 1, bins, frames), in training with masks of 0, the mean level."""
        if not self.training:
            return spectrogram
        for axis, longest in zip((2, 3), self.masks, strict=True):
            if longest > 0:
                for _ in range(N_MASKS):
                    spectrogram = mask_along_axis_iid(spectrogram, min(longest, spectrogram.shape[axis]), 0.0, axis)
        return spectrogram
