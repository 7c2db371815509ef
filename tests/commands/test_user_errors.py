"""What a user gets wrong: one sentence that helps, exit status 1, no traceback, nothing half-written."""

from __future__ import annotations

import errno
import os
import re
import resource
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from running import interrupted

from genre.commands import training
from genre.commands.callbacks import History

ROOT = Path(__file__).parent.parent.parent

SMALL = (
    "data.clip_sec=1",
    "model.widths=[4,8]",
    "model.hidden=16",
    "trainer.max_epochs=1",
    "data.batch_size=8",
    "logger=none",
)


@pytest.fixture
def fails(train, tmp_path: Path):
    """Run train.py, check that it fails as promised, and return the sentence."""

    def run(*arguments: str) -> str:
        result = train(f"hydra.run.dir={tmp_path / 'run'}", *arguments)
        assert result.status == 1, result.out
        assert "Traceback" not in result.out + result.err
        lines = [line for line in result.err.splitlines() if line.strip()]
        assert len(lines) == 1, result.err
        assert lines[0].startswith("error: ")
        assert not (tmp_path / "run" / "metrics.json").exists()
        return lines[0]

    return run


def test_root_not_given(fails) -> None:
    assert "data.root is not set; add data.root=..." in fails("data=folder")


def test_root_missing(fails, tmp_path: Path) -> None:
    sentence = fails("data=folder", f"data.root={tmp_path / 'nowhere'}")
    assert "nowhere" in sentence
    assert "does not exist" in sentence


