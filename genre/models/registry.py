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

BEST, LAST = "best.ckpt", "last.ckpt"
"""Checkpoints in the folder of a run: of its best epoch, and of its last."""

MODELS = {
    "CNNGRU": "genre.models.cnn_gru",
    "LateFusion": "genre.models.late_fusion",
    "MiniVGG": "genre.models.mini_vgg",
    "ResNet34": "genre.models.resnet",
    "ResNet34Fusion": "genre.models.resnet",
    "SeedResNet": "genre.models.seed_resnet",
}
"""Name of a class, as checkpoints hold it, to the module it is in."""


def file_of_run(path: str | Path, *names: str) -> Path:
    """Return the first of some files that there is in the folder of a run, or the path itself if it is no folder.

    Raises
    ------
    CheckpointError
        If the folder holds none of them.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    for name in names:
        if (path / name).is_file():
            return path / name
    raise CheckpointError(f"the folder {path} holds no {' and no '.join(names)}; give the folder of a run, or a file")


def is_classical(path: str | Path) -> bool:
    """Return whether a file is an archive as skops writes it, whatever its name: a classical model.

    Raises
    ------
    CheckpointError
        If it is an archive whose table of contents cannot be read.
    """
    path = Path(path)
    try:
        if not path.is_file() or not zipfile.is_zipfile(path):
            return False
        with zipfile.ZipFile(path) as archive:
            return "schema.json" in archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, OSError) as error:
        raise CheckpointError(f"{path} is damaged; give another best.ckpt, last.ckpt or model.skops") from error


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint of ours as plain values and tensors.

    Raises
    ------
    CheckpointError
        If the file is missing, is not a checkpoint of this package, or holds more than plain values and tensors.
        A classical model is none.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}; give the best.ckpt or last.ckpt of a run")
    if is_classical(path):
        raise CheckpointError(
            f"{path} is a classical model, which infer.py takes but train.py does not; give the best.ckpt or last.ckpt "
            "of a run of train.py"
        )
    try:
        path.open("rb").close()  # a file that may not be read is no archive to zipfile
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}): check its permissions") from error
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
    return model_of(read_checkpoint(path), path)


def model_of(checkpoint: dict[str, Any], path: str | Path) -> GenreModule:
    """Return the model of a checkpoint that was read from ``path``, ready to predict.

    Raises
    ------
    CheckpointError
        If its model is not known here, or does not fit.
    """
    model_class = _model_class(str(checkpoint["genre"].get("model")), path)
    try:
        model = model_class(**checkpoint["hyper_parameters"])
        model.on_load_checkpoint(checkpoint)
        model.load_state_dict(checkpoint["state_dict"])
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
