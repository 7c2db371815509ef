"""Times training and inference of every model through Lightning, beside the same network in a bare PyTorch loop.

    python benchmarks/training.py
    python benchmarks/training.py --models mini_vgg resnet_small --precision bf16-mixed

It writes small synthetic music, prepares it, and composes every model or experiment as ``train.py`` would. Through
Lightning a step is everything from one batch to the next: gathering the clips, augmentation, forward, loss, backward,
clipping, optimiser, schedule, metrics and callbacks. The bare loop does forward, loss, backward and optimiser step on
batches gathered and normalised beforehand, with the same network, optimiser and precision; where an experiment
augments, so does the bare loop, and has to normalise in the step too. Both take turns step by step in one process, so
that a busy moment of the machine hits both alike, and every step is measured in processor time of all threads as well
as in wall time; figures are medians, and cost is that of processor time. The work of a step is counted by PyTorch and
set against the fastest matrix product of the same threads. A table goes to the screen and everything to a JSON file.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import itertools
import json
import logging
import math
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from machine import machine
from torch.nn.functional import cross_entropy

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

ROOT = Path(__file__).resolve().parent.parent
MODELS = (
    "mini_vgg",
    "resnet_small",
    "resnet_small_fusion",
    "resnet18",
    "resnet34",
    "resnet34_fusion",
    "cnn_gru",
    "late_fusion",
    "recommended",
    "seed_v7",
    "seed_v10",
)
REFERENCE = "seed_v10"
WARM_UP = 2
"""Steps at the beginning that are not counted."""

Batch = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Spent:
    """Seconds that one step took: wall time, and processor time of all threads."""

    wall: float
    processor: float


@dataclass(frozen=True)
class Contest:
    """The steps of both contenders, in turns."""

    ours: list[Spent]
    bare: list[Spent]

    def figures(self, clips: int) -> dict[str, float]:
        """Return clips a second of both and what Lightning and the pipeline cost, in percent of the bare step."""
        return {
            "clips_per_second": clips / _median(self.ours, "wall"),
            "bare_clips_per_second": clips / _median(self.bare, "wall"),
            "overhead_percent": self._overhead("processor"),
            "overhead_percent_of_wall_time": self._overhead("wall"),
            "core_ms_per_clip": 1e3 * _median(self.ours, "processor") / clips,
            "bare_core_ms_per_clip": 1e3 * _median(self.bare, "processor") / clips,
        }

    def _overhead(self, clock: str) -> float:
        return 100 * (_median(self.ours, clock) / _median(self.bare, clock) - 1)


@dataclass(frozen=True)
class Result:
    """What was measured of one model."""

    model: str
    parameters: int
    batch_size: int
    training: dict[str, float]
    inference: dict[str, float]
    gflop_per_clip: float
    gflops_per_core: float
    peak_gflops_per_core: float

    @property
    def share_of_peak(self) -> float:
        """Arithmetic of the bare training step relative to the matrix product, in percent."""
        return 100 * self.gflops_per_core / self.peak_gflops_per_core


def main() -> None:
    arguments = _arguments()
    from genre.inference.memory import keep_freed_memory

    torch.set_num_threads(arguments.threads)
    _silence()
    if not arguments.return_memory:
        keep_freed_memory()
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="training-") as scratch:
        for name in arguments.models:
            results.append(_measured(name, Path(scratch), arguments))
            _write(results, arguments)  # after every model, because the large ones take minutes
    reference = _reference(results)
    print(f"\n{_head()}")
    for result in results:
        print(_line(result, reference))
    print(f"\nwritten: {arguments.json}")


def _write(results: list[Result], arguments: argparse.Namespace) -> None:
    reference = _reference(results)
    report = {
        "machine": {**machine(), "torch": torch.__version__},
        "threads": arguments.threads,
        "precision": arguments.precision,
        "memory": "returned" if arguments.return_memory else "kept",
        "models": [
            {
                **asdict(result),
                "percent_of_peak": result.share_of_peak,
                f"core_seconds_relative_to_{REFERENCE}": _relative(result, reference),
            }
            for result in results
        ],
    }
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _reference(results: list[Result]) -> Result | None:
    return next((result for result in results if result.model == REFERENCE), None)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, default=Path("runs/benchmarks/training.json"), help="JSON to write")
    parser.add_argument("--models", nargs="+", default=list(MODELS), help="(default: %(default)s)")
    parser.add_argument("--steps", type=int, default=12, help="steps that count (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=32, help="clips a batch (default: %(default)s)")
    parser.add_argument("--precision", default="32-true", help="trainer.precision (default: %(default)s)")
    parser.add_argument(
        "--return-memory", action="store_true", help="give freed memory back at every step, as PyTorch by itself does"
    )
    parser.add_argument(
        "--threads", type=int, default=torch.get_num_threads(), help="threads of PyTorch (default: %(default)s)"
    )
    return parser.parse_args()


def _measured(name: str, scratch: Path, arguments: argparse.Namespace) -> Result:
    """Train and predict with one model, in turns with the bare loop."""
    from genre.commands.build import build_datamodule, build_model, build_trainer
    from genre.commands.console import say

    say(f"measuring {name}")
    cfg = _configuration(name, scratch, arguments)
    data = build_datamodule(cfg, progress=lambda *_: None, say=say)
    data.prepare_data()
    data.setup()
    torch.manual_seed(0)
    model = build_model(cfg, data)
    model.set_statistics(data.statistics)
    batches = _held(data)
    if not data.augment.active:
        batches = [_normalized(batch, model) for batch in batches]
    bare = BareLoop(
        copy.deepcopy(model.network), model.hparams, batches, arguments.precision, _augmentation(data, model)
    )
    gflop = _gflop(bare) / arguments.batch_size
    trainer = build_trainer(cfg, scratch / f"run_{name}").trainer
    trainer.limit_predict_batches = cfg.trainer.limit_train_batches  # which a command may not: its figures are of all
    training = _in_turns(trainer, lambda: trainer.fit(model, data), bare.train)
    inference = _in_turns(trainer, lambda: trainer.predict(model, data.loader("train")), bare.predict)
    core_seconds = _median(training.bare, "processor") / arguments.batch_size
    return Result(
        model=name,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        batch_size=arguments.batch_size,
        training=training.figures(arguments.batch_size),
        inference=inference.figures(arguments.batch_size),
        gflop_per_clip=gflop,
        gflops_per_core=gflop / core_seconds,
        peak_gflops_per_core=_peak(arguments.precision),
    )


def _configuration(name: str, scratch: Path, arguments: argparse.Namespace) -> Any:
    """Compose what ``train.py`` would, on demo music with as many clips as the steps take."""
    from hydra import compose, initialize_config_dir

    tracks, clip_sec, share = 20, 3.0, 0.7
    steps = WARM_UP + arguments.steps
    clips_per_track = math.ceil(steps * arguments.batch_size / (share * tracks)) + 2
    overrides = [
        f"experiment={name}" if (ROOT / "conf" / "experiment" / f"{name}.yaml").exists() else f"model={name}",
        "data.source.artists=2",
        "data.source.tracks_per_artist=1",
        f"data.source.seconds={clips_per_track * clip_sec}",
        f"data.clip_sec={clip_sec}",
        "data.hop_sec=null",
        "data.max_clips=null",
        f"data.batch_size={arguments.batch_size}",
        f"data.store_dir={scratch}",
        "protocol=clip_random",
        f"trainer.precision={arguments.precision}",
        "trainer.accelerator=cpu",
        "trainer.max_epochs=1",
        f"+trainer.limit_train_batches={steps}",
        "+trainer.limit_val_batches=1",
    ]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("train", overrides=overrides)


def _held(data: Any) -> list[Batch]:
    """Return some training batches."""
    return list(itertools.islice(data.loader("train"), 4))


def _normalized(batch: Batch, model: Any) -> Batch:
    """Return a batch as the network takes it."""
    return {
        **batch,
        "spectrogram": model.normalized(batch["spectrogram"]),
        "features": model.standardized(batch["features"]),
    }


def _augmentation(data: Any, model: Any) -> Callable[[Batch, int], Batch]:
    """Return what a training batch goes through before the network, given the number of its step."""
    if not data.augment.active:
        return lambda batch, _: batch
    reference = {
        "n_classes": len(data.labels),
        "bin_mean": torch.from_numpy(data.statistics.spectrogram_mean),
        "feature_std": torch.from_numpy(data.statistics.feature_std),
    }
    return lambda batch, step: _normalized(data.augment.apply(batch, seed=step, **reference), model)


class BareLoop:
    """A network trained and asked without Lightning and the pipeline."""

    def __init__(
        self,
        network: torch.nn.Module,
        settings: Any,
        batches: list[Batch],
        precision: str,
        augmented: Callable[[Batch, int], Batch],
    ) -> None:
        self.network = network
        self.augmented = augmented
        self.batches = batches
        self.turn = 0
        self.precision = precision
        kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[settings["optimizer"]]
        self.optimizer = kind(network.parameters(), settings["learning_rate"], weight_decay=settings["weight_decay"])

    def train(self) -> None:
        """Make one step."""
        self.network.train()
        batch = self.augmented(self._next(), self.turn)
        self.optimizer.zero_grad()
        with self._autocast():
            logits = self.network(batch["spectrogram"], batch["features"]).float()
            streams = logits.unsqueeze(0) if logits.ndim == 2 else logits  # a loss each, see GenreModule
            loss = torch.stack(
                [cross_entropy(stream, batch.get("target", batch["label"])) for stream in streams]
            ).mean()
        loss.backward()
        self.optimizer.step()

    def predict(self) -> None:
        """Compute the logits of one batch, in float32 whatever the precision of training."""
        self.network.eval()
        batch = self._next()
        with torch.inference_mode():
            self.network(batch["spectrogram"], batch["features"])

    def _next(self) -> Batch:
        self.turn += 1
        return self.batches[self.turn % len(self.batches)]

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        if self.precision == "bf16-mixed":
            return torch.autocast("cpu", torch.bfloat16)
        return contextlib.nullcontext()


def _in_turns(trainer: Any, run: Callable[[], Any], bare: Callable[[], None]) -> Contest:
    """Let a trainer run; after each of its batches comes a bare step, whose time is not the trainer's.

    A step of the trainer is all that happens from the end of one bare step to the beginning of the next.
    """
    from pytorch_lightning import Callback

    contest = Contest([], [])

    class Turns(Callback):
        since: Spent | None = None

        def on_train_batch_end(self, *_: Any, **__: Any) -> None:
            if self.since is not None:
                contest.ours.append(_since(self.since))
            began = _now()
            bare()
            contest.bare.append(_since(began))
            self.since = _now()

        on_predict_batch_end = on_train_batch_end

    turns = Turns()
    trainer.callbacks.append(turns)
    try:
        run()
    finally:
        trainer.callbacks.remove(turns)
    return Contest(contest.ours[WARM_UP - 1 :], contest.bare[WARM_UP:])


def _now() -> Spent:
    return Spent(time.perf_counter(), time.process_time())


def _since(began: Spent) -> Spent:
    now = _now()
    return Spent(now.wall - began.wall, now.processor - began.processor)


def _median(steps: list[Spent], clock: str) -> float:
    return statistics.median(getattr(step, clock) for step in steps)


def _gflop(bare: BareLoop) -> float:
    """Return the arithmetic of one training step, in 10^9 operations; recurrent networks are not counted by PyTorch."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        bare.train()
    return counter.get_total_flops() / 1e9


