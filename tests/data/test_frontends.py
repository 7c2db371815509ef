"""What front ends share on disk, and what a network sees of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_audio import module

from genre.data.feature_set import from_datamodule
from genre.errors import ConfigError
from genre.features.spectrogram import LogMel


def test_levels_as_they_are_and_below_the_loudest_share_one_store(make_music, tmp_path):
    folder, stores = make_music(artists=3), tmp_path / "stores"
    absolute = module(folder, stores, LogMel())
    relative = module(folder, stores, LogMel(ref="max"))
    assert relative.store_name == absolute.store_name
    assert module(folder, stores, LogMel(n_mels=40)).store_name != absolute.store_name
    rows = np.arange(6)
    levels, below = (data.arrays.gather(rows)["spectrogram"] for data in (absolute, relative))
    assert torch.equal(below, levels - levels.amax(dim=(1, 2, 3), keepdim=True))
    assert torch.equal(below.amax(dim=(1, 2, 3)), torch.zeros(6))


def test_what_a_network_is_normalised_by_is_of_the_levels_that_it_sees(make_music, tmp_path):
    folder, stores = make_music(artists=3), tmp_path / "stores"
    means = [module(folder, stores, LogMel(ref=ref)).statistics.spectrogram_mean for ref in (1.0, "max")]
    assert max(means[1]) <= 0 < np.ptp(np.subtract(*means))


def test_the_classical_features_know_no_reference(make_music, tmp_path):
    folder, stores = make_music(artists=3), tmp_path / "stores"
    sets = [from_datamodule(module(folder, stores, LogMel(ref=ref)), "dynamics") for ref in (1.0, "max")]
    np.testing.assert_array_equal(sets[0].values, sets[1].values)
    assert sets[0].content == sets[1].content
    with pytest.raises(ConfigError, match="default log-mel"):
        from_datamodule(module(folder, stores, LogMel(ref=0.5)), "dynamics")
