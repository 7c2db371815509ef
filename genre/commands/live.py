"""Listening live: the microphone, or a file as if it were one.

Nothing heavy is imported before the sound comes: it is kept while networks and their libraries are loaded.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig
from rich.table import Table

from genre.audio.files import shown
from genre.checks import is_number
from genre.commands.console import console, notes
from genre.commands.listing import take_any_text
from genre.errors import ConfigError, DeviceError
from genre.evaluation.files import write_row
from genre.inference.microphone import Microphone, find_device, input_devices
from genre.inference.sources import FileSource, Source

if TYPE_CHECKING:
    from genre.inference.denoise import Denoiser
    from genre.inference.predictor import Predictor

MICROPHONE, STREAM = "mic", "stream:"
LONGEST_SEC = 24 * 3600.0

Load = Callable[[], "tuple[Predictor, Callable[[], Denoiser]]"]


def is_live(text: str) -> bool:
    """Return whether an input is sound that comes by itself."""
    return text == MICROPHONE or text.startswith(STREAM)


def print_devices(form: str) -> None:
    """Print the input devices as a table, JSON or CSV."""
    devices = input_devices()
    if not devices:
        raise DeviceError("there is no input device; plug in a microphone")
    rows = [(device.number, device.name, device.channels, device.sample_rate, device.is_default) for device in devices]
    take_any_text(form)
    names = ("number", "name", "channels", "sample_rate", "default")
    if form == "json":
        for row in rows:
            print(json.dumps(dict(zip(names, row, strict=True))))
    elif form == "csv":
        for cells in (names, *rows):
            write_row(sys.stdout, cells)
    else:
        table = Table("live.device", "name", "channels", "Hz", "")
        for number, name, channels, rate, is_default in rows:
            table.add_row(str(number), name, str(channels), str(rate), "default" if is_default else "")
        console.print(table)


def listen(cfg: DictConfig, text: str, load: Load) -> None:
    """Listen until the end, or until Ctrl-C, and keep what was heard.

    Parameters
    ----------
    cfg
        The configuration.
    text
        ``mic``, or ``stream:`` and a file.
    load
        Returns the model, and what makes a denoiser for it.

    Raises
    ------
    GenreError
        If a setting is wrong, the source cannot be used, or nothing came from it.
    """
    seconds, countdown = cfg.live.seconds, cfg.live.countdown
    if seconds is not None and (not is_number(seconds, 0, LONGEST_SEC) or seconds == 0):
        raise ConfigError(f"live.seconds={seconds} is not a length; give seconds, or null to listen until Ctrl-C")
    if countdown is not None and not is_number(countdown, 0, LONGEST_SEC):
        raise ConfigError(f"live.countdown={countdown} is not a length; give seconds, or null for no countdown")
    wanted: int | None = None  # before it is known what the model wants, the device's own rate has all there is
    if text == MICROPHONE and seconds is not None:
        find_device(cfg.live.device)  # no countdown to a recording that cannot be made
        loaded = load()
        wanted = loaded[0].clips.sample_rate
        _check_length(seconds, *loaded)
        loaded[0].warm_up()
        _count_down(countdown or 0)
        load = lambda: loaded  # noqa: E731
    with _source(cfg, text, wanted) as source:
        _run(cfg, source, load, title=_title(text, source))


def _run(cfg: DictConfig, source: Source, load: Load, *, title: str) -> None:
    predictor, make_denoiser = load()
    _check_length(cfg.live.seconds, predictor, make_denoiser)
    predictor.warm_up()
    from genre.commands.live_run import LiveRun
    from genre.commands.settings import thresholds
    from genre.inference.stream import LiveClassifier, LiveSettings

    live = cfg.live
    settings = LiveSettings(live.hop_sec, live.memory_sec, live.carry, live.silence_db, thresholds(cfg))
    LiveRun(cfg, source, make_denoiser(), LiveClassifier(predictor, settings), title=title).run()


def _check_length(seconds: float | None, predictor: Predictor, make_denoiser: Callable[[], Denoiser]) -> None:
    """Raise if a recording of so many seconds cannot have a verdict."""
    lead_in_sec = make_denoiser().lead_in / predictor.clips.sample_rate
    needed = lead_in_sec + predictor.clips.clip_sec
    if seconds is None or seconds >= needed - 1 / predictor.clips.sample_rate:
        return
    lead_in = f"denoise.noise_sec={lead_in_sec:g} and " if lead_in_sec else ""
    raise ConfigError(
        f"live.seconds={seconds:g} is too short for {lead_in}one clip of {predictor.clips.clip_sec:g} s; "
        f"give at least {needed:g}"
    )


def _source(cfg: DictConfig, text: str, sample_rate: int | None) -> Source:
    if text == MICROPHONE:
        return Microphone(cfg.live.device, sample_rate)
    return FileSource(text.removeprefix(STREAM), real_time=cfg.live.real_time)


def _title(text: str, source: Source) -> str:
    if isinstance(source, Microphone):
        return f"microphone: {source.name}"
    return shown(Path(text.removeprefix(STREAM)).name)


def _count_down(seconds: float) -> None:
    for left in range(round(seconds), 0, -1):
        notes.print(f"recording in {left} ...")
        time.sleep(1)
    if seconds:
        notes.print("recording")
