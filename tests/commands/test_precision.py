"""Training in bfloat16: quicker, and evaluated in float32 all the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from genre.models.registry import load_model

COMMON = ("data.clip_sec=1", "trainer.max_epochs=1", "data.batch_size=8", "logger=none")
SMALL = {
    "mini_vgg": ("model.widths=[4,8]", "model.hidden=16"),
    "cnn_gru": ("model.widths=[4,8,8,8]", "model.hidden=16"),
}
TABLES = ("predictions.csv", "predictions_val.csv")


def tables(run: Path) -> list[bytes]:
    return [(run / table).read_bytes() for table in TABLES]


@pytest.mark.parametrize("model", SMALL)
def test_a_run_in_bfloat16_is_evaluated_to_the_same_numbers_again(
    model: str, train, music: Path, tmp_path: Path
) -> None:
    run, again = tmp_path / "run", tmp_path / "again"
    common = (f"model={model}", "data=folder", f"data.root={music}", *COMMON, *SMALL[model])
    result = train(*common, "trainer.precision=bf16-mixed", f"hydra.run.dir={run}")
    assert result.status == 0, result.err
    assert {weight.dtype for weight in load_model(run / "best.ckpt").parameters()} == {torch.float32}
    result = train("mode=test", f"ckpt={run / 'best.ckpt'}", f"hydra.run.dir={again}")
    assert result.status == 0, result.err
    assert tables(again) == tables(run)
    if model == "mini_vgg":
        check_that_only_training_depends_on_the_precision(run, common, train, tmp_path)


def check_that_only_training_depends_on_the_precision(
    rough: Path, common: tuple[str, ...], train, tmp_path: Path
) -> None:
    exact, evaluated = tmp_path / "exact", tmp_path / "evaluated"
    assert train(*common, f"hydra.run.dir={exact}").status == 0
    assert tables(rough) != tables(exact)
    precise = ("mode=test", "trainer.precision=32-true", f"ckpt={rough / 'best.ckpt'}")
    assert train(*precise, f"hydra.run.dir={evaluated}").status == 0
    assert tables(evaluated) == tables(rough)
