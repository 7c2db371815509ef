"""Searching for settings: an Optuna study whose trials are the jobs of a multirun.

The study is a journal in the folder of the sweep, so that a search that was stopped or killed goes on where it was: the
same command again takes up the trials that were under way, under their numbers and in their folders, and then does
those that are left. With ``resume=true`` such a trial goes on after its last finished epoch, else it begins anew.
Trials that failed are tried again by the next command, under new numbers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genre.checks import is_number, is_whole
from genre.commands.arguments import override_name
from genre.commands.sweeps import is_shaping
from genre.errors import ConfigError

if TYPE_CHECKING:
    from filelock import FileLock
    from hydra.core.utils import JobReturn
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial, TrialState

STUDY_FILE = "study.journal"
STUDY_NAME = "hparams_search"
STUDY = "study"
"""Choice of ``hydra/sweeper`` that makes a multirun a search; see conf/hydra/sweeper/study.yaml."""

PRUNED_AT = "pruned_at"
"""User attribute of a trial that was stopped early: the epoch after which it was."""

TRACKS = "tracks"
"""User attribute of a trial: which tracks it had, as :func:`genre.commands.build.tracks_text` says it."""

Launch = Callable[[Sequence[Sequence[str]], int], Sequence["JobReturn"]]
"""Runs a job for each list of settings, numbered from the second argument on."""


@dataclass(frozen=True)
class StudySettings:
    """How a study goes; see conf/hydra/sweeper/study.yaml.

    Parameters
    ----------
    n_trials, n_jobs
        Trials of the whole study, and at once.
    seed, startup_trials
        Of what is drawn, and how many trials are drawn at random before the search begins.
    pruning
        ``startup_trials`` and ``warmup_epochs`` before which no trial is stopped early.
    params
        Setting -> values, in Hydra's grammar.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """

    n_trials: int = 30
    n_jobs: int = 1
    seed: int = 0
    startup_trials: int = 8
    pruning: Mapping[str, int | None] | None = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("n_trials", "n_jobs"):
            value = getattr(self, name)
            if not is_whole(value, 1):
                raise ConfigError(f"hydra.sweeper.{name}={value} is not a number of trials; give 1 or more")
        for name in ("seed", "startup_trials"):
            _check_whole(name, getattr(self, name))
        if self.pruning is None:  # then no trial is stopped early
            return
        if not isinstance(self.pruning, Mapping):
            raise ConfigError(
                f"hydra.sweeper.pruning={self.pruning} is not what it is made of; give "
                "hydra.sweeper.pruning.startup_trials and hydra.sweeper.pruning.warmup_epochs"
            )
        _check_whole("pruning.startup_trials", self.pruning.get("startup_trials"), or_null=True)
        _check_whole("pruning.warmup_epochs", self.pruning.get("warmup_epochs", 0))


def _check_whole(name: str, value: object, *, or_null: bool = False) -> None:
    """Raise ConfigError unless a setting of the sweeper is a whole number from 0 on."""
    if value is None and or_null:
        return
    if not is_whole(value, 0):
        shown = "null" if value is None else value
        remedy = "give 0 or more, or null" if or_null else "give 0 or more"
        raise ConfigError(f"hydra.sweeper.{name}={shown} is not a whole number from 0 on; {remedy}")


def run_study(folder: Path, settings: StudySettings, arguments: Sequence[str], launch: Launch) -> None:
    """Do what is left of the study in a folder.

    Parameters
    ----------
    folder
        Of the sweep.
    settings
        How the study goes.
    arguments
        ``name=value`` or ``name=values`` of the command line; they win over ``settings.params``.
    launch
        Runs jobs.

    Raises
    ------
    ConfigError
        If there is nothing to search over, the study in the folder is another one, or a command is at work on it.
    """
    import optuna
    from optuna.trial import TrialState

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space, fixed = search_space([*(f"{name}={value}" for name, value in settings.params.items()), *arguments])
    if not space:
        raise ConfigError("there is nothing to search over; give settings values, such as seed=choice(0,1)")
    with _only_one(folder):
        _cut_half_line(folder)
        study = _study_of(folder, space, fixed)
        study.sampler = optuna.samplers.TPESampler(
            n_startup_trials=settings.startup_trials,
            seed=settings.seed + len(study.trials),  # so that a study that goes on does not draw the same again
            constant_liar=settings.n_jobs > 1,
        )
        interrupted = [
            trial for trial in study.get_trials(states=(TrialState.RUNNING,)) if _to_repeat(study, trial, space)
        ]
        n_failed = len(study.get_trials(states=(TrialState.FAIL,)))
        n_waiting = len(study.get_trials(states=(TrialState.WAITING,)))  # of a command that was killed
        left = settings.n_trials - (len(study.trials) - n_failed - n_waiting)
        for params in _failed_params(study, space)[: max(left - n_waiting, 0)]:
            study.enqueue_trial(params)
        while interrupted or left > 0:
            batch: list[Any] = interrupted[: settings.n_jobs]
            interrupted = interrupted[len(batch) :]
            if not batch:
                batch = [study.ask(space) for _ in range(min(settings.n_jobs, left))]
                left -= len(batch)
            _run_trials(study, batch, fixed, launch)


