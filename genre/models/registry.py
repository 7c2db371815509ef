"""From a checkpoint file to a model, without running anything the file says."""

from __future__ import annotations

import importlib
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from genre.errors import CheckpointError, GenreError
from genre.models.base import GenreModule

MODELS = {
    "CNNGRU": "genre.models.cnn_gru",
    "LateFusion": "genre.models.late_fusion",
    "MiniVGG": "genre.models.mini_vgg",
    "ResNet34": "genre.models.resnet",
    "ResNet34Fusion": "genre.models.resnet",
    "SeedResNet": "genre.models.seed_resnet",
}
"""Name of a class, as checkpoints hold it, to the module it is in."""


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint of ours as plain values and tensors.

    Raises
    ------
    CheckpointError
        If the file is missing, is not a checkpoint of this package, or holds more than plain values and tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}; give the best.ckpt or last.ckpt of a run")
    try:
        if not zipfile.is_zipfile(path):
            raise CheckpointError(f"{path} is not a checkpoint; give the best.ckpt or last.ckpt of a run")
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds objects that could run code, so it is not opened; use a checkpoint written by train.py"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} is damaged; give another best.ckpt or last.ckpt") from error
    if not isinstance(checkpoint, dict) or "genre" not in checkpoint or "state_dict" not in checkpoint:
        raise CheckpointError(f"{path} is not a checkpoint of this project; give the best.ckpt or last.ckpt of a run")
    return checkpoint


def load_model(path: str | Path) -> GenreModule:
    """Return the model of a checkpoint, ready to predict; nothing but the file is needed.

    Raises
    ------
    CheckpointError
        As :func:`read_checkpoint`, or if its model is not known here.
    """
    checkpoint = read_checkpoint(path)
    model_class = _model_class(str(checkpoint["genre"].get("model")), path)
    try:
        model = model_class.load_from_checkpoint(path, map_location="cpu", weights_only=True)
    except (RuntimeError, TypeError, KeyError, GenreError) as error:
        raise CheckpointError(
            f"{path} does not fit this version of {model_class.__name__}; train it again, or install the version it "
            "was written by"
        ) from error
    return model.eval()


def _model_class(name: str, path: str | Path) -> type[GenreModule]:
    if name in MODELS:
        found: type[GenreModule] = getattr(importlib.import_module(MODELS[name]), name)
        return found
    for known in GenreModule.__subclasses__():
        if known.__name__ == name:
            return known
    raise CheckpointError(
        f"{path} holds a {name}, which this version does not know; install the version it was written by"
    )
