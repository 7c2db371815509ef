"""Two ways to hear a clip, each with a decision of its own, and the mean of both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torchaudio.functional import mask_along_axis_iid

from genre.features.handcrafted import FEATURE_NAMES
from genre.models.base import GenreModule
from genre.models.cnn_gru import RecurrentNetwork, recurrent_network
from genre.models.dynamics import Dynamics
from genre.models.layers import FEATURE_LIMIT
from genre.models.settings import check_shares, check_sizes, check_switches

LEVEL_SCALE = 10.0
"""Normalised levels times this are about as wide as those in dB, for which the dynamics are made."""

N_MASKS = 2
"""Of each kind."""


class LateFusion(GenreModule):
    """The network of :class:`genre.models.cnn_gru.CNNGRU`, and a dense one on statistics; the mean of their logits.

    The first learns what to look for in the spectrogram. The second is given what music research has found to tell
    genres apart: how the levels move (:class:`genre.models.dynamics.Dynamics`, computed from the batch) and the 57
    features of the clip. In training each has to name the genre by itself, so that neither leans on the other
    ("late fusion"; Snoek, Worring and Smeulders, 2005).

    Parameters
    ----------
    widths, pool_bins, pool_frames, kernel, hidden, layers, dropout
        Of the recurrent network, see :class:`genre.models.cnn_gru.CNNGRU`.
    use_features
        Whether the dense network takes the 57 features beside the dynamics.
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
        dense_hidden: int = 256,
        dense_dropout: float = 0.4,
        statistics_dropout: float = 0.2,
        frequency_mask: int = 0,
        time_mask: int = 0,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        check_shares(dense_dropout=dense_dropout, statistics_dropout=statistics_dropout)
        check_switches(use_features=use_features)
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
            recurrent, dynamics, dense, use_features=use_features, masks=(frequency_mask, time_mask)
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
    """The recurrent stream and the dense one, side by side."""

    def __init__(
        self,
        recurrent: RecurrentNetwork,
        dynamics: Dynamics,
        dense: nn.Module,
        *,
        use_features: bool,
        masks: tuple[int, int],
    ) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.dynamics = dynamics
        self.norm = nn.BatchNorm1d(dynamics.size, affine=False)
        self.dense = dense
        self.use_features = use_features
        self.masks = masks

    def forward(self, spectrogram: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Return the logits of each stream (2, B, classes)."""
        heard = self.recurrent(self._masked(spectrogram), features).float()
        with torch.autocast(spectrogram.device.type, enabled=False):
            statistics = self.norm(self.dynamics(LEVEL_SCALE * spectrogram))
            if self.use_features:
                statistics = torch.cat([statistics, features.float()], dim=1)
            measured = self.dense(statistics.clamp(-FEATURE_LIMIT, FEATURE_LIMIT))
        return torch.stack([heard, measured])

    def _masked(self, spectrogram: torch.Tensor) -> torch.Tensor:
        """Return clips (B, 1, bins, frames), in training with masks of 0, the mean level."""
        if not self.training:
            return spectrogram
        for axis, longest in zip((2, 3), self.masks, strict=True):
            if longest > 0:
                for _ in range(N_MASKS):
                    spectrogram = mask_along_axis_iid(spectrogram, min(longest, spectrogram.shape[axis]), 0.0, axis)
        return spectrogram
