"""Artists of a class count alike in training, as far as data.artist_balance says, however many clips each has."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from genre.data import sources
from genre.data.augment import Augment
from genre.data.clips import ClipSpec
from genre.data.datamodule import DataSettings, GenreDataModule
from genre.data.protocols import ArtistProtocol
from genre.errors import ConfigError
from genre.features.spectrogram import LogMel


class Training:
    """Stands in for a trainer that trains."""

    training = True
    global_rank = 0
    fit_loop = SimpleNamespace(
        epoch_loop=SimpleNamespace(batch_progress=SimpleNamespace(total=SimpleNamespace(ready=3)))
    )


@pytest.fixture
def folder(make_music):
    """Music in which the artists have differently many tracks."""
    folder = make_music(artists=8)
    header, *rows = (folder / "tracks.csv").read_text().splitlines()
    rows = [row.replace("artist 1", "artist 0").replace("artist 2", "artist 0") for row in rows]
    (folder / "tracks.csv").write_text("\n".join([header, *rows]) + "\n")
    return folder


def module(folder, stores, **options) -> GenreDataModule:
    data = GenreDataModule(
        sources.folder(str(folder)),
        ArtistProtocol(),
        LogMel(n_mels=16),
        ClipSpec(1.0),
        DataSettings(stores, **options),
    )
    data.setup()
    return data


def weight_of_artists(data: GenreDataModule) -> dict[tuple[str, str], float]:
    """Sum of the weights of an epoch's clips, by class and artist."""
    total: dict[tuple[str, str], float] = {}
    for track in data._drawn_tracks():
        key = (data.tracks[track].label, str(data.tracks[track].artist))
        total[key] = total.get(key, 0.0) + float(data.track_weights[track])
    return total


def test_wholly_balanced_artists_of_a_class_have_the_same_weight(folder, stores):
    data = module(folder, stores, artist_balance=1.0)
    total = weight_of_artists(data)
    for label in data.labels:
        own = [weight for (of, _), weight in total.items() if of == label]
        assert own == pytest.approx([own[0]] * len(own))


@pytest.mark.parametrize("balance", [0.3, 1.0])
def test_classes_keep_their_weight_and_other_sides_have_none(folder, stores, balance):
    data = module(folder, stores, artist_balance=balance)
    drawn = data._drawn_tracks()
    for label in range(len(data.labels)):
        own = drawn[data.table.label[drawn] == label]
        assert data.track_weights[own].mean() == pytest.approx(1.0)
    elsewhere = np.setdiff1d(np.arange(len(data.tracks)), drawn)
    assert not data.track_weights[elsewhere].any()


def test_half_balanced_is_between(folder, stores):
    spread = []
    for balance in (0.001, 0.5, 1.0):
        data = module(folder, stores, artist_balance=balance)
        total = weight_of_artists(data)
        each = [[weight for (of, _), weight in total.items() if of == label] for label in data.labels]
        spread.append(max(max(weights) / min(weights) for weights in each))
    assert spread[0] > spread[1] > spread[2] == pytest.approx(1.0)


def test_training_batches_carry_their_weights_and_mixup_mixes_them(folder, stores):
    data = module(folder, stores, artist_balance=1.0)
    clips = data.arrays.gather(data.rows("train"))
    assert "weight" not in data.on_after_batch_transfer(clips, 0)
    data.trainer = Training()  # type: ignore[assignment]
    weighed = data.on_after_batch_transfer(clips, 0)
    assert torch.equal(weighed["weight"], torch.from_numpy(data.track_weights)[clips["track"]])
    data.augment = Augment(mixup=0.4)
    mixed = data.on_after_batch_transfer(clips, 0)
    assert "weight" not in mixed
    weight = weighed["weight"]
    for label in range(len(data.labels)):  # each part of a mixture counts by the weight of the clip that it is from
        own = weight[clips["label"] == label].sum()
        assert float(mixed["target"][:, label].sum()) == pytest.approx(float(own), rel=1e-5)
    partners = mixed["target"].sum(dim=1)
    assert float(partners.min()) >= float(weight.min()) - 1e-5
    assert float(partners.max()) <= float(weight.max()) + 1e-5


def test_without_balance_nothing_is_weighed(folder, stores):
    data = module(folder, stores)
    data.trainer = Training()  # type: ignore[assignment]
    assert "weight" not in data.on_after_batch_transfer(data.arrays.gather(data.rows("train")[:4]), 0)


@pytest.mark.parametrize("balance", [-0.1, 1.5, True])
def test_out_of_range(folder, stores, balance):
    with pytest.raises(ConfigError, match=r"data\.artist_balance=.* is out of range; choose between 0 and 1"):
        module(folder, stores, artist_balance=balance)
