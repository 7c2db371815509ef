"""Augmentation of whole training batches: small changes after which music is still of its genre.

Everything is drawn anew for every clip of a batch, on spectrograms in dB. The features are those of the unchanged clip;
only mixup and ``feature_noise`` change them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch.nn import functional
from torchaudio.functional import mask_along_axis_iid

from genre.data.batches import Batch
from genre.errors import ConfigError

SMALLEST_DB = 0.01
"""Added to standard deviations over time, which are 0 in silence."""

EQUALIZER_POINTS = 8
"""Points, evenly spread over the bins, between which the random equaliser is linear."""


@dataclass(frozen=True, slots=True)
class Augment:
    """What may happen to a training batch; 0 switches a part off, and all are off by default.

    Parameters
    ----------
    gain_db
        Standard deviation in dB of a change of level.
    tilt_db
        Standard deviation in dB of a spectral tilt: that much more at the highest bin and less at the lowest.
    equalizer_db
        Standard deviation in dB of a smooth random curve over the bins, as another recording chain would add.
    mixstyle, mixstyle_share
        In this share of batches every clip takes on, in part, the mean and the standard deviation over time that each
        bin has in another clip, in a share drawn from Beta(mixstyle, mixstyle) (Zhou et al., 2021; on frequency bins:
        Kim et al., 2022). The label stays: it is the recording that changes, not the music.
    pitch_bins
        The spectrogram is moved by up to this many bins up or down. On a mel scale above 1 kHz that transposes it.
    stretch
        Time is stretched or squeezed by up to this share around a random place; what would be beyond the clip is
        mirrored.
    frequency_mask, frequency_masks
        Each mask covers up to this many neighbouring bins (Park et al., 2019); number of masks.
    time_mask, time_masks
        The same for frames.
    feature_noise
        Standard deviation of noise on the features, as a share of each feature's own.
    mixup
        Parameter of the Beta distribution from which the share of a second clip is drawn, one share a batch (Zhang et
        al., 2018).

    Raises
    ------
    ConfigError
        If a setting is out of range.
    """

    gain_db: float = 0.0
    tilt_db: float = 0.0
    equalizer_db: float = 0.0
    mixstyle: float = 0.0
    mixstyle_share: float = 0.7
    pitch_bins: float = 0.0
    stretch: float = 0.0
    frequency_mask: int = 0
    frequency_masks: int = 2
    time_mask: int = 0
    time_masks: int = 2
    feature_noise: float = 0.0
    mixup: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            whole = field.type == "int"
            if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or not value >= 0:
                kind = "a whole number" if whole else "a number"
                raise ConfigError(f"augment.{field.name}={value} is out of range; give {kind} from 0 on, 0 for none")
        for name, beyond in (("stretch", self.stretch >= 1), ("mixstyle_share", self.mixstyle_share > 1)):
            if beyond:
                raise ConfigError(f"augment.{name}={getattr(self, name)} is out of range; give a share below 1, or 0")

    @property
    def active(self) -> bool:
        """Whether anything is switched on."""
        no_strengths = ("frequency_masks", "time_masks", "mixstyle_share")
        return any(getattr(self, field.name) > 0 for field in fields(self) if field.name not in no_strengths)

    def apply(
        self, batch: Batch, *, n_classes: int, bin_mean: torch.Tensor, feature_std: torch.Tensor, seed: int
    ) -> Batch:
        """Return an augmented copy of a batch.

        Parameters
        ----------
        batch
            ``spectrogram`` (B, 1, bins, frames) in dB, ``features`` (B, 57), ``label`` (B,); perhaps ``weight``
            (B,).
        n_classes
            Number of classes.
        bin_mean : shape=(bins,)
            Mean level of each bin, which masks are filled with.
        feature_std : shape=(57,)
            Standard deviation of each feature.
        seed
            The same seed changes the same batch in the same way. The state of torch's own generator is left alone.

        Returns
        -------
        batch
            With mixup also ``target`` (B, classes): how much of each class every clip holds, times the weight of the
            clip that it is from; no ``weight`` any more. ``label`` is the class that a clip holds most of.
        """
        device = batch["spectrogram"].device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            spectrogram = self._recorded(self._restyled(self._played(batch["spectrogram"])))
            spectrogram = self._masked(spectrogram - bin_mean[:, None]) + bin_mean[:, None]
            features = batch["features"]
            if self.feature_noise > 0:
                features = features + self.feature_noise * feature_std * torch.randn_like(features)
            changed = {**batch, "spectrogram": spectrogram, "features": features}
            return self._mixed(changed, n_classes) if self.mixup > 0 else changed

    def _played(self, spectrogram: torch.Tensor) -> torch.Tensor:
        """Return the spectrogram as if the music had been played higher or lower, faster or slower."""
        if self.pitch_bins == 0 and self.stretch == 0:
            return spectrogram
        n, _, bins, _ = spectrogram.shape
        rate = 1 + self.stretch * _around_zero(n, spectrogram)
        affine = spectrogram.new_zeros(n, 2, 3)  # in units of half the clip and half the bins
        affine[:, 0, 0] = rate
        affine[:, 0, 2] = (1 - rate) * _around_zero(n, spectrogram)  # this place of the clip stays where it is
        affine[:, 1, 1] = 1
        affine[:, 1, 2] = 2 * self.pitch_bins / bins * _around_zero(n, spectrogram)
        grid = functional.affine_grid(affine, list(spectrogram.shape), align_corners=False)
        return functional.grid_sample(spectrogram, grid, padding_mode="reflection", align_corners=False)

    def _restyled(self, spectrogram: torch.Tensor) -> torch.Tensor:
        """Return clips (B, 1, bins, frames) with the statistics of their bins mixed with those of other clips."""
        if self.mixstyle == 0 or float(torch.rand(())) >= self.mixstyle_share:
            return spectrogram
        mean, deviation = spectrogram.mean(dim=3, keepdim=True), spectrogram.std(dim=3, keepdim=True) + SMALLEST_DB
        own = _beta(self.mixstyle, len(spectrogram)).to(spectrogram)[:, None, None, None]
        other = torch.randperm(len(spectrogram), device=spectrogram.device)
        new_mean, new_deviation = torch.lerp(mean[other], mean, own), torch.lerp(deviation[other], deviation, own)
        return (spectrogram - mean) * (new_deviation / deviation) + new_mean

    def _recorded(self, spectrogram: torch.Tensor) -> torch.Tensor:
        """Return the spectrogram as another recording of the same sound could be: level, tilt, equaliser."""
        n, _, bins, _ = spectrogram.shape
        draw = spectrogram.new_empty
        change = self.gain_db * draw(n, 1).normal_()
        if self.tilt_db > 0:
            slope = torch.linspace(-1, 1, bins, device=spectrogram.device)
            change = change + self.tilt_db * draw(n, 1).normal_() * slope
        if self.equalizer_db > 0:
            points = self.equalizer_db * draw(n, 1, EQUALIZER_POINTS).normal_()
            change = change + functional.interpolate(points, bins, mode="linear", align_corners=True)[:, 0]
        return spectrogram + change[:, None, :, None]

    def _masked(self, deviation: torch.Tensor) -> torch.Tensor:
        """Return levels (B, 1, bins, frames) above the mean with bands of bins and of frames set to 0."""
        for axis, longest, masks in (
            (2, self.frequency_mask, self.frequency_masks),
            (3, self.time_mask, self.time_masks),
        ):
            if longest > 0:
                for _ in range(masks):
                    deviation = mask_along_axis_iid(deviation, min(longest, deviation.shape[axis]), 0.0, axis)
        return deviation

    def _mixed(self, batch: Batch, n_classes: int) -> Batch:
        share = float(_beta(self.mixup, 1))
        share = max(share, 1 - share)  # the same mixtures, but the label is that of the larger part
        partner = torch.randperm(len(batch["label"]), device=batch["label"].device)
        mixed = {name: value for name, value in batch.items() if name != "weight"}
        mixed["target"] = functional.one_hot(batch["label"], n_classes).float()
        if "weight" in batch:
            mixed["target"] *= batch["weight"][:, None]
        for name in ("spectrogram", "features", "target"):
            mixed[name] = torch.lerp(mixed[name][partner], mixed[name], share)
        return mixed


def _beta(concentration: float, n: int) -> torch.Tensor:
    """Return n shares drawn from Beta(concentration, concentration)."""
    both = torch.full((n,), float(concentration))
    return torch.distributions.Beta(both, both).sample()


def _around_zero(n: int, like: torch.Tensor) -> torch.Tensor:
    """Return n numbers between -1 and 1 of the type and on the device of another tensor."""
    return 2 * torch.rand(n, dtype=like.dtype, device=like.device) - 1
