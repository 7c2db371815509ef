"""What the tests leave out of the commands they run."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from running import SAY_THE_MODE

CONF = Path(__file__).parents[2] / "conf"


def test_the_mode_is_said_by_choices_of_two_groups_only() -> None:
    groups = {path.parent.name for path in CONF.rglob("*.yaml") if OmegaConf.select(OmegaConf.load(path), "hydra.mode")}
    assert groups == set(SAY_THE_MODE) - {"hydra.mode"}
    chosen = {
        (path.name, option)
        for path in CONF.rglob("*.yaml")
        for default in OmegaConf.select(OmegaConf.load(path), "defaults") or ()
        if not isinstance(default, str)
        for name, option in default.items()
        if name.removeprefix("override ").lstrip("/").split("@")[0] in groups
    }
    assert chosen == {("train.yaml", None), ("train.yaml", "local"), ("sweep_classical.yaml", "local")}


@pytest.mark.parametrize("name", ["train", "sweep_classical", "infer"])
def test_without_them_no_mode_is_said(name: str) -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        assert compose(name, return_hydra_config=True).hydra.mode is None
        if name == "train":
            assert compose(name, ["launcher=joblib"], return_hydra_config=True).hydra.mode is not None
