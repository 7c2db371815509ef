"""infer.py on files, folders and streams: what it answers, what it writes, and what it says when it cannot."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import re
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile
import torch
from drawing import draw_nothing, functions_that_draw
from matplotlib.image import imread
from omegaconf import OmegaConf
from running import run_entry_point
from small_music import tone

from genre.audio.blocks import AudioBlocks
from genre.commands import live_run
from genre.commands.settings import SWITCHES
from genre.errors import AudioError, DataError, DeviceError
from genre.evaluation.files import write_row
from genre.inference.sources import FileSource

if TYPE_CHECKING:
    from genre.inference.files import FilePrediction

ROOT = Path(__file__).parent.parent.parent
LABELS = ["high", "low", "middle"]
NETWORK = (
    "data.clip_sec=1",
    "trainer.max_epochs=15",
    "optimizer.learning_rate=0.02",
    "data.batch_size=8",
    "logger=none",
    "report=false",
    "callbacks.patience=null",
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, music: Path, stores: Path) -> dict[str, Path]:
    """A training run of a network that hears windows, and of one that listens on."""
    folder = tmp_path_factory.mktemp("runs")
    models = {
        "mini_vgg": ("model.widths=[4,8]", "model.hidden=16"),
        "cnn_gru": ("model=cnn_gru", "model.widths=[4,4,8,8]", "model.hidden=8"),
    }
    for name, settings in models.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.setenv("GENRE_STORES", str(stores))
            for module, function in functions_that_draw("train"):
                patch.setattr(module, function, draw_nothing)
            run = ("data=folder", f"data.root={music}", f"hydra.run.dir={folder / name}", *NETWORK, *settings)
            assert run_entry_point("train", run, patch) == 0
    return {name: folder / name for name in models}


@pytest.fixture(scope="module")
def ckpt(runs: dict[str, Path]) -> str:
    return f"ckpt={runs['mini_vgg'] / 'best.ckpt'}"


def rows(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_answers_are_those_of_the_training_run(infer, runs: dict[str, Path], ckpt: str, music: Path) -> None:
    with (runs["mini_vgg"] / "predictions.csv").open() as stream:
        expected = list(csv.DictReader(stream))
    result = infer(ckpt, str(music), "format=json", "clips=true")
    assert result.status == 0, result.err
    heard = {
        (os.path.relpath(row["file"], music), clip["start_sec"]): clip["probabilities"]
        for row in rows(result.out)
        for clip in row["clips"]
    }
    assert len(rows(result.out)) == 12
    assert len(expected) > 3
    assert np.ptp([float(row["low"]) for row in expected]) > 0.05  # the network has learnt something
    for row in expected:
        ours = heard[row["track"], float(row["start_sec"])]
        np.testing.assert_allclose(
            [ours[label] for label in LABELS], [float(row[label]) for label in LABELS], atol=1e-5
        )


def test_json_has_one_object_an_input(infer, ckpt: str, music: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd, name (live) = x.wav"
    soundfile.write(odd, tone(440, 3.0), 22050)
    result = infer(ckpt, odd.name, str(music / "low" / "low.0.0.wav"), "format=json")
    assert result.status == 0, result.err
    first, second = rows(result.out)
    assert first["file"] == odd.name
    assert second["file"].endswith("low.0.0.wav")
    assert first["predicted"] == first["top"][0]["label"] == max(first["probabilities"], key=first["probabilities"].get)
    assert sum(first["probabilities"].values()) == pytest.approx(1)
    assert first["n_clips"] == 3
    assert result.err == ""
    assert not (tmp_path / "inference").exists()


def test_the_folder_of_a_run_stands_for_its_model(infer, runs: dict[str, Path], ckpt: str, music: Path) -> None:
    file = str(next(music.rglob("*.wav")))
    result = infer(f"ckpt={runs['mini_vgg']}", file)
    assert result.status == 0, result.err
    assert result.out == infer(ckpt, file).out


def test_csv_of_files_and_of_clips(infer, ckpt: str, music: Path) -> None:
    table = list(csv.DictReader(io.StringIO(infer(ckpt, str(music / "low"), "format=csv").out)))
    assert list(table[0]) == ["file", "predicted", "probability", "unsure", "truncated", *LABELS]
    assert len(table) == 4
    clips = list(csv.DictReader(io.StringIO(infer(ckpt, str(music / "low"), "format=csv", "clips=true").out)))
    assert len(clips) == 8
    assert {row["start_sec"] for row in clips} == {"0.000000", "1.000000"}
    mean = np.mean([float(row["low"]) for row in clips if row["file"] == table[0]["file"]])
    assert float(table[0]["low"]) == pytest.approx(mean, abs=1e-6)


def test_a_line_end_in_a_name_is_quoted(infer, ckpt: str, tmp_path: Path) -> None:
    name = "a\rb.wav"
    soundfile.write(tmp_path / name, tone(440, 2.0), 22050)
    result = infer(ckpt, name, "format=csv")
    assert [row["file"] for row in csv.DictReader(io.StringIO(result.out, newline=""))] == [name]


def test_a_file_that_ends_early_is_marked(infer, ckpt: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(440, 4.0), 22050)
    soundfile.write(tmp_path / "b.wav", tone(440, 4.0), 22050)
    (tmp_path / "b.wav").write_bytes((tmp_path / "b.wav").read_bytes()[: 3 * 22050 * 2])
    said = rows(infer(ckpt, "a.wav", "b.wav", "format=json").out)
    assert [row["truncated"] for row in said] == [False, True]
    for clips in ("false", "true"):
        table = list(csv.DictReader(io.StringIO(infer(ckpt, "b.wav", "format=csv", f"clips={clips}").out)))
        assert {row["truncated"] for row in table} == {"true"}


def test_table_for_people(infer, ckpt: str, music: Path) -> None:
    result = infer(ckpt, f"input={music / 'low'}", "format=table", "unsure.probability=1", "top=2")
    assert result.out.count("low.") == 4
    assert result.out.count("unsure") == 4
    assert "%" in result.out
    assert "3." not in result.out.splitlines()[0]


def test_bad_files_are_reported_and_the_others_heard(infer, ckpt: str, music: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.wav").write_bytes(b"")
    soundfile.write(folder / "b.wav", tone(440, 2.0), 22050)
    soundfile.write(folder / "c.wav", np.zeros(44100), 22050)
    result = infer(ckpt, "folder", "nowhere.mp3", "format=json")
    assert result.status == 1
    answers = rows(result.out)
    assert ["error" in answer for answer in answers] == [True, False, True, True]
    assert "does not exist" in answers[3]["error"]
    assert result.err.count("skipped: ") == 3
    assert result.err.splitlines()[-1] == "error: 3 of 4 inputs could not be used, for the reasons above"


def test_what_looks_like_audio_in_a_folder_is_named_and_counted(
    infer, ckpt: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    (folder / "locked").mkdir(parents=True)
    soundfile.write(folder / "b.wav", tone(440, 2.0), 22050)
    (folder / "a.m4a").write_bytes(b"\0\0\0 ftypM4A " + bytes(100))
    for name in ("tracks.csv", "cover.jpg", "notes.txt", ".hidden.m4a"):
        (folder / name).write_text("no music")
    listdir = os.listdir

    def refuse(path: Path) -> list[str]:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return listdir(path)

    monkeypatch.setattr("genre.audio.files.os.listdir", refuse)
    result = infer(ckpt, "folder", "format=json")
    assert result.status == 1
    bad, good = rows(result.out)
    assert "looks like MP4 or AAC" in bad["error"]
    assert good["file"] == "folder/b.wav"
    first, second, last = result.err.splitlines()
    assert first == "skipped: the folder folder/locked may not be listed: change its permissions"
    assert second.startswith("skipped: folder/a.m4a cannot be decoded")
    assert last == "error: 2 of 3 inputs could not be used, for the reasons above"


def test_several_checkpoints_are_averaged(infer, runs: dict[str, Path], music: Path) -> None:
    file = str(music / "low" / "low.0.0.wav")
    paths = [str(run / "best.ckpt") for run in runs.values()]
    alone = [rows(infer(f"ckpt={path}", file, "format=json").out)[0]["probabilities"] for path in paths]
    repeated = rows(infer(*(f"ckpt={path}" for path in paths), file, "format=json").out)[0]
    listed = rows(infer(f"ckpt=[{','.join(paths)}]", file, "format=json").out)[0]
    assert repeated["probabilities"] == listed["probabilities"]
    for label in LABELS:
        mean = (alone[0][label] + alone[1][label]) / 2
        assert repeated["probabilities"][label] == pytest.approx(mean, abs=1e-6)


def test_pictures(infer, ckpt: str, music: Path, tmp_path: Path) -> None:
    file = music / "low" / "low.0.0.wav"
    settings = ("plot=[timeline,denoise]", "denoise=spectral_subtraction", "hydra.run.dir=pictures", "format=json")
    result = infer(ckpt, str(file), str(music / "high" / "high.0.0.wav"), *settings)
    assert result.status == 0, result.err
    names = {path.name for path in (tmp_path / "pictures").iterdir()}
    assert names == {f"{stem}.0.0.{kind}.png" for stem in ("low", "high") for kind in ("timeline", "denoise")}
    for name in names:
        assert imread(tmp_path / "pictures" / name).std() > 0.05


def test_pictures_of_files_with_long_names_that_begin_alike(infer, ckpt: str, tmp_path: Path) -> None:
    for last in "ая":
        soundfile.write(tmp_path / f"{'ж' * 117}{last}.wav", tone(440, 2.0), 22050)
    result = infer(ckpt, str(tmp_path), "plot=timeline", "hydra.run.dir=pictures", "format=json")
    assert result.status == 0, result.err
    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert names == [f"{'ж' * 100} (2).timeline.png", f"{'ж' * 100}.timeline.png"]


def test_a_picture_that_cannot_be_written_does_not_stop_the_others(
    infer, ckpt: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", tone(440, 2.0), 22050)

    def full(_figure: object, path: Path) -> None:
        raise DataError(f"cannot write {path}: free some space")

    monkeypatch.setattr("genre.commands.pictures.save_png", full)
    result = infer(ckpt, "a.wav", "b.wav", "plot=timeline", "hydra.run.dir=pictures", "format=json")
    assert result.status == 1
    assert len(rows(result.out)) == 2
    assert "no picture of b.wav: cannot write" in result.err
    assert result.err.splitlines()[-1] == "error: 2 of 2 files have no picture, for the reasons above"


def test_denoising_changes_answers_and_a_noise_file_says_what_noise_is(infer, ckpt: str, tmp_path: Path) -> None:
    noise = 0.2 * np.random.default_rng(0).standard_normal(3 * 22050)
    soundfile.write(tmp_path / "noisy.wav", tone(440, 3.0) + noise, 22050)
    soundfile.write(tmp_path / "the noise, alone.wav", noise[:22050], 22050)
    answers = [
        rows(infer(ckpt, "noisy.wav", "format=json", *settings).out)[0]["probabilities"]
        for settings in (
            ("denoise=none",),
            ("denoise=spectral_subtraction", "denoise.noise_sec=0.5"),
            ("denoise=berouti", "denoise.noise_file=the noise, alone.wav"),
            ("denoise=noisereduce",),
        )
    ]
    assert len({tuple(answer.values()) for answer in answers}) == 4


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("a.wav",), "no model is given; name it with ckpt="),
        (("CKPT",), "there is nothing to listen to"),
        (("ckpt=none.ckpt", "a.wav"), "there is no checkpoint none.ckpt"),
        (("ckpt=a.wav", "a.wav"), "a.wav is not a checkpoint"),
        (("CKPT", "empty"), "the folder empty holds nothing to listen to (there is no audio in it)"),
        (("CKPT", "a.wav", "format=jsn"), "did you mean json?"),
        (
            ("CKPT", "a.wav", "fromat=json"),
            "did you mean format? (known: ckpt, clips, debug, denoise, devices,",
        ),
        (("CKPT", "a.wav", "classifier=knn"), "there is no setting classifier; "),
        (("CKPT", "a.wav", "format=table", "top=abc"), "top=abc is not a number of genres"),
        (("CKPT", "a.wav", "format=table", "top=null"), "top=None is not a number of genres"),
        (("CKPT", "a.wav", "top=0"), "top=0 is not a number of genres"),
        (("CKPT", "a.wav", "plot=timelin"), "did you mean timeline?"),
        (("CKPT", "a.wav", "denoise=beruti"), "did you mean berouti?"),
        (("CKPT", "a.wav", "denoise=null"), "denoise=null is unknown; known are berouti, noisereduce, none, spectral"),
        (("CKPT", "a.wav", "denoise=berouti", "denoise.flor=1"), "did you mean denoise.floor"),
        (("CKPT", "a.wav", "denoise=berouti", "denoise.floor=2"), "denoise.floor=2"),
        (
            ("CKPT", "a.wav", "denoise.noise_sec=1"),
            "there is no setting denoise.noise_sec with denoise=none; choose denoise=berouti or denoise=noisereduce or "
            "denoise=spectral_subtraction",
        ),
        (("CKPT", "a.wav", "+denoise.foo=1"), "there is no setting denoise.foo with denoise=none; choose denoise=bero"),
        (("CKPT", "a.wav", "+denoise.noise_file=a.wav"), "no setting denoise.noise_file with denoise=none; choose"),
        (
            ("CKPT", "a.wav", "denoise=berouti", "+denoise.flor=1"),
            "there is no setting denoise.flor; did you mean denoise.floor or denoise.rule or",
        ),
        (("CKPT", "a.wav", "denoise=berouti", "denoise.noise_file=no.wav"), "no.wav does not exist"),
        (("CKPT", "a.wav", "unsure.margin=2"), "unsure.margin=2"),
        (
            ("CKPT", "a.wav", "unsure=null"),
            "unsure=null is given whole, but it is made of other settings; give unsure.",
        ),
        (("CKPT", "a.wav", "unsure=0.5"), "give unsure.probability and unsure.margin, both 0 for never unsure"),
        (("CKPT", "input=stream:a.wav", "live=3"), "live=3 is given whole"),
        (("CKPT", "a.wav", "hop_sec=-1"), "error: hop_sec=-1 is not a usable distance"),
        (("CKPT", "a.wav", "hop_sec=0"), "error: hop_sec=0 is not"),
        (("CKPT", "a.wav", "input=mic"), "are listened to alone"),
        (("CKPT", "input=stream:no.wav"), "no.wav does not exist"),
        (("CKPT", "input=stream:a.wav", "live.seconds=0"), "live.seconds=0"),
        (("CKPT", "input=stream:a.wav", "live.seconds=0.9"), "live.seconds=0.9 is too short for one clip of 1 s"),
        (
            ("CKPT", "input=stream:a.wav", "live.seconds=1.4", "denoise=berouti", "denoise.noise_sec=0.5"),
            "live.seconds=1.4 is too short for denoise.noise_sec=0.5 and one clip of 1 s; give at least 1.5",
        ),
        (("CKPT", "input=stream:a.wav", "live.hop_sec=0"), "live.hop_sec=0"),
        (("CKPT", "input=stream:a.wav", "live.carry=true"), "live.carry=true needs a cnn_gru"),
        (("CKPT", "a.wav", "clips=no"), "clips=no is not a switch; give true or false"),
        (("devices=off",), "devices=off is not a switch"),
        (("CKPT", "a.wav", "debug=1"), "debug=1 is not a switch"),
        (("CKPT", "input=stream:a.wav", "live.real_time=null"), "live.real_time=null is not a switch"),
        (
            ("CKPT", "input=stream:a.wav", "live.carry=maybe"),
            "live.carry=maybe is not a switch; give true, false or null",
        ),
        (("ckpt=none.ckpt", "input=mic", "live.seconds=3", "live.countdown=abc"), "live.countdown=abc is not a length"),
        (("ckpt=none.ckpt", "input=mic", "live.seconds=3", "live.countdown=-1"), "live.countdown=-1 is not a length"),
        (("ckpt=none.ckpt", "input=mic", "live.seconds=[1]"), "live.seconds=[1] is not a length"),
        (("CKPT", "export=onx"), "export=onx is unknown; known is torch"),
        (("ckpt=empty", "a.wav"), "the folder empty holds no best.ckpt and no model.skops; give the folder of a run"),
        (("CKPT", "-"), "standard input is not read; write the sound to a file and name that"),
        (("CKPT", "a.wav", "/dev/stdin"), "standard input is not read"),
        (("CKPT", "input=stream:-"), "standard input is not read"),
    ],
)
def test_one_sentence_for_what_is_wrong(
    infer, ckpt: str, tmp_path: Path, arguments: tuple[str, ...], hint: str
) -> None:
    soundfile.write(tmp_path / "a.wav", tone(440, 2.0), 22050)
    (tmp_path / "empty").mkdir()
    result = infer(*(ckpt if argument == "CKPT" else argument for argument in arguments))
    assert result.status == 1
    lines = result.err.splitlines()
    assert len(lines) == 1, result.err
    assert lines[0].startswith("error: ")
    assert hint in lines[0]
    assert result.out == ""


def test_every_switch_of_the_configuration_is_checked() -> None:
    files = [ROOT / "conf" / "infer.yaml", *(ROOT / "conf" / "denoise").glob("*.yaml")]
    settings = [OmegaConf.load(file) for file in files]
    groups = [settings[0], settings[0].live, settings[0].unsure, *settings[1:]]
    switches = {str(name) for group in groups for name, value in group.items() if isinstance(value, bool)}
    assert switches == {"clips", "devices", "debug", "real_time"}
    assert {name.rpartition(".")[2] for name in SWITCHES} == switches | {"carry"}


def test_a_name_that_the_encoding_of_the_output_has_not(
    infer, ckpt: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write(tmp_path / "песня.wav", tone(440, 2.0), 22050)
    for form, shown in (("csv", "песня.wav".encode()), ("table", rb"\u043f\u0435\u0441")):
        raw = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="latin-1"))
        result = infer(ckpt, "песня.wav", f"format={form}")
        sys.stdout.flush()
        assert result.status == 0, result.err
        assert shown in raw.getvalue()


def test_a_checkpoint_that_would_run_code_is_refused(infer, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    torch.save({"genre": {"model": "MiniVGG"}, "state_dict": Evil()}, tmp_path / "evil.ckpt")
    soundfile.write(tmp_path / "a.wav", tone(440, 2.0), 22050)
    result = infer("ckpt=evil.ckpt", "a.wav")
    assert result.status == 1
    assert "run code" in result.err
    assert not (tmp_path / "ran").exists()


def test_a_users_file_called_failed_txt_is_left_alone(infer, ckpt: str, tmp_path: Path) -> None:
    (tmp_path / "failed.txt").write_text("mine")
    soundfile.write(tmp_path / "a.wav", tone(440, 2.0), 22050)
    assert infer(ckpt, "a.wav").status == 0
    assert (tmp_path / "failed.txt").read_text() == "mine"


@pytest.mark.parametrize("model", ["mini_vgg", "cnn_gru"])
def test_a_stream_is_heard_as_the_file(infer, runs: dict[str, Path], model: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "song.wav", tone(440, 6.0), 22050)
    ckpt = f"ckpt={runs[model] / 'best.ckpt'}"
    offline = rows(infer(ckpt, "song.wav", "format=json", "clips=true", "hop_sec=0.5").out)[0]["clips"]
    live = ("input=stream:song.wav", "live.carry=false", "hydra.run.dir=live", "format=json")
    result = infer(ckpt, *live)
    assert result.status == 0, result.err
    verdicts = rows(result.out)
    assert len(verdicts) == len(offline) == 11
    for verdict, clip in zip(verdicts, offline, strict=True):
        assert verdict["seconds"] == clip["start_sec"] + 1
        assert verdict["window"] == pytest.approx(clip["probabilities"], abs=1e-4)
    assert {path.name for path in (tmp_path / "live").iterdir()} == {"verdicts.csv", "timeline.png"}
    with (tmp_path / "live" / "verdicts.csv").open() as stream:
        kept = list(csv.DictReader(stream))
    assert [float(row["low"]) for row in kept] == pytest.approx([v["probabilities"]["low"] for v in verdicts], abs=1e-6)
    assert "heard 6.0 s, nothing lost" in result.err


def test_a_recording_of_some_seconds_is_kept(infer, ckpt: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "song.wav", tone(440, 6.0), 22050)
    settings = ("live.seconds=3", "denoise=spectral_subtraction", "denoise.noise_sec=0.5", "hydra.run.dir=live")
    result = infer(ckpt, "input=stream:song.wav", *settings, "format=csv")
    assert result.status == 0, result.err
    assert [row["seconds"] for row in csv.DictReader(io.StringIO(result.out))] == ["1.500", "2.000", "2.500", "3.000"]
    raw, clean = (soundfile.read(tmp_path / "live" / name)[0] for name in ("raw.wav", "denoised.wav"))
    assert len(raw) == len(clean) == 3 * 22050
    np.testing.assert_allclose(raw, soundfile.read(tmp_path / "song.wav")[0][: len(raw)], atol=1e-6)
    for name in ("timeline.png", "denoise.png"):
        assert imread(tmp_path / "live" / name).std() > 0.05


def test_a_recording_that_a_wav_cannot_hold_is_rf64(
    infer, ckpt: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write(tmp_path / "song.wav", tone(440, 3.0), 22050)
    for bytes_held, form in ((2 * 22050 * 4, "WAV"), (2 * 22050 * 4 - 1, "RF64")):
        monkeypatch.setattr(live_run, "LARGEST_WAV", bytes_held)
        result = infer(ckpt, "input=stream:song.wav", "live.seconds=2", "hydra.run.dir=live", "format=json")
        assert result.status == 0, result.err
        for name in ("raw.wav", "denoised.wav"):
            assert soundfile.info(tmp_path / "live" / name).format == form
            assert sum(map(len, AudioBlocks(tmp_path / "live" / name))) == 2 * 22050


def test_verdicts_are_on_the_disk_as_they_come(
    infer, ckpt: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []
    monkeypatch.setattr(
        live_run.VerdictHistory,
        "add",
        lambda *_: kept.append(len((tmp_path / "live" / "verdicts.csv").read_text().splitlines()) - 1),
    )
    monkeypatch.setattr(live_run.Pictures, "timeline", lambda *_, **__: None)
    monkeypatch.setattr(live_run, "Timeline", lambda *_: None)
    soundfile.write(tmp_path / "song.wav", tone(440, 3.0), 22050)
    result = infer(ckpt, "input=stream:song.wav", "hydra.run.dir=live", "format=json")
    assert result.status == 0, result.err
    assert kept == [1, 2, 3, 4, 5]


def test_a_recording_that_cannot_be_written_further_is_one_sentence(infer, ckpt: str, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    soundfile.write(tmp_path / "song.wav", tone(440, 8.0), 22050)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, limits[1]))
    try:
        result = infer(ckpt, "input=stream:song.wav", "live.seconds=8", "hydra.run.dir=live", "format=json")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert result.status == 1
    assert result.err == (
        "error: cannot write live/raw.wav (System error); free some space, or choose another hydra.run.dir\n"
    )
    assert 70_000 < soundfile.info(tmp_path / "live" / "raw.wav").frames < 75_000


def test_verdicts_that_cannot_be_written_are_one_sentence(
    infer, ckpt: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(stream: io.TextIOBase, cells: tuple[str, ...]) -> None:
        if cells[0] == "2.000":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_row(stream, cells)

    soundfile.write(tmp_path / "song.wav", tone(440, 3.0), 22050)
    monkeypatch.setattr(live_run, "write_row", full)
    result = infer(ckpt, "input=stream:song.wav", "hydra.run.dir=live", "format=json")
    assert result.status == 1
    assert result.err.startswith("error: cannot write live/verdicts.csv (No space left on device); free some space")
    assert len(result.err.splitlines()) == 1
    assert len(rows(result.out)) == 2


def test_a_recording_that_cannot_be_closed_is_one_sentence(
    infer, ckpt: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = soundfile.SoundFile.close

    def failing(file: soundfile.SoundFile) -> None:
        writes = not file.closed and file.mode == "w"
        close(file)
        if writes:
            raise soundfile.LibsndfileError(2)

    soundfile.write(tmp_path / "song.wav", tone(440, 3.0), 22050)
    monkeypatch.setattr(soundfile.SoundFile, "close", failing)
    result = infer(ckpt, "input=stream:song.wav", "live.seconds=2", "hydra.run.dir=live", "format=json")
    assert result.status == 1
    assert result.err.startswith("error: cannot write live/")
    assert len(result.err.splitlines()) == 1


def test_what_the_sound_system_lost_is_told(infer, ckpt: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "song.wav", tone(440, 2.0), 22050)
    for form, n_overflows, said in (("table", 1, "1 time,"), ("json", 3, "3 times,"), ("csv", 3, "3 times,")):
        monkeypatch.setattr(FileSource, "n_overflows", n_overflows)
        result = infer(ckpt, "input=stream:song.wav", "hydra.run.dir=live", f"format={form}")
        assert result.status == 0, result.err
        assert f"heard 2.0 s, the sound system lost sound {said}" in result.err
        assert "nothing lost" not in result.err


def test_live_results_go_into_a_folder_of_their_own(infer, ckpt: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "song.wav", tone(440, 2.0), 22050)
    result = infer(ckpt, "input=stream:song.wav", "format=table")
    assert result.status == 0, result.err
    (folder,) = (tmp_path / "inference").iterdir()
    assert {path.name for path in folder.iterdir()} == {"verdicts.csv", "timeline.png"}
    assert "0:01" in result.out
    assert "overall: " in result.err


def test_a_stream_shorter_than_a_clip_has_no_verdict(infer, ckpt: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "song.wav", tone(440, 0.7), 22050)
    result = infer(ckpt, "input=stream:song.wav", "hydra.run.dir=live", "format=json")
    assert result.status == 0
    assert result.out == ""
    assert "0.7 s were heard, less than one clip of 1 s" in result.err


def test_a_stream_shorter_than_lead_in_and_clip_has_no_verdict(infer, ckpt: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "song.wav", tone(440, 1.4), 22050)
    settings = ("denoise=berouti", "denoise.noise_sec=0.5", "hydra.run.dir=live", "format=json")
    result = infer(ckpt, "input=stream:song.wav", *settings)
    assert result.status == 0
    assert "1.4 s were heard, less than 0.5 s of noise and one clip of 1 s: there is no verdict" in result.err


def test_a_stream_that_is_cut_short_says_so(infer, ckpt: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "song.wav", tone(440, 4.0), 22050)
    (tmp_path / "song.wav").write_bytes((tmp_path / "song.wav").read_bytes()[: 2 * 22050 * 2])
    result = infer(ckpt, "input=stream:song.wav", "hydra.run.dir=live", "format=json")
    assert result.status == 0
    assert "song.wav ends earlier than it says" in result.err
    assert "heard 2.0 s" in result.err


@pytest.mark.parametrize(
    ("arguments", "note"),
    [
        (("a.wav", "live.seconds=3", "live.device=1"), "live.device, live.seconds have no effect on files"),
        (("a.wav", "format=json", "top=5"), "top has no effect on format=json"),
        (("a.wav", "format=table", "clips=true"), "clips has no effect on format=table"),
        (("input=stream:a.wav", "hop_sec=0.5"), "hop_sec has no effect on live sound; live.hop_sec has"),
        (("input=stream:a.wav", "clips=true"), "clips has no effect on live sound, only on files"),
        (("input=stream:a.wav", "live.countdown=0"), "live.countdown has no effect on stream:, only on the microphone"),
    ],
)
def test_a_setting_without_effect_is_told(
    infer, ckpt: str, tmp_path: Path, arguments: tuple[str, ...], note: str
) -> None:
    soundfile.write(tmp_path / "a.wav", tone(440, 2.0), 22050)
    result = infer(ckpt, *arguments, "hydra.run.dir=out")
    assert result.status == 0, result.err
    (line,) = (line for line in result.err.splitlines() if line.startswith("note: "))
    assert line.startswith(f"note: {note}")


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(3 * 22050)], ids=["none", "zeros"])
def test_a_stream_without_sound_is_an_error(infer, ckpt: str, tmp_path: Path, samples: np.ndarray) -> None:
    soundfile.write(tmp_path / "song.wav", samples, 22050)
    result = infer(ckpt, "input=stream:song.wav", "hydra.run.dir=live", "format=json")
    assert result.status == 1
    assert result.err.splitlines()[-1].startswith("error: no sound came from song.wav")


def test_a_stream_that_breaks_off_is_kept_and_is_an_error(
    infer, ckpt: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_blocks: AudioBlocks) -> Iterator[np.ndarray]:
        yield tone(440, 2.0).astype(np.float32)
        raise AudioError("song.wav cannot be decoded further.")

    soundfile.write(tmp_path / "song.wav", tone(440, 4.0), 22050)
    monkeypatch.setattr(AudioBlocks, "__iter__", broken)
    result = infer(ckpt, "input=stream:song.wav", "hydra.run.dir=live", "format=json")
    assert result.status == 1
    assert len(rows(result.out)) == 3
    assert "kept in live" in result.err
    last = result.err.splitlines()[-1]
    assert last == "error: song.wav cannot be decoded further; what was heard until then is kept"


@pytest.mark.parametrize("form", ["json", "table"])
def test_interrupted_among_files_it_says_how_many_were_heard_and_shows_their_answers(
    form: str, infer, ckpt: str, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genre.commands import heard_files

    begun = []
    hear = heard_files.predict_file

    def interrupted_at_the_third(file: Path, *args: Any, **settings: Any) -> FilePrediction:
        begun.append(file)
        if len(begun) == 3:
            raise KeyboardInterrupt
        return hear(file, *args, **settings)

    monkeypatch.setattr(heard_files, "predict_file", interrupted_at_the_third)
    result = infer(ckpt, str(music), f"format={form}")
    assert result.status == 1
    assert result.err.strip() == "interrupted: 2 of 12 files were heard"
    assert [file.name in result.out for file in begun] == [True, True, False]


def test_interrupted_before_any_file_it_only_says_so(
    infer, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*args: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("genre.inference.predictor.load_predictor", interrupt)
    result = infer(f"ckpt={tmp_path}", str(music))
    assert (result.status, result.out, result.err) == (1, "", "\ninterrupted\n")


def test_interrupt_ends_listening_with_a_summary(ckpt: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "song.wav", tone(440, 900.0, 8000), 8000)  # longer than a slow start takes
    command = [
        sys.executable, str(ROOT / "infer.py"), ckpt, "input=stream:song.wav", "live.real_time=true", "format=json",
        "hydra.run.dir=live",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())
    assert first["seconds"] == 1
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    out, err = process.stdout.read(), process.stderr.read()
    process.wait(60)
    assert process.returncode == 0, err
    assert "overall: " in err
    assert "kept in live" in err
    assert (tmp_path / "live" / "timeline.png").stat().st_size > 0
    with (tmp_path / "live" / "verdicts.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 1 + len(out.splitlines())


def test_devices_without_portaudio(infer, monkeypatch: pytest.MonkeyPatch) -> None:
    from genre.inference import microphone

    def missing() -> None:
        raise DeviceError("recording needs PortAudio, which is not installed: sudo apt-get install libportaudio2")

    monkeypatch.setattr(microphone, "sounddevice", missing)
    result = infer("devices=true")
    assert result.status == 1
    assert result.err == (
        "error: recording needs PortAudio, which is not installed: sudo apt-get install libportaudio2\n"
    )


def test_export_of_a_network_and_its_front_end(infer, ckpt: str, tmp_path: Path, music: Path) -> None:
    result = infer(ckpt, "export=torch", "hydra.run.dir=exported")
    assert result.status == 0, result.err
    path = tmp_path / "exported" / "model.pt2"
    assert result.out == "exported/model.pt2\n" or result.out.strip() == str(path)
    samples, _ = soundfile.read(music / "low" / "low.0.0.wav", dtype="float32")
    clip = torch.from_numpy(samples[:22050])[None]
    with torch.no_grad():
        program = torch.export.load(path).module()(clip)[0]
    ours = rows(infer(ckpt, str(music / "low" / "low.0.0.wav"), "format=json", "clips=true").out)[0]["clips"][0]
    assert program.tolist() == pytest.approx(list(ours["probabilities"].values()), abs=1e-4)


def test_an_export_that_fails_its_trial_leaves_an_older_one_alone(
    infer, ckpt: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "exported").mkdir()
    (tmp_path / "exported" / "model.pt2").write_text("older")
    monkeypatch.setattr("genre.commands.exporting.largest_difference", lambda *_: float("nan"))
    result = infer(ckpt, "export=torch", "hydra.run.dir=exported")
    assert result.status == 1
    assert "the exported program differs" in result.err
    assert [path.name for path in (tmp_path / "exported").iterdir()] == ["model.pt2"]
    assert (tmp_path / "exported" / "model.pt2").read_text() == "older"


def test_help_is_quick() -> None:
    began = time.monotonic()
    shown = subprocess.run(
        [sys.executable, str(ROOT / "infer.py"), "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    assert time.monotonic() - began < 10  # 3 s on a machine with nothing else to do
    assert shown.startswith("usage: python infer.py ckpt=MODEL [FILE_OR_FOLDER ...]")
    assert "given as plain arguments" in shown
    assert "live:\n  seconds: null" in shown
    [choices] = re.findall(r"^denoise is one of (.*), and has", shown, re.MULTILINE)
    assert set(choices.split(", ")) == {path.stem for path in (ROOT / "conf" / "denoise").glob("*.yaml")}
    assert not [group.name for group in (ROOT / "conf").glob("*/") if f"\n{group.name}: " in shown]


def test_the_entry_point_does_nothing_when_imported() -> None:
    assert "main" in runpy.run_path(str(ROOT / "infer.py"), run_name="imported")
