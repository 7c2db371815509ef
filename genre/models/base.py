"""What every model shares: loss, metrics, optimiser, schedule, normalisation and what its checkpoint holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import nn
from torch.nn import functional
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from genre.data.batches import Batch
from genre.data.datamodule import Statistics
from genre.data.passages import PASSAGE_COLUMNS
from genre.errors import ConfigError, near_names
from genre.features.handcrafted import FEATURE_NAMES
from genre.features.spectrogram import build_frontend
from genre.models.metrics import TrackAccuracy
from genre.models.settings import check_range, check_switches

OPTIMIZERS = ("adamw", "adam")
SCHEDULERS = ("cosine", "step", "constant")
NORMALIZATIONS = ("bins", "none")


class GenreModule(LightningModule):
    """Base of all models: a subclass builds ``self.network`` and nothing else.

    ``self.network(spectrogram, features)`` takes the normalised spectrogram (B, 1, bins, frames) and the
    standardised features (B, n_features) and returns logits (B, classes), or those of several streams (streams, B,
    classes): each stream is trained to name the genre by itself, and :meth:`combined` makes one decision of theirs. The
    checkpoint needs nothing else: constructor arguments are plain values, and statistics of the training clips and the
    calibration temperature are buffers.

    Parameters
    ----------
    labels
        Class names, in the order of the logits.
    frontend
        Settings of the front end (``FrontEnd.settings()``).
    clips
        Settings of the clips (``ClipSpec.settings()``).
    normalize
        ``"bins"`` standardises every bin of the spectrogram by the training clips; ``"none"`` leaves it as it is.
    label_smoothing
        Share of the target spread evenly over all classes, in [0, 1).
    class_balance
        Whether every class counts alike in the training loss, however many clips it has.
    optimizer
        ``"adamw"`` (no decay of biases and normalisation weights) or ``"adam"`` (L2 penalty on all weights).
    learning_rate, weight_decay
        Of the optimiser.
    scheduler
        ``"cosine"`` (after a linear warm-up), ``"step"`` or ``"constant"``.
    warmup
        Share of all steps in which the rate rises, for ``"cosine"``.
    step_at, step_factor
        After this share of all steps the rate is multiplied by the factor, for ``"step"``.

    Attributes
    ----------
    any_length : bool
        Whether the network takes spectrograms of any number of frames, or only of those it was built for.
    uses_features : bool
        Whether the network looks at the 57 features; if not, they need not be computed and any values do.
    uses_passages : bool
        Whether it looks at the clip's passage, of which :data:`genre.data.passages.PASSAGE_COLUMNS` are given after the
        57 then.
    n_features : int
        How many features it is given.
    input_shape : tuple of int
        (bins, frames) of a training clip.

    Raises
    ------
    ConfigError
        If a setting is out of range.
    """

    any_length: bool = True
    uses_features: bool = True
    uses_passages: bool = False
    network: nn.Module
    feature_mean: torch.Tensor
    feature_std: torch.Tensor
    spectrogram_mean: torch.Tensor
    spectrogram_std: torch.Tensor
    temperature: torch.Tensor
    class_weight: torch.Tensor

    def __init__(
        self,
        *,
        labels: Sequence[str],
        frontend: dict[str, Any],
        clips: dict[str, Any],
        normalize: str = "bins",
        label_smoothing: float = 0.0,
        class_balance: bool = False,
        optimizer: str = "adamw",
        learning_rate: float = 2e-3,
        weight_decay: float = 0.01,
        scheduler: str = "cosine",
        warmup: float = 0.05,
        step_at: float = 0.5,
        step_factor: float = 0.25,
    ) -> None:
        super().__init__()
        for setting, value, known in (
            ("model.normalize", normalize, NORMALIZATIONS),
            ("optimizer.name", optimizer, OPTIMIZERS),
            ("scheduler.name", scheduler, SCHEDULERS),
        ):
            if value not in known:
                raise ConfigError(f"{setting}={value} is unknown; {near_names(str(value), known)}")
        for setting, number, low, high in (
            ("model.label_smoothing", label_smoothing, 0.0, 0.99),
            ("optimizer.learning_rate", learning_rate, 0.0, math.inf),
            ("optimizer.weight_decay", weight_decay, 0.0, math.inf),
            ("scheduler.warmup", warmup, 0.0, 1.0),
            ("scheduler.at", step_at, 0.0, 1.0),
            ("scheduler.factor", step_factor, 0.0, math.inf),
        ):
            check_range(setting, number, low, high)
        check_switches(class_balance=class_balance)
        self.save_hyperparameters()
        self.labels = tuple(labels)
        self.provenance: dict[str, Any] = {}
        self.input_shape = build_frontend(frontend).shape(
            round(clips["clip_sec"] * clips["sample_rate"]), clips["sample_rate"]
        )
        bins = self.input_shape[0]
        self.n_features = len(FEATURE_NAMES) + (len(PASSAGE_COLUMNS) if self.uses_passages else 0)
        self.register_buffer("feature_mean", torch.zeros(self.n_features))
        self.register_buffer("feature_std", torch.ones(self.n_features))
        self.register_buffer("spectrogram_mean", torch.zeros(bins))
        self.register_buffer("spectrogram_std", torch.ones(bins))
        self.register_buffer("temperature", torch.ones(()))
        self.register_buffer("class_weight", torch.ones(len(self.labels)), persistent=False)  # of training only
        metrics = MetricCollection(
            {
                "loss": MeanMetric(nan_strategy="disable"),
                "clip_accuracy": MulticlassAccuracy(len(self.labels), average="micro"),
                "track_accuracy": TrackAccuracy(),
            }
        )
        for side in ("train", "val", "test"):
            self.add_module(f"{side}_metrics", metrics.clone(prefix=f"{side}/"))

    def set_statistics(self, statistics: Statistics) -> None:
        """Keep the statistics by which inputs are normalised."""
        for name in ("spectrogram_mean", "spectrogram_std"):
            getattr(self, name).copy_(torch.from_numpy(getattr(statistics, name)))
        for name in ("feature_mean", "feature_std"):
            getattr(self, name).copy_(torch.from_numpy(getattr(statistics, name)[: self.n_features]))
        if self.hparams["class_balance"]:
            self.class_weight.copy_(1.0 / (len(self.labels) * torch.from_numpy(statistics.class_share)))

    def forward(self, spectrogram: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Return logits.

        Parameters
        ----------
        spectrogram : shape=(B, 1, bins, frames)
        features : shape=(B, n_features)
            The 57 of the clip, and what is known of its passage (:data:`genre.data.passages.PASSAGE_COLUMNS`) if the
            network uses that; more are passed over.

        Returns
        -------
        logits : shape=(B, classes)
            In float32, whatever the precision of the network.

        Raises
        ------
        ConfigError
            If the network is built for clips of one length and these have another.
        """
        return self.combined(self.stream_logits(spectrogram, features), features)

    def stream_logits(self, spectrogram: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Return the logits of each stream (streams, B, classes), which :meth:`forward` returns combined."""
        if not self.any_length and tuple(spectrogram.shape[2:]) != self.input_shape:
            (bins, frames), seconds = self.input_shape, self.hparams["clips"]["clip_sec"]
            raise ConfigError(
                f"{type(self).__name__} takes spectrograms of {bins} x {frames} only, not {spectrogram.shape[2]} x "
                f"{spectrogram.shape[3]}; give it clips of {seconds:g} s"
            )
        logits: torch.Tensor = self.network(self.normalized(spectrogram), self.standardized(features))
        return logits.float().reshape(-1, len(spectrogram), len(self.labels))

    def combined(self, streams: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Return the logits (B, classes) of the decision, given those of each stream (streams, B, classes).

        The features (B, n_features) may tell what each stream counts.
        """
        return streams.mean(dim=0)

    def normalized(self, spectrogram: torch.Tensor) -> torch.Tensor:
        """Return spectrograms (B, 1, bins, frames) as the network takes them."""
        if self.hparams["normalize"] == "none":
            return spectrogram
        return (spectrogram - self.spectrogram_mean[:, None]).div_(self.spectrogram_std[:, None])

    def standardized(self, features: torch.Tensor) -> torch.Tensor:
        """Return features (B, n_features) as the network takes them."""
        return (features[:, : self.n_features] - self.feature_mean) / self.feature_std

    def penalty(self) -> torch.Tensor | float:
        """Return what the training loss of one stream has beside its cross entropy; nothing, unless a model says so."""
        return 0.0

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Return calibrated probabilities of logits (B, classes)."""
        return torch.softmax(logits / self.temperature, dim=-1)

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        """Return the loss of one batch."""
        streams = self.stream_logits(batch["spectrogram"], batch["features"])
        loss = torch.stack([self._training_loss(logits, batch) for logits in streams]).mean()
        loss = loss + self.penalty() / len(streams)
        self._log("train", loss, self.combined(streams, batch["features"]), batch, first=batch_idx == 0)
        return loss

    def _training_loss(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Return the mean cross entropy, each part of a clip by the weight of its class and of the clip it is from.

        Smoothing is of the target, before anything is weighted: however rare a class is, a clip is not drawn to it.
        """
        target = batch.get("target")  # after mixup a clip is of several classes
        if target is None:
            target = functional.one_hot(batch["label"], logits.shape[1]).float()
            if "weight" in batch:
                target = target * batch["weight"][:, None]
        target = target * self.class_weight
        smoothing = self.hparams["label_smoothing"]
        wanted = (1 - smoothing) * target + smoothing * target.sum(dim=1, keepdim=True) / logits.shape[1]
        loss: torch.Tensor = -(wanted * functional.log_softmax(logits, dim=1)).sum(dim=1).mean()
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the metrics of one validation batch."""
        self._evaluate("val", batch, batch_idx)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the metrics of one test batch."""
        self._evaluate("test", batch, batch_idx)

    def predict_step(self, batch: Batch, batch_idx: int) -> Batch:
        """Return the logits of a batch with what identifies its clips."""
        logits = self._exact_logits(batch)
        return {"logits": logits, "label": batch["label"], "track": batch["track"], "start": batch["start"]}

    def _exact_logits(self, batch: Batch) -> torch.Tensor:
        """Return the logits of a batch without autocast, so that figures are those of the model in later use."""
        with torch.autocast(self.device.type, enabled=False):
            logits: torch.Tensor = self(batch["spectrogram"], batch["features"])
        return logits

    def _evaluate(self, side: str, batch: Batch, batch_idx: int) -> None:
        logits = self._exact_logits(batch)
        self._log(side, functional.cross_entropy(logits, batch["label"]), logits, batch, first=batch_idx == 0)

    def _log(self, side: str, loss: torch.Tensor, logits: torch.Tensor, batch: Batch, *, first: bool) -> None:
        size = len(logits)
        metrics = self.get_submodule(f"{side}_metrics")
        assert isinstance(metrics, MetricCollection)
        metrics["loss"].update(loss.detach().expand(size))  # once a clip: MeanMetric that lets NaN pass has no weights
        metrics["clip_accuracy"].update(logits, batch["label"])
        metrics["track_accuracy"].update(torch.softmax(logits.detach(), dim=-1), batch["label"], batch["track"])
        if first:  # computed when the epoch ends, so that once is enough; each time costs milliseconds
            self.log_dict(metrics, batch_size=size, on_step=False, on_epoch=True)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return the optimiser and its schedule, which is stepped after every batch."""
        rate, decay = self.hparams["learning_rate"], self.hparams["weight_decay"]
        weights = [parameter for parameter in self.parameters() if parameter.requires_grad]
        optimizer: torch.optim.Optimizer
        if self.hparams["optimizer"] == "adamw":
            groups = [
                {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": decay},
                {"params": [weight for weight in weights if weight.ndim <= 1], "weight_decay": 0.0},
            ]
            optimizer = torch.optim.AdamW(groups, lr=rate)
        else:
            optimizer = torch.optim.Adam(weights, lr=rate, weight_decay=decay)
        total = self.trainer.estimated_stepping_batches
        if not math.isfinite(total) and self.hparams["scheduler"] != "constant":
            raise ConfigError("a schedule needs to know the end; set trainer.max_epochs, or scheduler=constant")
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: self._rate_factor(step, total))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step", "name": "learning_rate"},
        }

    def _rate_factor(self, step: int, total: float) -> float:
        """Return what the learning rate is multiplied by at a step."""
        if self.hparams["scheduler"] == "constant":
            return 1.0
        if self.hparams["scheduler"] == "step":
            return float(self.hparams["step_factor"]) if step >= self.hparams["step_at"] * total else 1.0
        rising = float(self.hparams["warmup"]) * total
        if step < rising:
            return (step + 1) / (rising + 1)
        return 0.5 * (1.0 + math.cos(math.pi * min(1.0, (step - rising) / max(1.0, total - rising))))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Write the name of the class and where the model comes from into the checkpoint."""
        checkpoint["genre"] = {"model": type(self).__name__, "provenance": self.provenance}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Read back where the model comes from, unless it is being trained, whoever had these weights before."""
        self.provenance = self.provenance or checkpoint.get("genre", {}).get("provenance", {})