def _peak(precision: str) -> float:
    """Return the fastest of some matrix products, in 10^9 operations a second and core."""
    dtype = torch.bfloat16 if precision == "bf16-mixed" else torch.float32
    size = 2048
    left, right = torch.randn(size, size).to(dtype), torch.randn(size, size).to(dtype)
    fastest = float("inf")
    for _ in range(6):
        began = _now()
        torch.mm(left, right)
        fastest = min(fastest, _since(began).processor)
    return 2 * size**3 / fastest / 1e9


def _relative(result: Result, reference: Result | None) -> float | None:
    """Return the core-seconds per clip and epoch relative to the reference."""
    if reference is None:
        return None
    return result.training["core_ms_per_clip"] / reference.training["core_ms_per_clip"]


def _head() -> str:
    return (
        f"{'':20} {'training: clips/s':^26}  {'inference: clips/s':^26}  {'GFLOP':>7} {'GFLOP/s':>8} {'of':>5}"
        f"  {'core-ms':>8} {'seed_v10':>8}\n"
        f"{'model':20} {'ours':>8} {'bare':>8} {'cost':>8}  {'ours':>8} {'bare':>8} {'cost':>8}  {'a clip':>7} "
        f"{'a core':>8} {'peak':>5}  {'a clip':>8} {'is 1':>8}"
    )


def _line(result: Result, reference: Result | None) -> str:
    training, inference, relative = result.training, result.inference, _relative(result, reference)
    pace = "  ".join(
        f"{side['clips_per_second']:8.1f} {side['bare_clips_per_second']:8.1f} {side['overhead_percent']:6.1f} %"
        for side in (training, inference)
    )
    return (
        f"{result.model:20} {pace}  {result.gflop_per_clip:7.2f} {result.gflops_per_core:8.1f} "
        f"{result.share_of_peak:3.0f} %  {training['core_ms_per_clip']:8.1f} "
        f"{'' if relative is None else f'1/{1 / relative:.0f}' if relative < 0.5 else f'{relative:.2f}':>8}"
    )


def _silence() -> None:
    """Silence what Lightning says of things that are as they should be."""
    for name in ("pytorch_lightning", "lightning.pytorch", "pytorch_lightning.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"pytorch_lightning\..*")


if __name__ == "__main__":
    main()
