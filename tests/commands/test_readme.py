"""Every command of the README does what the README says, made small."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from command_server import run_python
from small_music import tone, write_music

ROOT = Path(__file__).parent.parent.parent
GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
SMALL = ("trainer.max_epochs=1", "model.widths=[2,2]", "model.hidden=8", "logger=none")
NARROW = {
    "experiment=recommended": ("model.widths=[2,2,2,2]",),
    "model=resnet34_fusion": ("model.widths=[2,2,2,2]", "model.joint=8"),
}
"""Widths of the networks with four stages."""


def commands(start: str = "") -> list[str]:
    """Lines of all shell blocks that begin so, each once."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    lines = (line for block in blocks for line in block.splitlines() if line.strip() and line.startswith(start))
    return list(dict.fromkeys(lines))


def test_make_targets_of_the_readme_exist() -> None:
    targets = {
        line.split(":")[0] for line in (ROOT / "Makefile").read_text().splitlines() if re.match(r"[a-z-]+:", line)
    }
    named = {line.split()[1] for line in commands() if line.startswith("make ")}
    assert named == {"demo", "test"}
    assert named <= targets
    recipe = subprocess.run(["make", "-n", "demo"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert ".venv/bin/python train.py\n" in recipe
    steps = (ROOT / ".ci" / "run").read_text().splitlines()
    made = {word for step in steps if step.startswith("make ") for word in step.split()[1:] if not word.startswith("-")}
    assert {"lint", "test", "test-ray"} <= made <= targets


def test_every_kind_of_command_is_run() -> None:
    assert {shlex.split(line)[0] for line in commands()} == {"make", "python", "tensorboard"}


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the music, the GTZAN and the run that the README speaks of."""
    folder = tmp_path_factory.mktemp("readme")
    write_music(folder / "music", splits=("train", "train", "train", "val", "test"), artists=5)
    gtzan = folder / "gtzan" / "genres_original"
    from torchaudio.datasets import gtzan as lists

    for genre in GENRES:
        for split in (lists.filtered_train, lists.filtered_valid, lists.filtered_test):
            name = next(stem for stem in split if stem.startswith(genre))
            (gtzan / genre).mkdir(parents=True, exist_ok=True)
            number = GENRES.index(genre) + 1
            make_wav(gtzan / genre / f"{name}.wav", 100.0 * number + len(list((gtzan / genre).iterdir())))
    trained = ["train.py", "data=folder", "data.root=music", "hydra.run.dir=runs/my_run", "data.clip_sec=1", *SMALL]
    run(trained, folder, draw=True)
    assert len(list((folder / "runs" / "my_run").glob("*.png"))) == 4
    return folder


def make_wav(path: Path, frequency: float) -> None:
    soundfile.write(path, tone(frequency, 3.3), 22050)


def run(arguments: list[str], folder: Path, project: Path = ROOT, *, draw: bool = False) -> str:
    """Run one of the project's scripts in a folder, in a process of its own, and return what it prints.

    Pictures of runs are drawn only where asked for: the tests look at those of the workshop and of a classical model.
    """
    script, *rest = arguments
    environment = {**os.environ, "GENRE_STORES": str(folder / "stores")}
    process = run_python([str(project / script), *rest], folder, environment, imported=project == ROOT, draw=draw)
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


@pytest.mark.parametrize("line", commands("python train.py"))
def test_training_commands_of_the_readme(line: str, workshop: Path) -> None:
    arguments = shlex.split(line)[1:]
    if arguments[1] in ("--help", "--cfg"):
        assert "mini_vgg" in run(arguments, workshop).lower()
        return
    before = set(workshop.rglob("metrics.json"))
    given = {argument.partition("=")[0] for argument in arguments}
    small = [setting for setting in SMALL if setting.partition("=")[0] not in given]
    for choice in NARROW.keys() & set(arguments):
        small = [setting for setting in small if not setting.startswith("model.")] + list(NARROW[choice])
    if "ckpt" in given:
        small = []
    elif not any(argument.startswith("data.root=") for argument in arguments):
        small += ["data=folder", "data.root=music"]
    if "ckpt" not in given and "data=gtzan" not in arguments and "data.clip_sec" not in given:
        small.append("data.clip_sec=1")
    shorter = {
        "data.clip_sec=3": "data.clip_sec=1",
        "data.clip_sec=5": "data.clip_sec=1",
        "data.hop_sec=2.5": "data.hop_sec=0.5",
        "seed=0,1,2": "seed=0,1",
    }
    arguments = [shorter.get(argument, argument) for argument in arguments]  # the music of this test lasts 2.2 s
    if "launcher=joblib" in arguments:
        small.append("data.store_dir=stores of joblib")
    run([*arguments, *small], workshop)
    made = set(workshop.rglob("metrics.json")) - before
    if "resume=true" in arguments:  # the line before it has finished its jobs
        assert not made
        return
    if "-m" not in arguments:
        wanted = 1
    elif "protocol.fold=range(5)" in arguments:
        wanted = 5
    else:
        wanted = 2 if "seed=0,1" in arguments else 3
    assert len(made) == wanted
    for path in made:
        assert 0 <= json.loads(path.read_text())["test"]["track_accuracy"] <= 1
    if "launcher=joblib" in arguments:
        check_jobs_side_by_side(sorted(path.parent for path in made))


def check_jobs_side_by_side(runs: list[Path]) -> None:
    """Jobs of a multirun prepared their clips once, shared the cores, and are one line of its table."""
    logs = [(run / "run.log").read_text() for run in runs]
    assert sum(len(re.findall(r"prepared \d+ clips of 15 tracks", log)) for log in logs) == 1
    threads = [int(re.search(r"this job computes with (\d+) of \d+ cores", log)[1]) for log in logs]
    assert sum(threads) <= max(2, len(os.sched_getaffinity(0)))
    assert [json.loads((run / "metrics.json").read_text())["seed"] for run in runs] == [0, 1]
    with (runs[0].parent / "leaderboard.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert (row["runs"], row["seeds"]) == ("2", "0 1")


@pytest.fixture(scope="module")
def feature_table(workshop: Path) -> Path:
    """The table of features that the README speaks of: of three tracks a genre, one on each fault-filtered side."""
    import numpy as np

    from genre.features.handcrafted import FEATURE_NAMES

    rng = np.random.default_rng(0)
    path = workshop / "features_30_sec.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["filename", "length", *FEATURE_NAMES, "label"])
        for file in sorted((workshop / "gtzan").rglob("*.wav")):
            genre = file.parent.name
            writer.writerow([file.name, 661794, *rng.normal(GENRES.index(genre), 1, len(FEATURE_NAMES)), genre])
    return path


@pytest.mark.usefixtures("feature_table")
@pytest.mark.parametrize("line", commands("python sweep_classical.py"))
def test_classical_commands_of_the_readme(line: str, workshop: Path) -> None:
    arguments = shlex.split(line)[1:]
    before = set(workshop.rglob("metrics.json"))
    small = ["logger=none", "search.jobs=1"]
    if not any(argument.startswith("data=features_csv") for argument in arguments):
        small.append("data.clip_sec=1")
    if "-m" in arguments and not any(argument.startswith("classifier=") for argument in arguments):
        small += ["transform=none,pca", "classifier=ridge,knn", "classifier.grid={}"]
    if not any(argument.startswith("data=") for argument in arguments):
        small += ["data=folder", "data.root=music"]
    draw = "-m" not in arguments
    run([*arguments, *small], workshop, draw=draw)
    made = set(workshop.rglob("metrics.json")) - before
    assert len(made) >= (2 if "-m" in arguments else 1)
    for path in made:
        assert len(list(path.parent.glob("*.png"))) == (7 if draw else 0)
        assert 0 <= json.loads(path.read_text())["test"]["track_accuracy"] <= 1


MODULES = {
    "genre.data.duplicates": ("15 files, 0 pairs", "duplicates.csv"),
    "genre.evaluation.leaderboard": ("| mini_vgg", "leaderboard.csv"),
    "genre.evaluation.report": ("report.html", "runs/my_run/report.html"),
}
"""Module -> what it prints of the workshop's music and run, and what it writes."""


@pytest.mark.parametrize("line", commands("python -m genre."))
def test_module_commands_of_the_readme(line: str, workshop: Path) -> None:
    (workshop / "sweeps").mkdir(exist_ok=True)
    arguments = shlex.split(line)[1:]
    printed, written = MODULES[arguments[1]]
    (workshop / written).unlink(missing_ok=True)
    done = run_python(arguments, workshop)
    assert done.returncode == 0, done.stderr
    assert printed in done.stdout
    assert (workshop / written).is_file()


@pytest.mark.parametrize("line", commands("python infer.py"))
def test_listening_commands_of_the_readme(line: str, workshop: Path) -> None:
    arguments = shlex.split(line)[1:]
    if "devices=true" in arguments:  # which devices there are depends on the machine
        return
    shutil.copytree(workshop / "runs" / "my_run", workshop / "runs" / "other", dirs_exist_ok=True)
    for argument in arguments[1:]:
        if Path(argument).suffix in (".mp3", ".wav") and "=" not in argument.partition(" ")[0]:
            soundfile.write(workshop / argument, tone(440, 2.2), 22050)
    soundfile.write(workshop / "song.wav", tone(440, 2.2), 22050)
    arguments = ["input=stream:song.wav" if argument == "input=mic" else argument for argument in arguments]
    printed = run([*arguments, "hydra.run.dir=heard"], workshop)
    assert "high" in printed or "unsure" in printed or "model.pt2" in printed
    if "plot=timeline" in arguments:
        assert list((workshop / "heard").glob("*.timeline.png"))


def test_tensorboard_is_installed() -> None:
    tensorboard = shutil.which("tensorboard", path=str(Path(sys.executable).parent))
    assert tensorboard is not None
    shown = subprocess.run([tensorboard, "--version"], capture_output=True, text=True, check=True)
    assert re.match(r"\d+\.\d+", shown.stdout)


def test_documents_named_in_the_readme_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert (ROOT / target).exists(), target


def python_blocks(document: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(encoding="utf-8"), flags=re.DOTALL)


def test_python_of_the_readme_names_the_genre_of_a_file(workshop: Path) -> None:
    [code] = python_blocks("README.md")
    soundfile.write(workshop / "song.mp3", tone(440, 2.2), 22050)
    done = run_python(["-c", code], workshop)
    assert done.returncode == 0, done.stderr
    assert re.search(r"\{'high': \S+, 'low': \S+, 'middle': \S+\}\n\[0. 1.\]", done.stdout)


def test_a_model_of_ones_own_is_trained_and_used_as_the_document_says(
    workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "docs" / "MODELS.md").read_text(encoding="utf-8")
    [code], [settings] = python_blocks("docs/MODELS.md"), re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    [entry] = re.findall(r'a line `("MyNet": "[a-z_.]+")` in `MODELS`', text)
    own = tmp_path / "own"
    for part in ("genre", "conf"):
        shutil.copytree(ROOT / part, own / part, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("train.py", "infer.py", "pyproject.toml"):
        shutil.copy(ROOT / file, own / file)
    (own / "genre/models/my_net.py").write_text(code)
    (own / "conf/model/my_net.yaml").write_text(settings)
    registry = own / "genre/models/registry.py"
    registry.write_text(registry.read_text().replace("MODELS = {\n", f"MODELS = {{\n    {entry},\n"))
    monkeypatch.setenv("PYTHONPATH", str(own))
    [line] = re.findall(r"`python (train.py model=my_net [^`]*)`", text)
    small = "data=folder data.root=music data.clip_sec=1 trainer.max_epochs=1 logger=none hydra.run.dir=runs/own"
    run([*line.split(), *small.split()], workshop, own)
    printed = run(["infer.py", "ckpt=runs/own/best.ckpt", "music/high/high.0.0.wav"], workshop, own)
    assert set(json.loads(printed)["probabilities"]) == {"high", "low", "middle"}
