"""How the levels of a spectrogram move, as a layer: statistics over time, computed from batches."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from genre.features.dynamics import (
    DELTA_GROUPS,
    DELTA_PERCENTILE,
    DELTA_STEP,
    DELTA_WIDTH,
    MODULATION_EDGES,
    MODULATION_GROUPS,
    N_CORRELATED,
)
from genre.features.filters import dct_matrix
from genre.features.handcrafted import N_MFCC

CONTRAST_GROUPS = 16
PEAKS, VALLEYS = 0.25, 0.5
"""Shares of the bins of a group that count as its peaks and as its valleys."""

UNMOVED = 1e-3
"""Cepstral coefficients that move less than this (in dB) count as moving so much, so that silence has a logarithm, and
correlate with nothing."""


class Dynamics(nn.Module):
    """Statistics over time of the levels (B, 1, bins, frames).

    The families of :mod:`genre.features.dynamics`, the mean and the deviation of each cepstral coefficient, and those
    of the spectral contrast; deviations are given as their logarithm. Of 128 bins of mel levels in dB at 43 frames a
    second the values are those of that module. Here levels may be at any rate and of any number of bins; and since they
    are computed from the batch, they feel its augmentation, which features from a store do not. Clips longer than
    ``window`` frames are taken in windows of that length, whose statistics are averaged; frames beyond the last whole
    window are left out.

    Parameters
    ----------
    bins
        Of the spectrogram.
    window
        Frames of a window.
    frame_rate
        Frames a second.

    Attributes
    ----------
    size : int
        Number of statistics.
    """

    cosines: torch.Tensor
    slopes: torch.Tensor
    pairs: torch.Tensor

    def __init__(self, bins: int, window: int, frame_rate: float) -> None:
        super().__init__()
        self.window = window
        self.frame_rate = frame_rate
        self.delta_groups = min(DELTA_GROUPS, bins)
        self.modulation_groups = min(MODULATION_GROUPS, bins)
        coefficients, correlated = min(N_MFCC, bins), min(N_CORRELATED, bins)
        n_bands, n_pairs = len(MODULATION_EDGES) - 1, correlated * (correlated - 1) // 2
        self.contrast_bins = min(max(2, bins // CONTRAST_GROUPS), bins)
        contrasts = bins // self.contrast_bins
        self.size = (
            2 * self.delta_groups + self.modulation_groups * n_bands + 4 * coefficients + n_pairs + 2 * contrasts
        )
        for name, value in (
            ("cosines", torch.from_numpy(dct_matrix(coefficients, bins)).float()),
            ("slopes", torch.from_numpy(_savgol_kernels())),
            ("pairs", torch.triu_indices(correlated, correlated, 1)),
        ):
            self.register_buffer(name, value, persistent=False)
        self.correlated = correlated

    def forward(self, levels: torch.Tensor) -> torch.Tensor:
        """Return the statistics (B, size), in float32 whatever the precision around."""
        with torch.autocast(levels.device.type, enabled=False):
            clips = levels.float().squeeze(1)
            whole = clips.shape[-1] // self.window
            if whole < 2:
                return self._of(clips[..., : self.window])
            windows = clips[..., : whole * self.window].unfold(-1, self.window, self.window)
            statistics = self._of(windows.transpose(1, 2).flatten(0, 1))
            return statistics.view(-1, whole, self.size).mean(dim=1)

    def _of(self, clips: torch.Tensor) -> torch.Tensor:
        """Return the statistics (n, size) of windows (n, bins, frames)."""
        coefficients = self.cosines @ clips
        contrast = self._contrast(clips)
        return torch.cat(
            [
                self._delta_pattern(clips),
                self._modulation_spectrum(clips),
                self._delta_deviation(coefficients),
                self._correlation(coefficients[:, : self.correlated]),
                coefficients.mean(dim=-1),
                _log_deviation(coefficients),
                contrast.mean(dim=-1),
                _log_deviation(contrast),
            ],
            dim=1,
        )

    def _delta_pattern(self, clips: torch.Tensor) -> torch.Tensor:
        grouped = _grouped(clips, self.delta_groups)
        step = min(DELTA_STEP, clips.shape[-1] - 1)
        moved = grouped[..., step:] - grouped[..., : grouped.shape[-1] - step]
        steepest = torch.quantile(moved, DELTA_PERCENTILE / 100, dim=-1)
        return torch.cat([moved.abs().mean(dim=-1), steepest], dim=1)

    def _modulation_spectrum(self, clips: torch.Tensor) -> torch.Tensor:
        grouped = _grouped(clips, self.modulation_groups)
        n = clips.shape[-1]
        hann = torch.hann_window(n, periodic=False, device=clips.device) if n > 1 else clips.new_ones(1)
        swinging = (grouped - grouped.mean(dim=-1, keepdim=True)) * hann
        power = torch.fft.rfft(swinging, dim=-1).abs().square()
        return torch.log1p(power @ self._bands(n).to(power).T).flatten(1)

    def _bands(self, n: int) -> torch.Tensor:
        """Return the share of each bin of a transform over n frames in each band, shape (9, n // 2 + 1)."""
        width = self.frame_rate / n
        centre = torch.arange(n // 2 + 1) * width
        edges = [min(edge, 0.499 * self.frame_rate) for edge in MODULATION_EDGES]
        weights = []
        for low, high in itertools.pairwise(edges):
            overlap = (centre + width / 2).clamp(max=high) - (centre - width / 2).clamp(min=low)
            weights.append(overlap.clamp(min=0.0))
        weight = torch.stack(weights)
        return weight / weight.sum(dim=1, keepdim=True).clamp(min=1e-6)

    def _contrast(self, clips: torch.Tensor) -> torch.Tensor:
        """Return how far the peaks of neighbouring bins stand above their valleys, (n, groups, frames).

        High where single tones sound, low in noise. After Jiang, D.-N. et al. (2002), "Music type classification by
        spectral contrast feature", ICME; here over groups of equally many bins; bins beyond the last are left out.
        """
        n, bins, frames = clips.shape
        width = self.contrast_bins
        groups = bins // width
        by_frame = clips[:, : groups * width].reshape(n, groups, width, frames).transpose(2, 3)
        ordered = by_frame.sort(dim=-1).values
        peaks, valleys = max(1, round(PEAKS * width)), max(1, round(VALLEYS * width))
        return ordered[..., -peaks:].mean(dim=-1) - ordered[..., :valleys].mean(dim=-1)

    def _delta_deviation(self, coefficients: torch.Tensor) -> torch.Tensor:
        n, count, frames = coefficients.shape
        rows = coefficients.reshape(n * count, 1, frames)
        padded = functional.pad(rows, (DELTA_WIDTH // 2, DELTA_WIDTH // 2), mode="replicate")
        return _log_deviation(functional.conv1d(padded, self.slopes)).view(n, count, 2).transpose(1, 2).flatten(1)

    def _correlation(self, coefficients: torch.Tensor) -> torch.Tensor:
        moved = coefficients - coefficients.mean(dim=-1, keepdim=True)
        unit = moved / moved.norm(dim=-1, keepdim=True).clamp(min=UNMOVED)
        both: torch.Tensor = unit @ unit.transpose(1, 2)
        first, second = self.pairs
        return both[:, first, second]


def _grouped(clips: torch.Tensor, groups: int) -> torch.Tensor:
    """Return the mean level of neighbouring bins, (n, groups, frames)."""
    n, bins, frames = clips.shape
    if bins % groups == 0:
        return clips.view(n, groups, bins // groups, frames).mean(dim=2)
    return functional.adaptive_avg_pool2d(clips[:, None], (groups, frames))[:, 0]


def _log_deviation(values: torch.Tensor) -> torch.Tensor:
    """Return the natural logarithm of the standard deviation over the last axis."""
    return values.std(dim=-1, unbiased=False).clamp(min=UNMOVED).log()


def _savgol_kernels() -> np.ndarray:
    """Return what slope and curvature of nine frames are correlated with, shape (2, 1, 9)."""
    from scipy.signal import savgol_coeffs

    kernels = [savgol_coeffs(DELTA_WIDTH, order, deriv=order, use="dot") for order in (1, 2)]
    return np.stack(kernels).astype(np.float32)[:, None]