def _to_repeat(study: Study, trial: FrozenTrial, space: Mapping[str, BaseDistribution]) -> bool:
    """Say whether a trial that was interrupted is to be repeated; tell the study what became of it if not."""
    from optuna.trial import TrialState

    if PRUNED_AT in trial.user_attrs:  # it waited for others that ran beside it
        study.tell(trial.number, state=TrialState.PRUNED)
    elif trial.params.keys() != space.keys():  # interrupted while its settings were drawn
        study.tell(trial.number, state=TrialState.FAIL)
    else:
        return True
    return False


def _failed_params(study: Study, space: Mapping[str, BaseDistribution]) -> list[dict[str, Any]]:
    """Return the settings of the trials that failed, each once, without those that another trial had, or is to have."""
    from optuna.trial import TrialState

    failed: list[dict[str, Any]] = []
    other: list[dict[str, Any]] = []
    for trial in study.trials:
        if trial.state is not TrialState.FAIL:
            other.append(trial.params or trial.system_attrs.get("fixed_params", {}))
        elif trial.params.keys() == space.keys() and trial.params not in failed:
            failed.append(trial.params)
    return [params for params in failed if params not in other]


def search_space(overrides: Sequence[str]) -> tuple[dict[str, BaseDistribution], dict[str, str]]:
    """Return what is searched over, and the settings that are the same in all trials; the later of two wins.

    Raises
    ------
    ConfigError
        If a range has no values.

    Examples
    --------
    >>> space, fixed = search_space(["data=demo", "a=interval(0.0,1.0)", "b=int(interval(1,8))", "c=choice(x,[1,2])"])
    >>> [type(values).__name__ for values in space.values()], space["c"].choices, fixed
    (['FloatDistribution', 'IntDistribution', 'CategoricalDistribution'], ('x', '[1,2]'), {'data': 'demo'})
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import IntervalSweep
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    space: dict[str, BaseDistribution] = {}
    fixed: dict[str, str] = {}
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        name = override.get_key_element()
        space.pop(name, None)
        fixed.pop(name, None)
        values = override.value()
        if not override.is_sweep_override():
            fixed[name] = override.get_value_element_as_str()
        elif isinstance(values, IntervalSweep):
            whole = isinstance(values.start, int) and isinstance(values.end, int)
            distribution = IntDistribution if whole else FloatDistribution
            try:
                space[name] = distribution(values.start, values.end, log="log" in values.tags)
            except ValueError as error:
                raise ConfigError(
                    f"{override.input_line} is not a range; give the lower end first, above 0 where it is log"
                ) from error
        else:
            choices = zip(override.sweep_iterator(), override.sweep_string_iterator(), strict=True)
            space[name] = CategoricalDistribution([value if is_number(value) else text for value, text in choices])
    return space, fixed


def open_study(folder: Path, *, create: bool = False, pruner: Any = None) -> Study:
    """Return the study in the folder of a sweep.

    Parameters
    ----------
    create
        Make it if it is not there.
    pruner
        What says whether a trial is to be stopped.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    storage = JournalStorage(JournalFileBackend(str(folder / STUDY_FILE), _journal_lock(folder)))
    if create:
        return optuna.create_study(
            storage=storage, study_name=STUDY_NAME, direction="maximize", load_if_exists=True, pruner=pruner
        )
    sampler = optuna.samplers.RandomSampler()  # draws nothing unless asked to
    return optuna.load_study(storage=storage, study_name=STUDY_NAME, sampler=sampler, pruner=pruner)


def _journal_lock(folder: Path) -> FileLock:
    """Return what is held while a line is written; unlike Optuna's own lock it does not outlive a killed process."""
    from filelock import FileLock

    return FileLock(folder / f"{STUDY_FILE}.writing")


