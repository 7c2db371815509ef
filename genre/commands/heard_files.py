"""Listening to files and folders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from genre.audio.files import shown
from genre.commands.console import note, notes
from genre.commands.entry import if_interrupted
from genre.commands.listing import Answer, Listing, open_listing
from genre.commands.pictures import Pictures
from genre.commands.settings import results_folder, thresholds, wanted_plots
from genre.data.clips import ClipSpec
from genre.errors import AudioError, ConfigError, DataError, GenreError
from genre.inference.decision import decide
from genre.inference.denoise import Denoiser
from genre.inference.files import files_of, predict_file
from genre.inference.predictor import Predictor


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
        self._clips = predictor.clips if cfg.hop_sec is None else _with_hop(predictor.clips, cfg.hop_sec)
        self._plots = wanted_plots(cfg)
        self._folder = results_folder() if self._plots else Path()
        self._form = (cfg.format, cfg.top, cfg.clips)
        self._n_failed = 0
        self._n_done = 0
        self._n_without_picture = 0

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
            for number, file in enumerate(_with_progress(files)):
                were = "was" if number == 1 else "were"
                if_interrupted(f"interrupted: {number} of {len(files)} files {were} heard")
                self._one(file, listing)
        finally:  # after an interrupt too
            listing.close()
        if self._plots and self._n_done:
            note(f"pictures: {self._folder}")
        if self._n_failed:
            total = self._n_failed + self._n_done
            raise DataError(f"{self._n_failed} of {total} inputs could not be used, for the reasons above")
        if self._n_without_picture:
            have = "has" if self._n_without_picture == 1 else "have"
            raise DataError(
                f"{self._n_without_picture} of {self._n_done} files {have} no picture, for the reasons above"
            )

    def _files(self, inputs: Iterable[str]) -> Iterable[Path]:
        """Yield every file once, those that cannot be decoded too; what is wrong with a folder is told and counted."""
        given = set()
        for text in inputs:
            try:
                found = files_of(text)
            except DataError as error:
                if len(list(inputs)) == 1:
                    raise
                self._fail(error)
                continue
            for folder in found.closed:
                self._fail(DataError(f"the folder {shown(folder)} may not be listed: change its permissions"))
            for file in sorted([*found.audio, *found.foreign], key=Path.as_posix):
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
        try:
            pictures.of_file(answer, self._predictor.labels, self._folder)
        except GenreError as error:
            self._n_without_picture += 1
            note(f"no picture of {shown(file)}: {str(error).rstrip('.')}", style="red")

    def _fail(self, error: GenreError) -> None:
        self._n_failed += 1
        note(f"skipped: {str(error).rstrip('.')}", style="red")


def _with_hop(clips: ClipSpec, hop_sec: float) -> ClipSpec:
    try:
        return replace(clips, hop_sec=hop_sec)
    except ConfigError as error:
        raise ConfigError(str(error).removeprefix("data.")) from None  # here the setting has no group


def _with_progress(files: Sequence[Path]) -> Iterable[Path]:
    """Yield the files, with a bar on standard error if there are several."""
    if len(files) < 2 or not notes.is_terminal:
        yield from files
        return
    columns = (
        TextColumn("{task.description}", markup=False),
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