def test_empty_folder(fails, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    sentence = fails("data=folder", f"data.root={tmp_path / 'empty'}")
    assert "empty" in sentence


def test_single_class(fails, make_music) -> None:
    root = make_music(genres=("only",), table=False)
    assert "single class" in fails("data=folder", f"data.root={root}")


def test_class_with_one_artist_is_found_before_anything_is_prepared(fails, make_music, tmp_path: Path) -> None:
    root = make_music(artists=3)
    table = root / "tracks.csv"
    table.write_text(table.read_text().replace("low artist 1", "low artist 0").replace("low artist 2", "low artist 0"))
    sentence = fails("data=folder", f"data.root={root}", "data.clip_sec=1", f"data.store_dir={tmp_path / 'none'}")
    assert "low" in sentence
    assert "artist" in sentence
    assert not (tmp_path / "none").exists()


def test_copies_of_one_recording_are_found_once_they_are_heard(fails, make_music) -> None:
    root = make_music(artists=3)
    first, *others = sorted((root / "low").iterdir())
    for other in others:
        other.write_bytes(first.read_bytes())
    assert "low has only 1 recording" in fails("data=folder", f"data.root={root}", "data.clip_sec=1")


@pytest.mark.parametrize("value", ["0", "-3", "1000", "three", "0.1"])
def test_clip_sec_out_of_range(value: str, fails) -> None:
    sentence = fails(f"data.clip_sec={value}")
    assert f"data.clip_sec={value}" in sentence


def test_clip_sec_longer_than_every_track(fails, music: Path) -> None:
    sentence = fails("data=folder", f"data.root={music}", "data.clip_sec=9")
    assert "longer than every track" in sentence
    assert "2.20 s" in sentence


@pytest.mark.parametrize(
    ("argument", "hint"),
    [
        ("model=mini_vg", "did you mean mini_vgg?"),
        ("data=gtzn", "did you mean gtzan?"),
        ("protocol=artst", "did you mean artist?"),
        ("frontend=logmell", "did you mean logmel or logmel_relative?"),
        ("data.clip_secs=3", "did you mean data.clip_sec"),
        ("trainer.max_epoch=3", "did you mean trainer.max_epochs"),
        ("modl=mini_vgg", "did you mean"),
        ("optimizer.lr=0.1", "optimizer.learning_rate"),
        ("protocol.folds=3", "there is no setting protocol.folds"),
        ("mode=tset", "did you mean test?"),
        ("data.short=cut", "known are drop, pad, repeat"),
        ("data.batch_size=0", "data.batch_size=0"),
        ("data.in_memory=perhaps", "data.in_memory=perhaps"),
        ("data.jobs=0", "data.jobs=0"),
        ("data.store_dir=null", "data.store_dir=null is no folder; name one, such as stores"),
        ("protocol.val=1.5", "protocol.val"),
        ("trainer.max_epochs=0", "trainer.max_epochs=0"),
        ("+trainer.limit_train_batches=0", "trainer.limit_train_batches=0 leaves nothing to learn from; take it out"),
        ("+trainer.max_steps=0", "trainer.max_steps=0 leaves nothing to learn from"),
        ("callbacks.monitor_mode=up", "callbacks.monitor_mode=up"),
        ("callbacks.patience=abc", "callbacks.patience=abc is not a number of epochs"),
        ("callbacks.patience=-1", "give 1 or more, or null for never"),
        ("callbacks.patience=2.5", "callbacks.patience=2.5"),
        ("callbacks.patience=5", "needs something that can get better; add callbacks.monitor=val/clip_accuracy"),
        ("seed=5000000000", "seed=5000000000 is out of range; give a whole number from 0 to 4294967295"),
        ("seed=-1", "seed=-1"),
        ("seed=one", "seed=one"),
        ("seed=null", "seed=null"),
        ("+trainer.fast_dev_run=true", "take trainer.max_epochs=1 data.max_clips=1 instead"),
        ("+trainer.limit_predict_batches=1", "leaves clips out of the evaluation; take it out"),
        ("+trainer.overfit_batches=1", "would judge the model by what it learns; take it out"),
        ("+trainer.accumulate_grad_batches=0", "trainer.accumulate_grad_batches=0 is not a number of batches"),
        ("trainer.accumulate_grad_batches=2", "add it with a plus, +trainer.accumulate_grad_batches"),
        ("trainer.gradient_clip_val=-1", "trainer.gradient_clip_val=-1 is out of range"),
        ("+trainer.gradient_clip_algorithm=size", "trainer.gradient_clip_algorithm=size is refused by Lightning"),
        ("trainer.precision=bf16-true", "did you mean 64-true or bf16-mixed"),
        ("+trainer.callbacks=[]", "trainer.callbacks is given by the run itself; take it out: callbacks.monitor, "),
        ("+trainer.logger=false", "take it out: logger=none or logger=tensorboard says what is logged"),
        ("+trainer.default_root_dir=x", "take it out: hydra.run.dir says where a run writes"),
        ("+trainer.plugins=[]", "trainer.plugins is given by the run itself"),
        ("+trainer.enable_model_summary=true", "trainer.enable_model_summary is given by the run itself"),
        ("trainer.devices=0", "is not possible on this machine"),
        ("augment.tilt_db=loud", "augment.tilt_db=loud is out of range"),
        ("seed=[", "cannot be read"),
        ("seed", "cannot be read"),
        ("+trainer.max_epoch=3", "there is no setting trainer.max_epoch;"),
    ],
)
def test_wrong_setting(argument: str, hint: str, fails, music: Path) -> None:
    data = () if argument.startswith("data=") else ("data=folder", f"data.root={music}")
    assert hint in fails(*data, argument)


@pytest.mark.parametrize(
    ("argument", "hint"),
    [
        ("--seed=1", "--seed=1 is no option; settings have no dashes and are name=value, such as seed=1"),
        ("--seed", "--seed is no option; settings have no dashes and are name=value, such as seed=value"),
    ],
)
def test_settings_written_as_options(argument: str, hint: str, fails) -> None:
    assert hint in fails(argument)


def test_a_command_that_did_nothing_leaves_no_folder(train, tmp_path: Path) -> None:
    for name, more in (("new", ()), ("mine", ("kept.txt",))):
        folder = tmp_path / name
        for file in more:
            folder.mkdir()
            (folder / file).write_text("")
        assert train("model.label_smoothing=2", f"hydra.run.dir={folder}").status == 1
        assert folder.is_dir() == bool(more)
        assert all((folder / file).is_file() for file in more)


@pytest.mark.parametrize(
    ("argument", "command"),
    [
        ("data.batch_size=0", "train"),
        ("data.duplicates=contents", "sweep_classical"),
        ("damage.copies=1", "train"),
        ("augment.tilt_db=loud", "train"),
        ("trainer.max_epochs=0", "train"),
    ],
)
def test_wrong_settings_are_found_before_music_is_composed(
    argument: str, command: str, run_command, tmp_path: Path
) -> None:
    result = run_command(
        command, argument, f"hydra.run.dir={tmp_path / 'run'}", f"data.store_dir={tmp_path / 'stores'}"
    )
    assert result.status == 1
    (line,) = result.err.splitlines()
    assert line.startswith(f"error: {argument}")
    assert not (tmp_path / "stores").exists()


@pytest.mark.parametrize("given", [(), ("data.csv=features.csv",)])
def test_a_table_of_features_is_not_for_train(given: tuple[str, ...], fails) -> None:
    sentence = fails("data=features_csv", *given)
    assert "data=features_csv is a table of features, which is for sweep_classical.py; choose audio here" in sentence


@pytest.mark.parametrize("seed", ["1.5", "99999999999999999999"])
@pytest.mark.parametrize("command", ["train", "sweep_classical"])
def test_a_wrong_deal_is_found_before_music_is_composed(command: str, seed: str, run_command, tmp_path: Path) -> None:
    folders = (f"hydra.run.dir={tmp_path / 'run'}", f"data.store_dir={tmp_path / 'stores'}")
    result = run_command(command, f"protocol.seed={seed}", *folders)
    assert result.status == 1
    (line,) = result.err.splitlines()
    assert line.startswith(f"error: protocol.seed is {seed}, but it must be a whole number from 0 to 4294967295")
    assert not (tmp_path / "stores").exists()


@pytest.mark.parametrize(
    ("argument", "hint"),
    [
        ("model.pooling=globl", "did you mean global?"),
        ("model.pooling=2", "model.pooling=2 is unknown; known are flatten, global"),
        ("model.normalize=bin", "did you mean bins?"),
        ("model.label_smoothing=2", "model.label_smoothing=2"),
        ("model.label_smoothing=abc", "model.label_smoothing=abc is out of range; choose a number between 0 and 0.99"),
        ("model.class_balance=yes_please", "model.class_balance=yes_please is neither true nor false"),
        ("optimizer.learning_rate=null", "optimizer.learning_rate=null is out of range; choose a number from 0 on"),
        ("optimizer.learning_rate=inf", "optimizer.learning_rate=inf"),
        ("optimizer.weight_decay=true", "optimizer.weight_decay=True"),
        ("scheduler.warmup=.nan", "scheduler.warmup=.nan is out of range"),
        ("scheduler.warmup=nan", "scheduler.warmup=nan is out of range"),
        ("optimizer.name=sgdd", "optimizer.name=sgdd"),
        ("scheduler.name=cosin", "did you mean cosine?"),
        ("model.widths=[4,4,4,4,4,4,4,4,4]", "use fewer blocks"),
        ("model.widths=[]", "model.widths"),
        ("callbacks.monitor=val/los", "did you mean val/loss?"),
    ],
)
def test_wrong_setting_of_the_model(argument: str, hint: str, fails, music: Path) -> None:
    assert hint in fails("data=folder", f"data.root={music}", "data.clip_sec=1", argument)


def test_settings_that_judge_epochs_together(fails) -> None:
    by_loss = "callbacks.monitor=val/loss"
    assert "callbacks.monitor_mode=max does not fit callbacks.monitor=val/loss" in fails(
        by_loss, "callbacks.monitor_mode=max"
    )
    assert "trainer.limit_val_batches=0 leaves nothing to judge epochs by; take it out" in fails(
        by_loss, "+trainer.limit_val_batches=0"
    )


def test_a_folder_of_music_with_the_demo_data_is_not_written_to(fails, music: Path) -> None:
    before = sorted(music.rglob("*"))
    assert "is not read by data=demo, which composes its own: add data=folder" in fails(f"data.root={music}")
    assert sorted(music.rglob("*")) == before


def test_changes_by_decibels_of_pictures_that_are_not_in_decibels(fails) -> None:
    sentence = fails("frontend=stft512", "augment=music")
    assert "augment.equalizer_db=3.0 augment.lowpass=0.3 augment.noise=0.5 would drown" in sentence
    assert "frontend=stft512" in sentence
    off = "augment.gain_db=0 augment.tilt_db=0 augment.equalizer_db=0 augment.lowpass=0 augment.noise=0"
    assert f"set {off}, or choose frontend=logmel_relative" in sentence
    assert "set augment.tilt_db=0, or" in fails("experiment=seed_v7", "augment.tilt_db=1.5")
    assert "would drown the spectrograms of frontend=stft512" in fails("experiment=recommended", "frontend=stft512")
    assert "set augment.lowpass=0 augment.noise=0, or" in fails(
        "frontend=stft512", "augment.lowpass=0.3", "augment.noise=0.5"
    )


def test_table_without_a_column(fails, make_music) -> None:
    root = make_music()
    table = root / "tracks.csv"
    table.write_text(table.read_text().replace("file,label", "path,label", 1))
    sentence = fails("data=folder", f"data.root={root}")
    assert "tracks.csv" in sentence
    assert "file" in sentence


def test_table_with_a_missing_file(fails, make_music) -> None:
    root = make_music()
    (root / "low" / "low.1.0.wav").unlink()
    assert "low.1.0.wav" in fails("data=folder", f"data.root={root}")


def test_table_with_a_duplicate_row(fails, make_music) -> None:
    root = make_music()
    table = root / "tracks.csv"
    table.write_text(table.read_text() + table.read_text().splitlines()[-1] + "\n")
    assert "listed already" in fails("data=folder", f"data.root={root}")


def test_predefined_without_split(fails, music: Path) -> None:
    assert "split" in fails("data=folder", f"data.root={music}", "protocol=predefined", "data.clip_sec=1")


def test_class_with_nothing_left(fails, make_music) -> None:
    root = make_music()
    for file in (root / "low").iterdir():
        file.write_bytes(b"")
    sentence = fails("data=folder", f"data.root={root}", "data.clip_sec=1")
    assert "low" in sentence
    assert "none of the 4 tracks" in sentence


def test_gtzan_without_genres(fails, music: Path) -> None:
    assert "blues" in fails("data=gtzan", f"data.root={music}")


def test_less_than_one_batch_to_learn_from(fails, music: Path) -> None:
    sentence = fails("data=folder", f"data.root={music}", "+trainer.limit_train_batches=0.01", *SMALL)
    assert "limit_train_batches" in sentence


def test_checkpoint_missing(fails, tmp_path: Path) -> None:
    assert "there is no checkpoint" in fails("mode=test", f"ckpt={tmp_path / 'none.ckpt'}")


def test_folder_without_checkpoint(fails, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert f"the folder {tmp_path / 'empty'} holds no best.ckpt; give the folder of a run, or a file" in fails(
        "mode=test", f"ckpt={tmp_path / 'empty'}"
    )
    assert "holds no last.ckpt" in fails(f"ckpt={tmp_path / 'empty'}")


@pytest.mark.parametrize("name", ["model.skops", "best.ckpt"])
def test_checkpoint_that_is_a_classical_model(name: str, fails, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        archive.writestr("schema.json", "{}")
    sentence = fails("mode=test", f"ckpt={tmp_path / name}")
    assert f"{name} is a classical model, which infer.py takes but train.py does not; give the best.ckpt" in sentence


def test_mode_test_without_checkpoint(fails) -> None:
    assert "ckpt=" in fails("mode=test")


def test_checkpoint_that_is_none(fails, tmp_path: Path) -> None:
    path = tmp_path / "odd name, (1) = x.ckpt"
    path.write_text("not a checkpoint")
    sentence = fails("mode=test", f"ckpt={path}")
    assert "is not a checkpoint" in sentence
    assert path.name in sentence


def test_checkpoint_that_may_not_be_read(fails, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, opened = tmp_path / "mine.ckpt", Path.open
    path.write_bytes(b"PK")

    def refused(file: Path, *given: Any, **named: Any) -> object:
        if file == path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))
        return opened(file, *given, **named)

    monkeypatch.setattr(Path, "open", refused)
    assert f"{path} cannot be read (Permission denied): check its permissions" in fails("mode=test", f"ckpt={path}")


def test_checkpoint_of_something_else(fails, tmp_path: Path) -> None:
    path = tmp_path / "other.ckpt"
    torch.save({"state_dict": {}}, path)
    assert "not a checkpoint of this project" in fails("mode=test", f"ckpt={path}")


def test_checkpoint_that_would_run_code(fails, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    path = tmp_path / "evil.ckpt"
    torch.save({"genre": {"model": "MiniVGG"}, "state_dict": Evil()}, path)
    sentence = fails("mode=test", f"ckpt={path}")
    assert "run code" in sentence
    assert not (tmp_path / "ran").exists()


def test_checkpoint_of_other_labels(fails, train, music: Path, make_music, tmp_path: Path) -> None:
    run = tmp_path / "trained"
    assert train("data=folder", f"data.root={music}", f"hydra.run.dir={run}", *SMALL).status == 0
    other = make_music(genres=("deep", "loud", "quiet"))
    sentence = fails("mode=test", f"ckpt={run / 'best.ckpt'}", f"data.root={other}")
    assert "other labels" in sentence
    assert "high, low, middle" in sentence


def test_unwritable_output_folder(train, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    result = train(f"hydra.run.dir={tmp_path / 'file' / 'run'}")
    assert result.status == 1
    assert "cannot be used" in result.err
    assert "Traceback" not in result.err


def test_unwritable_store(fails, music: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    sentence = fails("data=folder", f"data.root={music}", f"data.store_dir={tmp_path / 'file' / 'stores'}")
    assert "data.store_dir" in sentence


@pytest.mark.parametrize("at", ["the second epoch", "the end"])
def test_a_disk_that_is_full_is_one_sentence_and_spares_the_checkpoints(
    at: str, train, monkeypatch: pytest.MonkeyPatch, music: Path, tmp_path: Path
) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    keep, fit = History.on_train_epoch_end, training.fit_temperature

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))  # the system refuses what is larger

    def fill_in_epoch(self: History, trainer: Any, *args: Any) -> None:
        keep(self, trainer, *args)
        if trainer.current_epoch == 1:
            fill()

    def fill_at_end(*args: Any) -> float:
        fill()
        return fit(*args)

    run = tmp_path / "run"
    common = ("data=folder", f"data.root={music}", *SMALL, "trainer.max_epochs=2", f"hydra.run.dir={run}")
    with monkeypatch.context() as patch:
        if at == "the end":
            patch.setattr(training, "fit_temperature", fill_at_end)
        else:
            patch.setattr(History, "on_train_epoch_end", fill_in_epoch)
        try:
            result = train(*common)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert result.status == 1, result.out
    (line,) = [line for line in result.err.splitlines() if line.strip()]
    assert re.fullmatch(
        rf"error: cannot write {run}/(best|last)\.ckpt \(File too large\): free some space and go on with "
        rf"hydra\.run\.dir={run} resume=true, or choose another hydra\.run\.dir",
        line,
    )
    epochs = 1 if at == "the second epoch" else 2
    assert torch.load(run / "last.ckpt", weights_only=True)["epoch"] == epochs - 1
    assert sorted(path.name for path in run.iterdir() if ".ckpt" in path.name) == ["best.ckpt", "last.ckpt"]
    again = train(*common, "resume=true")
    assert again.status == 0, again.err
    assert f"run: {'continued after epoch 1' if epochs == 1 else 'trained to the end earlier'}" in again.out


def test_a_full_disk_of_which_the_system_names_no_file_is_told_with_the_folder(
    train, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*args: Any, **settings: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(training, "build_datamodule", full)
    remedy = "(No space left on device); free some space or choose another"
    for folder, setting, flags in (("run", "hydra.run.dir", ()), ("sweep", "hydra.sweep.dir", ("-m", "seed=0"))):
        result = train(*flags, f"{setting}={tmp_path / folder}")
        assert result.status == 1
        assert f"a disk is full, most likely that of {tmp_path / folder} {remedy} {setting}" in result.err
        assert "Traceback" not in result.out + result.err
        for log in tmp_path.rglob("run.log"):
            assert "Traceback" not in log.read_text()
    run = tmp_path / "run with last"
    run.mkdir()
    (run / "last.ckpt").touch()
    result = train(f"hydra.run.dir={run}")
    assert f"free some space and go on with 'hydra.run.dir={run}' resume=true, or choose another" in result.err
    monkeypatch.setattr("hydra.core.utils._save_config", full)  # which Hydra does before the task begins
    result = train(f"hydra.run.dir={tmp_path / 'other'}")
    assert result.status == 1
    assert "most likely that of the folder this command writes into (No space left on device)" in result.err
    assert "or choose another hydra.run.dir or hydra.sweep.dir" in result.err


def test_debug_shows_the_traceback(train, tmp_path: Path) -> None:
    from genre.errors import ConfigError

    with pytest.raises(ConfigError):
        train("data.clip_sec=0", "debug=true", f"hydra.run.dir={tmp_path / 'run'}")


def test_interrupt_leaves_a_checkpoint_that_can_be_continued(train, music: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    endless = ("trainer.max_epochs=100000", "callbacks.patience=null")
    given = ("data=folder", f"data.root={music}", f"hydra.run.dir={run}")
    out = interrupted([*given, *SMALL[:3], "data.batch_size=8", "logger=none", *endless])
    assert "Traceback" not in out
    assert f"ckpt={run / 'last.ckpt'}" in out
    done = torch.load(run / "last.ckpt", weights_only=True)["epoch"] + 1
    more = train(f"ckpt={run / 'last.ckpt'}", f"trainer.max_epochs={done + 2}", f"hydra.run.dir={tmp_path / 'more'}")
    assert more.status == 0, more.err
    assert f"epoch {done + 2}/{done + 2}" in more.out
