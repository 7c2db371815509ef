"""What the benchmarks ask of the program is what it takes."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from genre.commands.build import build_trainer

FOLDER = Path(__file__).parent.parent / "benchmarks"


def test_the_benchmark_of_training_is_given_the_trainer_that_it_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["training.py", "--steps", "2"])
    monkeypatch.syspath_prepend(FOLDER)
    spec = importlib.util.spec_from_file_location("training_benchmark", FOLDER / "training.py")
    assert spec is not None
    assert spec.loader is not None
    training = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, training)
    spec.loader.exec_module(training)
    cfg = training._configuration("recommended", tmp_path, training._arguments())
    trainer = build_trainer(cfg, tmp_path / "run").trainer
    assert trainer.limit_train_batches == training.WARM_UP + 2
