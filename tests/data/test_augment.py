"""Augmentation of batches: what each part may change, by how much, and that the seed alone decides."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import torch

from genre.data.augment import Augment
from genre.errors import ConfigError

BINS, FRAMES, CLASSES = 32, 40, 3
MEAN = torch.linspace(-20.0, -60.0, BINS)


def batch(n: int = 6) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    return {
        "spectrogram": torch.randn(n, 1, BINS, FRAMES, generator=random) * 10 + MEAN[:, None],
        "features": torch.randn(n, 57, generator=random),
        "label": torch.arange(n) % CLASSES,
        "track": torch.arange(n),
        "start": torch.zeros(n, dtype=torch.int64),
    }


def applied(
    values: dict[str, torch.Tensor], seed: int = 0, shown_db: float | None = None, **settings: Any
) -> dict[str, torch.Tensor]:
    scale = torch.linspace(0.5, 2.0, 57)
    return Augment(**settings).apply(
        values, n_classes=CLASSES, bin_mean=MEAN, feature_std=scale, seed=seed, shown_db=shown_db
    )


EACH = {
    "gain_db": 3.0,
    "tilt_db": 3.0,
    "equalizer_db": 3.0,
    "mixstyle": 0.3,
    "pitch_bins": 3.0,
    "stretch": 0.2,
    "frequency_mask": 8,
    "time_mask": 8,
    "feature_noise": 0.3,
    "lowpass": 1.0,
    "noise": 1.0,
    "mixup": 0.5,
}
STRENGTHS = {"frequency_masks", "time_masks", "mixstyle_share", "lowpass_from", "noise_snr_db"}


def test_every_setting_is_tried_here():
    assert {field.name for field in fields(Augment)} == {*EACH, *STRENGTHS}


def test_nothing_is_switched_on_by_default():
    assert not Augment().active
    assert all(Augment(**{name: value}).active for name, value in EACH.items())


@pytest.mark.parametrize("name", EACH)
def test_the_seed_alone_decides_and_the_batch_is_left_alone(name):
    values = batch()
    before = {key: value.clone() for key, value in values.items()}
    torch.manual_seed(1)
    state = torch.get_rng_state()
    setting = {name: EACH[name], "mixstyle_share": 1.0}
    first = applied(values, seed=3, **setting)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    again = applied(values, seed=3, **setting)
    other = applied(values, seed=4, **setting)
    changed = "features" if name == "feature_noise" else "spectrogram"
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first[changed], other[changed])
    assert all(torch.equal(values[key], before[key]) for key in before)
    assert all(torch.equal(first[key], before[key]) for key in ("label", "track", "start"))
    assert first["spectrogram"].shape == before["spectrogram"].shape
    assert torch.isfinite(first["spectrogram"]).all()


def test_a_gain_moves_all_of_a_clip_alike_and_every_clip_by_its_own():
    values = batch(200)
    moved = (applied(values, gain_db=3.0)["spectrogram"] - values["spectrogram"]).flatten(1)
    assert (moved.std(dim=1) < 1e-4).all()
    assert 2.5 < float(moved.mean(dim=1).std()) < 3.5


def test_a_tilt_is_a_straight_line_over_the_bins_with_nothing_in_the_middle():
    values = batch(200)
    change = (applied(values, tilt_db=2.0)["spectrogram"] - values["spectrogram"])[:, 0]
    assert torch.allclose(change, change[:, :, :1].expand_as(change), atol=1e-4)
    line = change[:, :, 0]
    assert torch.allclose(line.diff(dim=1), line.diff(dim=1)[:, :1].expand(-1, BINS - 1), atol=1e-4)
    assert torch.allclose(line[:, 0], -line[:, -1], atol=1e-4)
    assert 1.6 < float(line[:, -1].std()) < 2.4


def test_an_equalizer_is_smooth_over_the_bins_and_constant_in_time():
    values = batch(200)
    change = (applied(values, equalizer_db=2.0)["spectrogram"] - values["spectrogram"])[:, 0]
    assert torch.allclose(change, change[:, :, :1].expand_as(change), atol=1e-4)
    assert float(change[:, :, 0].diff(dim=1).abs().mean()) < 1.0
    assert 1.4 < float(change.std()) < 2.2


def test_mixstyle_gives_every_bin_statistics_between_its_own_and_another_clips():
    values = batch(40)
    before = values["spectrogram"][:, 0]
    after = applied(values, mixstyle=0.4, mixstyle_share=1.0)["spectrogram"][:, 0]
    shape = (before - before.mean(dim=2, keepdim=True)) / before.std(dim=2, keepdim=True)
    assert torch.allclose((after - after.mean(dim=2, keepdim=True)) / after.std(dim=2, keepdim=True), shape, atol=1e-3)
    for statistic in (torch.mean, torch.std):
        old, new = statistic(before, dim=2), statistic(after, dim=2)
        between = (new >= old.min(dim=0).values - 1e-3) & (new <= old.max(dim=0).values + 1e-3)
        assert between.all()
        assert float((new - old).abs().mean()) > 0.1
    means, moved = before.mean(dim=2), after.mean(dim=2) - before.mean(dim=2)
    share = moved[:, None] / (means[None] - means[:, None])  # of the way from each clip to each other, for every bin
    same_for_all_bins = share.std(dim=2).nan_to_num(1.0).min(dim=1).values < 1e-2
    assert same_for_all_bins.float().mean() > 0.9


def test_mixstyle_leaves_the_other_batches_alone():
    values = batch()
    changed = [
        not torch.equal(
            applied(values, seed=seed, mixstyle=0.3, mixstyle_share=0.25)["spectrogram"], applied(values)["spectrogram"]
        )
        for seed in range(200)
    ]
    assert 0.15 < sum(changed) / 200 < 0.35


def test_pitch_moves_a_line_by_no_more_than_asked():
    values = batch(64)
    values["spectrogram"] = torch.zeros_like(values["spectrogram"])
    values["spectrogram"][:, :, 16] = 10.0
    shifted = applied(values, pitch_bins=4.0)["spectrogram"][:, 0, :, 0]
    centre = (shifted * torch.arange(BINS)).sum(dim=1) / shifted.sum(dim=1)
    assert torch.allclose(shifted.sum(dim=1), torch.full((64,), 10.0), atol=1e-3)
    assert float((centre - 16).abs().max()) <= 4.0
    assert float(centre.std()) > 1.5


def test_stretching_changes_distances_in_time_by_no_more_than_asked():
    values = batch(64)
    frames = torch.arange(FRAMES, dtype=torch.float32)
    values["spectrogram"] = frames.expand(64, 1, BINS, FRAMES).clone()
    slope = applied(values, stretch=0.2)["spectrogram"][:, 0, 0].diff(dim=1)
    inner = slope.median(dim=1).values  # mirrored ends run backwards
    assert (inner.abs() > 0.79).all()
    assert (inner.abs() < 1.21).all()
    assert float(inner.std()) > 0.05


@pytest.mark.parametrize(("name", "axis"), [("frequency_mask", 2), ("time_mask", 3)])
def test_a_mask_hides_one_band_at_the_mean_of_each_bin(name, axis):
    values = batch(50)
    masked = applied(values, **{name: 8, f"{name}s": 1})["spectrogram"]
    hidden = torch.isclose(masked, MEAN[:, None].expand_as(masked), atol=1e-4)
    untouched = torch.isclose(masked, values["spectrogram"], atol=1e-4)
    assert (hidden | untouched).all()
    widths = hidden.all(dim=5 - axis).sum(dim=-1)[:, 0]
    assert int(widths.max()) <= 8
    assert len(widths.unique()) > 3
    assert (hidden.all(dim=5 - axis).int().diff(dim=-1).clamp(min=0).sum(dim=-1) <= 1).all()


def test_a_mask_longer_than_the_clip_is_no_error():
    assert torch.isfinite(applied(batch(), time_mask=10 * FRAMES)["spectrogram"]).all()


def test_mixup_mixes_spectrogram_features_and_target_in_one_share():
    values = batch(2)
    values["spectrogram"][0], values["spectrogram"][1] = 0.0, 1.0
    values["features"][0], values["features"][1] = 0.0, 1.0
    shares = set()
    for seed in range(20):
        mixed = applied(values, seed=seed, mixup=1.0)
        of_second = mixed["target"][:, 1]
        assert torch.allclose(mixed["target"].sum(dim=1), torch.ones(2))
        assert torch.equal(mixed["target"].argmax(dim=1), mixed["label"])
        assert torch.allclose(mixed["spectrogram"].mean(dim=(1, 2, 3)), of_second, atol=1e-4)
        assert torch.allclose(mixed["features"].mean(dim=1), of_second, atol=1e-4)
        shares.add(round(float(of_second[0]), 3))
    assert len(shares) > 5


def test_noise_on_features_is_a_share_of_their_spread():
    values = batch(2000)
    noise = applied(values, feature_noise=0.5)["features"] - values["features"]
    assert torch.allclose(noise.std(dim=0), 0.5 * torch.linspace(0.5, 2.0, 57), rtol=0.1)


def test_a_low_pass_leaves_nothing_above_an_edge_and_all_below_it():
    values = batch(200)
    values["spectrogram"] *= 0.3  # all within 80 dB
    before, after = values["spectrogram"], applied(values, lowpass=1.0, lowpass_from=0.25)["spectrogram"]
    lowest = after.amax(dim=(2, 3), keepdim=True) - 80
    assert (after >= lowest - 1e-3).all()
    changed = (before - after).abs().amax(dim=(1, 3)) > 1e-3
    assert not changed[:, : BINS // 4].any()
    first = torch.where(changed.any(dim=1), changed.int().argmax(dim=1), BINS)
    assert all(row[at:].all() for row, at in zip(changed, first.tolist(), strict=True))
    assert first.min() <= BINS // 4 + 2
    assert first.float().mean() == pytest.approx(0.625 * BINS, abs=1.5)
    empty = torch.arange(BINS) > first[:, None] + 15  # the gentlest fall is 6 dB a bin
    at_lowest = (after - lowest).abs().amax(dim=(1, 3)) < 1e-3
    assert empty.any()
    assert at_lowest[empty].all()


def test_after_a_low_pass_nothing_lies_below_what_the_front_end_shows():
    values = batch(50)
    after = applied(values, lowpass=1.0, lowpass_from=0.0, shown_db=30.0)["spectrogram"]
    assert torch.allclose(after.amax(dim=(1, 2, 3)) - after.amin(dim=(1, 2, 3)), torch.tensor(30.0), atol=1e-3)


@pytest.mark.parametrize("part", ["lowpass", "noise"])
def test_a_share_of_clips_is_cut_off_or_in_noise(part):
    values = batch(600)
    after = applied(values, **{part: 0.3})["spectrogram"]
    shown = torch.maximum(values["spectrogram"], values["spectrogram"].amax(dim=(2, 3), keepdim=True) - 80)
    changed = (after - shown).abs().amax(dim=(1, 2, 3)) > 0.01
    assert changed.float().mean() == pytest.approx(0.3, abs=0.06)


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 30.0])
def test_the_power_of_noise_is_as_far_below_that_of_the_clip_as_asked(snr_db):
    values = batch(100)
    values["spectrogram"] = values["spectrogram"].double()  # the difference of powers is small

    def power(levels: torch.Tensor) -> torch.Tensor:
        return torch.pow(10.0, levels / 10).mean(dim=(1, 2, 3))

    before = power(values["spectrogram"])
    after = power(applied(values, noise=1.0, noise_snr_db=(snr_db, snr_db), shown_db=200.0)["spectrogram"])
    assert torch.allclose(10 * torch.log10(before / (after - before)), torch.tensor(snr_db).double(), atol=0.3)


def test_noise_has_another_colour_in_every_clip():
    values = batch(60)
    values["spectrogram"] = torch.full_like(values["spectrogram"], -200.0)
    values["spectrogram"][:, :, 0] = 0.0  # all power is in the lowest bin; above it there is only noise
    heard = applied(values, noise=1.0, noise_snr_db=(20.0, 20.0))["spectrogram"].mean(dim=3)[:, 0, 1:]
    slopes = heard[:, -4:].mean(dim=1) - heard[:, :4].mean(dim=1)
    assert slopes.max() > 0
    assert slopes.min() < -15
    assert slopes.mean() == pytest.approx(-10, abs=5)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"gain_db": -1.0}, "gain_db"),
        ({"gain_db": float("inf")}, "gain_db"),
        ({"equalizer_db": float("nan")}, "equalizer_db"),
        ({"time_mask": 2.5}, "time_mask"),
        ({"stretch": 1.0}, "stretch"),
        ({"mixup": True}, "mixup"),
        ({"mixstyle_share": 1.5}, "mixstyle_share"),
        ({"lowpass": 1.5}, "lowpass"),
        ({"lowpass_from": 1.01}, "lowpass_from"),
        ({"noise": -0.1}, "noise"),
        ({"noise_snr_db": 10.0}, "noise_snr_db"),
        ({"noise_snr_db": (30.0, 10.0)}, "noise_snr_db"),
        ({"noise_snr_db": (10.0, 1000.0)}, "noise_snr_db"),
    ],
)
def test_a_wrong_setting_is_named(settings, name):
    with pytest.raises(ConfigError, match=f"augment.{name}="):
        Augment(**settings)
