"""What the ready searches choose between."""

from __future__ import annotations

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from small_models import CONF, built, names

pytest.importorskip("optuna", reason="optuna is not installed: pip install -e '.[optuna]'")

from optuna.distributions import CategoricalDistribution

from genre.commands.study import search_space


@pytest.mark.parametrize("name", names("hparams_search"))
def test_every_end_of_a_ready_space_is_a_network(name: str) -> None:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        hydra = compose("train", overrides=[f"hparams_search={name}"], return_hydra_config=True).hydra
        params = OmegaConf.to_container(hydra.sweeper.params)
        space, fixed = search_space([f"{setting}={values}" for setting, values in params.items()])
        assert (hydra.mode.name, hydra.runtime.choices.model, fixed) == ("MULTIRUN", name, {})
        ends = {
            setting: values.choices if isinstance(values, CategoricalDistribution) else (values.low, values.high)
            for setting, values in space.items()
        }
        for number in range(max(map(len, ends.values()))):
            chosen = [f"{setting}={values[min(number, len(values) - 1)]}" for setting, values in ends.items()]
            model = built(compose("train", overrides=[f"model={name}", *chosen]))
            assert model.eval()(torch.zeros(1, 1, 128, 130), torch.zeros(1, 57)).shape == (1, 3)
