"""Training with damaged copies, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from genre.commands.build import config_hash
from genre.data.protocols import TrackTable

CONF = Path(__file__).parent.parent.parent / "conf"

SMALL = (
    "data.clip_sec=1",
    "model.widths=[4,8]",
    "model.hidden=16",
    "data.batch_size=8",
    "logger=none",
    "scheduler=constant",
)


def stores_in(folder: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in folder.glob("*/store.json")]


def test_copies_change_the_training_and_evaluation_needs_none(train, music: Path, tmp_path: Path) -> None:
    stores, once, again = tmp_path / "stores", tmp_path / "once", tmp_path / "again"
    common = ("data=folder", f"data.root={music}", f"data.store_dir={stores}", *SMALL, "trainer.max_epochs=1")
    result = train(*common, "damage=microphone", "damage.copies=1", f"hydra.run.dir={once}")
    assert result.status == 0, result.err
    assert "prepared 48 clips of 24 tracks" in result.out  # the clean ones and the copy
    assert sorted("damage" in store["clips"] for store in stores_in(stores)) == [False, True]
    assert train(*common, f"hydra.run.dir={again}").status == 0
    assert (again / "history.csv").read_bytes() != (once / "history.csv").read_bytes()
    for path in list(stores.glob("*/store.json")):
        if "damage" in json.loads(path.read_text())["clips"]:
            path.unlink()
    test = train("mode=test", f"ckpt={once / 'best.ckpt'}", f"hydra.run.dir={tmp_path / 'test'}")
    assert test.status == 0, test.err
    assert (tmp_path / "test" / "predictions.csv").read_bytes() == (once / "predictions.csv").read_bytes()
    assert len(stores_in(stores)) == 1


def test_damage_counts_in_the_hash_of_a_run() -> None:
    changes = ((), ("damage.copies=1",), ("damage.noise=0.1",), ("damage.noise_snr_db=[0,9]",))
    table = TrackTable((), np.array([], dtype=np.int64), (), (), (), (), np.array([], dtype=np.int64))
    choices = [("damage=none",), *(("damage=microphone", *change) for change in changes)]
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        hashes = {config_hash(compose("train", overrides=list(choice)), "store", table) for choice in choices}
    assert len(hashes) == len(choices)


def test_what_is_shown_of_a_training_does_not_count_in_its_hash() -> None:
    table = TrackTable((), np.array([], dtype=np.int64), (), (), (), (), np.array([], dtype=np.int64))
    shown = ("trainer.enable_progress_bar=false", "trainer.log_every_n_steps=7")
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        choices = [compose("train", overrides=list(choice)) for choice in ((), shown, ("trainer.max_epochs=3",))]
    plain, quiet, other = (config_hash(choice, "store", table) for choice in choices)
    assert plain == quiet != other


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("damage=microphon",), "did you mean microphone?"),
        (("damage=microphone", "damage.noize=1"), "did you mean damage.noise"),
        (("damage.copies=2",), "choose damage=microphone"),
        (("damage=microphone", "damage.copies=two"), "damage.copies=two"),
        (("damage=microphone", "damage.codec=1.5"), "damage.codec=1.5 is not a probability"),
        (("damage=microphone", "damage.room_rt60_sec=0.5"), "damage.room_rt60_sec=0.5 is not a range"),
        (("damage=microphone", "damage.band_low_hz=[900,100]"), "damage.band_low_hz=[900, 100] is not a range"),
    ],
)
def test_a_wrong_setting_is_one_sentence(arguments, hint: str, train, music: Path, tmp_path: Path) -> None:
    result = train("data=folder", f"data.root={music}", f"hydra.run.dir={tmp_path / 'run'}", *arguments)
    assert result.status == 1, result.out
    (line,) = (line for line in result.err.splitlines() if line.strip())
    assert line.startswith("error: ")
    assert hint in line
