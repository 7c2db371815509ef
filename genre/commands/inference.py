"""Listening with a trained model: what ``infer.py`` does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from genre.audio.decode import load
from genre.audio.files import shown
from genre.commands.console import note, notes
from genre.commands.entry import plain_arguments
from genre.commands.listing import Answer, Listing, open_listing, resolved_format
from genre.commands.pictures import Pictures
from genre.data.clips import ClipSpec
from genre.errors import AudioError, ConfigError, DataError, GenreError, near_names
from genre.inference.decision import Thresholds, decide
from genre.inference.denoise import Denoiser
from genre.inference.files import files_of, predict_file
from genre.inference.predictor import Predictor, load_predictor

PLOTS = ("timeline", "denoise")
EXPORTS = ("torch",)
MICROPHONE, STREAM = "mic", "stream:"


def run(cfg: DictConfig) -> None:
    """Classify files or live sound, list devices or export a model, as the configuration says.

    Raises
    ------
    GenreError
        For everything the user can mend; also when some of the files could not be used.
    """
    if cfg.devices:
        from genre.commands.live import print_devices

        print_devices(resolved_format(cfg.format))
        return
    inputs = [*plain_arguments().paths, *_listed(cfg, "input")]
    _check(cfg, inputs)
    predictor = load_predictor(_listed(cfg, "ckpt"))
    make_denoiser = denoiser_maker(cfg.denoise, predictor.clips.sample_rate)
    if cfg.export is not None:
        from genre.commands.exporting import export

        export(predictor, results_folder())
    elif live := [text for text in inputs if is_live(text)]:
        from genre.commands.live import listen

        listen(cfg, live[0], predictor, make_denoiser)
    else:
        Files(cfg, predictor, make_denoiser).run(inputs)


def is_live(text: str) -> bool:
    """Return whether an input is sound that comes by itself."""
    return text == MICROPHONE or text.startswith(STREAM)


def _listed(cfg: DictConfig, name: str) -> list[str]:
    """Return the values of a setting that may be one, a list, or given several times."""
    repeated = plain_arguments().repeated.get(name)
    if repeated is not None:
        return list(repeated)
    value = cfg[name]
    if value is None:
        return []
    return [str(item) for item in value] if isinstance(value, ListConfig) else [str(value)]


def _check(cfg: DictConfig, inputs: Sequence[str]) -> None:
    """Find what is wrong with the settings before anything takes time."""
    resolved_format(cfg.format)
    wanted_plots(cfg)
    thresholds(cfg)
    if cfg.export is not None and cfg.export not in EXPORTS:
        raise ConfigError(f"export={cfg.export} is unknown; {near_names(str(cfg.export), EXPORTS)}")
    if not inputs and cfg.export is None:
        raise ConfigError(
            "there is nothing to listen to; add files or folders to the command, or input=mic for the microphone"
        )
    if any(map(is_live, inputs)) and len(inputs) > 1:
        raise ConfigError("the microphone and stream: are listened to alone; leave out the other inputs")


def wanted_plots(cfg: DictConfig) -> tuple[str, ...]:
    """Return the pictures that are wanted.

    Raises
    ------
    ConfigError
        If one is unknown.
    """
    plots = tuple(_listed(cfg, "plot"))
    for name in plots:
        if name not in PLOTS:
            raise ConfigError(f"plot={name} is unknown; {near_names(name, PLOTS)}")
    return plots


def thresholds(cfg: DictConfig) -> Thresholds:
    """Return when an answer is unsure."""
    return Thresholds(cfg.unsure.probability, cfg.unsure.margin)


def denoiser_maker(cfg: DictConfig, sample_rate: int) -> Callable[[], Denoiser]:
    """Return a function that makes the denoiser of a configuration, a new one for every sound.

    Raises
    ------
    GenreError
        If a setting is wrong or the recording of the noise cannot be used.
    """
    settings: dict[str, Any] = {str(name): value for name, value in cfg.items() if name != "noise_file"}
    make: Callable[..., Denoiser] = instantiate(settings, _partial_=True)
    file = cfg.get("noise_file")
    recording = {} if file is None else {"noise": load(str(file), sample_rate)}

    def made() -> Denoiser:
        return make(sample_rate, **recording)

    made()
    return made


def results_folder() -> Path:
    """Return the folder for what this command writes: ``hydra.run.dir``, or else a new one below ``inference``."""
    from hydra.core.hydra_config import HydraConfig

    folder = Path(HydraConfig.get().runtime.output_dir)
    if folder.resolve() != Path.cwd().resolve():
        return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    return Path("inference") / f"{datetime.now():%Y-%m-%d_%H-%M-%S-%f}"


class Files:
    """Files and folders, one after the other.

    Parameters
    ----------
    cfg
        The configuration.
    predictor
        The model.
    make_denoiser
        Makes a denoiser for each file.
    """

    def __init__(self, cfg: DictConfig, predictor: Predictor, make_denoiser: Callable[[], Denoiser]) -> None:
        self._predictor = predictor
        self._make_denoiser = make_denoiser
        self._thresholds = thresholds(cfg)
        self._clips: ClipSpec = replace(predictor.clips, hop_sec=cfg.hop_sec) if cfg.hop_sec else predictor.clips
        self._plots = wanted_plots(cfg)
        self._folder = results_folder() if self._plots else Path()
        self._form = (cfg.format, cfg.top, cfg.clips)
        self._n_failed = 0
        self._n_done = 0

    def run(self, inputs: Sequence[str]) -> None:
        """Classify everything and print the answers.

        Raises
        ------
        DataError
            At the end, if something could not be used.
        """
        files = list(self._files(inputs))
        if not files and len(inputs) == 1:
            files_of(inputs[0])  # raises what is wrong with it
        form, top, with_clips = self._form
        listing = open_listing(form, self._predictor.labels, top=top, with_clips=with_clips)
        try:
            for file in _with_progress(files):
                self._one(file, listing)
        finally:  # after an interrupt too
            listing.close()
        if self._plots and self._n_done:
            note(f"pictures: {self._folder}")
        if self._n_failed:
            total = self._n_failed + self._n_done
            raise DataError(f"{self._n_failed} of {total} inputs could not be used, for the reasons above")

    def _files(self, inputs: Iterable[str]) -> Iterable[Path]:
        """Yield every file once; what is wrong with a folder is told and counted."""
        given = set()
        for text in inputs:
            try:
                found = files_of(text)
            except DataError as error:
                if len(list(inputs)) == 1:
                    raise
                self._fail(error)
                continue
            for file in found:
                if file not in given:
                    given.add(file)
                    yield file

    def _one(self, file: Path, listing: Listing) -> None:
        pictures = Pictures(self._predictor.clips.sample_rate, self._plots)
        try:
            prediction = predict_file(
                file,
                self._predictor,
                self._make_denoiser(),
                clips=self._clips,
                raw=pictures.raw,
                clean=pictures.clean,
            )
        except AudioError as error:
            self._fail(error)
            listing.failed(file, str(error).rstrip("."))
            return
        self._n_done += 1
        answer = Answer(prediction, decide(prediction.probabilities, self._predictor.labels, self._thresholds))
        listing.add(answer)
        pictures.of_file(answer, self._predictor.labels, self._folder)

    def _fail(self, error: GenreError) -> None:
        self._n_failed += 1
        note(f"skipped: {str(error).rstrip('.')}", style="red")


def _with_progress(files: Sequence[Path]) -> Iterable[Path]:
    """Yield the files, with a bar on standard error if there are several."""
    if len(files) < 2 or not notes.is_terminal:
        yield from files
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("files"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=notes, transient=True) as bar, suppress(GeneratorExit):
        task = bar.add_task("listening", total=len(files))
        for file in files:
            bar.update(task, description=shown(file.name)[:30])
            yield file
            bar.advance(task)


def as_plain(cfg: DictConfig) -> dict[str, Any]:
    """Return a part of the configuration as plain values."""
    plain = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(plain, dict)
    return {str(name): value for name, value in plain.items()}
