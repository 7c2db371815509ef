"""Augmentation of whole training batches: small changes after which music is still of its genre.

Everything is drawn anew for every clip of a batch, on spectrograms in dB; the share of mixup, and whether mixstyle
happens, for every batch. The features are those of the unchanged clip; only mixup and ``feature_noise`` change them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch.nn import functional
from torchaudio.functional import mask_along_axis_iid

from genre.checks import checked_range, is_number, is_whole
from genre.data.batches import Batch
from genre.errors import ConfigError

SMALLEST_DB = 0.01
"""Added to standard deviations over time, which are 0 in silence."""

EQUALIZER_POINTS = 8
"""Points, evenly spread over the bins, between which the random equaliser and the colour of noise are linear."""

STEEPNESS_DB = (6.0, 20.0)
"""How fast levels fall above the edge of a low-pass, in dB a bin."""

NOISE_SLOPE_DB = (-10.0, 30.0)
"""How far noise falls from the lowest bin to the highest: blue, white, pink and brown noise, on a mel scale."""
NOISE_COLOUR_DB = 3.0
"""Standard deviation of what else colours noise, as an equaliser would."""
NOISE_WAVER_DB = 0.9
"""Standard deviation of the level of noise from frame to frame, in a bin that many frequencies are gathered in."""

SHOWN_DB = 80.0
"""How far below its loudest level a clip shows anything, unless the front end says otherwise."""

WIDEST_SNR_DB = (-20.0, 100.0)


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
        Each mask covers fewer than this many neighbouring bins (Park et al., 2019); number of masks.
    time_mask, time_masks
        The same for frames.
    feature_noise
        Standard deviation of noise on the features, as a share of each feature's own.
    lowpass, lowpass_from
        In this share of clips there is nothing above an edge, as in a file of a lower sample rate or of a lossy codec.
        The edge lies anywhere from this share of the bins on; below it nothing changes.
    noise, noise_snr_db
        In this share of clips there is noise, of a colour of its own, whose power is this much below that of the
        clip: anywhere between the two levels in dB.
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
    lowpass: float = 0.0
    lowpass_from: float = 0.6
    noise: float = 0.0
    noise_snr_db: tuple[float, float] = (5.0, 40.0)
    mixup: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "noise_snr_db", checked_range("augment.noise_snr_db", self.noise_snr_db, *WIDEST_SNR_DB)
        )
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "noise_snr_db":
                continue
            whole = field.type == "int"
            if not (is_whole(value, 0) if whole else is_number(value, 0)):
                kind = "a whole number" if whole else "a number"
                raise ConfigError(f"augment.{field.name}={value} is out of range; give {kind} from 0 on, 0 for none")
        if self.stretch >= 1:
            raise ConfigError(f"augment.stretch={self.stretch} is out of range; give a share below 1, or 0")
        for name in ("mixstyle_share", "lowpass", "lowpass_from", "noise"):
            if getattr(self, name) > 1:
                raise ConfigError(f"augment.{name}={getattr(self, name)} is out of range; give a share from 0 to 1")

    @property
    def active(self) -> bool:
        """Whether anything is switched on."""
        no_strengths = ("frequency_masks", "time_masks", "mixstyle_share", "lowpass_from", "noise_snr_db")
        return any(getattr(self, field.name) > 0 for field in fields(self) if field.name not in no_strengths)

    def apply(
        self,
        batch: Batch,
        *,
        n_classes: int,
        bin_mean: torch.Tensor,
        feature_std: torch.Tensor,
        seed: int,
        shown_db: float | None = None,
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
        shown_db
            How far below its loudest level a clip shows anything (``top_db`` of the front end); where nothing is left
            after a low-pass, that is its level. ``None``: 80 dB.

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
            spectrogram = self._in_noise(self._cut_off(spectrogram), SHOWN_DB if shown_db is None else shown_db)
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
            change = change + self.equalizer_db * _smooth_curves(n, bins, spectrogram)
        return spectrogram + change[:, None, :, None]

    def _cut_off(self, spectrogram: torch.Tensor) -> torch.Tensor:
        """Return the spectrogram with levels that fall steeply above an edge, in a share of clips."""
        if self.lowpass == 0:
            return spectrogram
        n, _, bins, _ = spectrogram.shape
        edge = bins * _between((self.lowpass_from, 1.0), n, spectrogram)
        edge = torch.where(_between((0.0, 1.0), n, spectrogram) < self.lowpass, edge, float(bins))
        above = (torch.arange(bins, device=spectrogram.device) - edge[:, None]).clamp(min=0)
        loss = above * _between(STEEPNESS_DB, n, spectrogram)[:, None]
        return spectrogram - loss[:, None, :, None]

    def _in_noise(self, spectrogram: torch.Tensor, shown_db: float) -> torch.Tensor:
        """Return the spectrogram with the power of noise added in a share of clips, and nothing below what is shown."""
        if self.lowpass == 0 and self.noise == 0:
            return spectrogram
        loudest = spectrogram.amax(dim=(2, 3), keepdim=True)
        if self.noise > 0:
            n, _, bins, _ = spectrogram.shape
            power = torch.pow(10.0, (spectrogram - loudest) / 10)
            slope = torch.linspace(0.5, -0.5, bins, device=spectrogram.device)
            colour = _between(NOISE_SLOPE_DB, n, spectrogram)[:, None] * slope
            colour = torch.pow(10.0, (colour + NOISE_COLOUR_DB * _smooth_curves(n, bins, spectrogram)) / 10)
            level = power.mean(dim=(1, 2, 3)) * torch.pow(10.0, -_between(self.noise_snr_db, n, spectrogram) / 10)
            level = torch.where(_between((0.0, 1.0), n, spectrogram) < self.noise, level, 0.0)
            noise = (level[:, None] * colour / colour.mean(dim=1, keepdim=True))[:, None, :, None]
            waver = torch.pow(10.0, NOISE_WAVER_DB / 10 * torch.randn_like(spectrogram))
            smallest = torch.finfo(power.dtype).tiny
            spectrogram = 10 * torch.log10((power + noise * waver).clamp(min=smallest)) + loudest
            loudest = spectrogram.amax(dim=(2, 3), keepdim=True)
        return torch.maximum(spectrogram, loudest - shown_db)

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


def _smooth_curves(n: int, bins: int, like: torch.Tensor) -> torch.Tensor:
    """Return n random curves over the bins (n, bins), linear between points of unit deviation."""
    points = like.new_empty(n, 1, EQUALIZER_POINTS).normal_()
    return functional.interpolate(points, bins, mode="linear", align_corners=True)[:, 0]


def _between(limits: tuple[float, float], n: int, like: torch.Tensor) -> torch.Tensor:
    """Return n numbers between two limits of the type and on the device of another tensor."""
    return limits[0] + (limits[1] - limits[0]) * torch.rand(n, dtype=like.dtype, device=like.device)


def _around_zero(n: int, like: torch.Tensor) -> torch.Tensor:
    """Return n numbers between -1 and 1 of the type and on the device of another tensor."""
    return 2 * torch.rand(n, dtype=like.dtype, device=like.device) - 1