def _cut_half_line(folder: Path) -> None:
    """Cut off the line that a killed process or a full disk left unfinished, since the next would be lost with it."""
    journal = folder / STUDY_FILE
    if journal.exists():
        with _journal_lock(folder), journal.open("rb+") as stream:
            stream.truncate(stream.read().rfind(b"\n") + 1)


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    try:
        with FileLock(folder / f"{STUDY_FILE}.one", timeout=0):
            yield
    except Timeout as error:
        raise ConfigError(
            f"another command is at work on the study in {folder}; wait for it, or choose another hydra.sweep.dir"
        ) from error


def _study_of(folder: Path, space: Mapping[str, BaseDistribution], fixed: Mapping[str, str]) -> Study:
    """Return the study in a folder; a new one if none of its trials ever ran, as where a setting was misspelt."""
    import optuna

    study = open_study(folder, create=True)
    try:
        _check_same(study, folder, space, fixed)
    except ConfigError:
        if _has_run(study, folder):
            raise
        optuna.delete_study(study_name=STUDY_NAME, storage=study._storage)
        study = open_study(folder, create=True)
        _check_same(study, folder, space, fixed)
    return study


def _has_run(study: Study, folder: Path) -> bool:
    """Say whether a trial has ended, or one that has not left a folder of its own."""
    return any(trial.state.is_finished() for trial in study.trials) or any(path.is_dir() for path in folder.iterdir())


def _check_same(study: Study, folder: Path, space: Mapping[str, BaseDistribution], fixed: Mapping[str, str]) -> None:
    """Raise ConfigError if the study was begun with other settings; keep them if it begins."""
    settings = {name: value for name, value in fixed.items() if is_shaping(name)}
    wanted = {**settings, **{name: str(values) for name, values in space.items()}}
    begun = study.user_attrs.get("settings")
    if begun is None:
        study.set_user_attr("settings", wanted)
        return
    names = filter(is_shaping, begun.keys() | wanted.keys())
    different = sorted(name for name in names if begun.get(name) != wanted.get(name))
    if different:
        raise ConfigError(
            f"the study in {folder} was begun with another {', '.join(different)}; choose another hydra.sweep.dir"
        )


def _run_trials(study: Study, trials: Sequence[Any], fixed: Mapping[str, str], launch: Launch) -> None:
    """Run trials and tell the study what came of them."""
    from optuna.trial import TrialState

    for group in _consecutive(trials):
        settings = [[f"{name}={value}" for name, value in {**fixed, **trial.params}.items()] for trial in group]
        for trial, returned in zip(group, launch(settings, group[0].number), strict=True):
            value = returned.return_value
            if has_other_tracks(study, trial.number):  # another that ran beside it was the first to end
                study.tell(trial.number, state=TrialState.FAIL)
            elif PRUNED_AT in study.trials[trial.number].user_attrs:
                study.tell(trial.number, state=TrialState.PRUNED)
            elif isinstance(value, float) and math.isfinite(value):
                study.tell(trial.number, value)
            else:
                study.tell(trial.number, state=TrialState.FAIL)


def _consecutive(trials: Sequence[Any]) -> Iterator[list[Any]]:
    """Yield groups of trials whose numbers follow on each other, as those of the jobs of one launch do."""
    for _, group in itertools.groupby(enumerate(trials), lambda placed: placed[1].number - placed[0]):
        yield [trial for _, trial in group]


def has_other_tracks(study: Study, number: int) -> bool:
    """Say whether a trial has other tracks than those that ended well with the same settings of the data."""
    trials = study.trials
    own = trials[number]
    others = [one for one in trials if ended_well(one.state) and _searched_data(one) == _searched_data(own)]
    tracks = {one.user_attrs[TRACKS] for one in others if TRACKS in one.user_attrs}
    return bool(tracks) and TRACKS in own.user_attrs and own.user_attrs[TRACKS] not in tracks


def ended_well(state: TrialState) -> bool:
    """Say whether a trial did all that it was to do, or was stopped early."""
    return state.name in ("COMPLETE", "PRUNED")


def _searched_data(trial: FrozenTrial) -> dict[str, Any]:
    return {name: value for name, value in trial.params.items() if f"{override_name(name)}.".startswith("data.")}


def check_tracks(folder: Path, number: int, tracks: str, *, keep: bool) -> None:
    """Raise ConfigError if a trial that begins has other tracks than the trials before it.

    Parameters
    ----------
    folder
        Of the study.
    number
        Of the trial.
    tracks
        What tells its tracks from others.
    keep
        Whether this process, of those of the trial, tells the study.
    """
    from optuna.trial import Trial

    study = open_study(folder)
    if keep:
        Trial(study, study.trials[number]._trial_id).set_user_attr(TRACKS, tracks)
    if has_other_tracks(study, number):
        raise ConfigError(f"the study in {folder} was begun with other tracks; choose another hydra.sweep.dir")
