"""Listening with a trained model: what ``infer.py`` does."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from genre.commands.console import note
from genre.commands.entry import plain_arguments
from genre.commands.importing import importing
from genre.commands.listing import check_top, resolved_format
from genre.commands.live import MICROPHONE, STREAM, is_live, listen, print_devices
from genre.commands.settings import (
    check_groups,
    check_switches,
    denoiser_maker,
    listed,
    results_folder,
    thresholds,
    wanted_plots,
)
from genre.errors import ConfigError, near_names

if TYPE_CHECKING:
    from genre.inference.denoise import Denoiser
    from genre.inference.predictor import Predictor

EXPORTS = ("torch",)
STANDARD_INPUT = ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")


def run(cfg: DictConfig) -> None:
    """Classify files or live sound, list devices or export a model, as the configuration says.

    Raises
    ------
    GenreError
        For everything the user can mend; also when some of the files could not be used.
    """
    check_groups(cfg)
    check_switches(cfg)
    if cfg.devices:
        print_devices(resolved_format(cfg.format))
        return
    inputs = [*plain_arguments().paths, *listed(cfg, "input")]
    _check(cfg, inputs)
    for line in _without_effect(cfg, inputs):
        _notice(line)

    def load() -> tuple[Predictor, Callable[[], Denoiser]]:
        with importing():
            from genre.inference.predictor import load_predictor

        predictor = load_predictor(listed(cfg, "ckpt"), tell=_notice)
        return predictor, denoiser_maker(cfg.denoise, predictor.clips.sample_rate)

    if cfg.export is not None:
        from genre.commands.exporting import export

        export(load()[0], results_folder())
    elif is_live(inputs[0]):
        listen(cfg, inputs[0], load)
    else:
        predictor, make_denoiser = load()
        from genre.commands.heard_files import Files

        Files(cfg, predictor, make_denoiser).run(inputs)


def _notice(sentence: str) -> None:
    note(f"note: {sentence}", style="yellow")


def _check(cfg: DictConfig, inputs: Sequence[str]) -> None:
    """Find what is wrong with the settings before anything takes time."""
    resolved_format(cfg.format)
    check_top(cfg.top)
    wanted_plots(cfg)
    thresholds(cfg)
    if not listed(cfg, "ckpt"):
        raise ConfigError("no model is given; name it with ckpt=..., such as the best.ckpt of a run")
    if cfg.export is not None and cfg.export not in EXPORTS:
        raise ConfigError(f"export={cfg.export} is unknown; {near_names(str(cfg.export), EXPORTS)}")
    if not inputs and cfg.export is None:
        raise ConfigError(
            "there is nothing to listen to; add files or folders to the command, or input=mic for the microphone"
        )
    if any(map(_is_standard_input, inputs)):
        raise ConfigError("standard input is not read; write the sound to a file and name that in the command")
    if any(map(is_live, inputs)) and len(inputs) > 1:
        raise ConfigError("the microphone and stream: are listened to alone; leave out the other inputs")


def _is_standard_input(text: str) -> bool:
    """Return whether an input stands for standard input, unless that is a file, which can be opened by such a name."""
    name = text.removeprefix(STREAM)
    return name in STANDARD_INPUT and not os.path.isfile(name)


def _without_effect(cfg: DictConfig, inputs: Sequence[str]) -> Iterator[str]:
    """Yield a sentence on each kind of settings that were given and change nothing in what the command does."""
    from hydra.core.hydra_config import HydraConfig

    given = sorted({str(one).partition("=")[0].lstrip("+~") for one in HydraConfig.get().overrides.task})
    if cfg.export is not None:
        if inputs:
            yield f"export={cfg.export} listens to nothing, so the inputs are left out"
        return
    for names, where in _unused(cfg, live=inputs[0] if is_live(inputs[0]) else None):
        idle = [name for name in given if name.startswith(names)]
        if idle:
            yield f"{', '.join(idle)} {'has' if len(idle) == 1 else 'have'} no effect {where}"


def _unused(cfg: DictConfig, live: str | None) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield what settings that are not used begin with, and where that is so."""
    form = resolved_format(cfg.format)
    if live is None:
        yield ("live.",), "on files, only on the microphone and stream:"
        yield ("clips",) if form == "table" else ("top",), f"on format={form}"
        return
    yield ("hop_sec",), "on live sound; live.hop_sec has"
    yield ("clips", "top"), "on live sound, only on files"
    if live != MICROPHONE:
        yield ("live.device", "live.countdown"), "on stream:, only on the microphone"
        return
    yield ("live.real_time",), "on the microphone, only on stream:"
    if cfg.live.seconds is None:
        yield ("live.countdown",), "without live.seconds"
