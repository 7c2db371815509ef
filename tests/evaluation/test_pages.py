"""The page of a run and of a sweep: what is on it, and that a browser shows it well."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import soundfile
from matplotlib.image import imsave
from tunes import tune

from genre.errors import GenreError
from genre.evaluation import html
from genre.evaluation.hardest import HardClip, hardest, read_hardest, write_hardest
from genre.evaluation.leaderboard import leaderboard, read_runs, write_leaderboard
from genre.evaluation.pages import MOST_PAIRS, PAGE_FILE, best_run, differences, write_page
from genre.evaluation.predictions import Predictions
from genre.evaluation.report import RunInfo, main, write_run
from genre.evaluation.resampling import ON_RESAMPLES

VOID = {"meta", "link", "img", "line", "polyline", "circle"}
AWKWARD = "folder/<script>alert('&')</script> a_very_long_name_without_any_space_in_it_" + "x" * 80 + ".wav"


def info(**changes) -> RunInfo:
    facts = RunInfo("artist", False, "mini_vgg", 0, 82_106, 12.5, "music", "", "0.1.0")
    return replace(facts, config_hash=str(sorted(changes.items())), **changes)


def sound() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, tune(0.5, seed=0), 22050, format="FLAC")
    return file.getvalue()


def picture() -> bytes:
    file = io.BytesIO()
    imsave(file, np.random.default_rng(0).random((32, 40)), format="png")
    return file.getvalue()


def write_one(folder: Path, predictions: Predictions, **changes) -> None:
    """Write a run with all that can be on its page, but for the pictures that it does not show itself."""
    history = {
        f"{side}/{what}": [(epoch, 1 / epoch) for epoch in range(1, 8)]
        for side in ("train", "val")
        for what in ("loss", "clip_accuracy", "track_accuracy")
    }
    with mock.patch("genre.evaluation.report._write_pictures"):
        write_run(folder, info=info(**changes), val=predictions, test=predictions, history=history, n_bootstrap=100)
    (folder / "reliability.png").write_bytes(picture())
    clips = [replace(clip, sound=sound(), spectrogram=picture()) for clip in hardest(predictions)]
    gone = HardClip(AWKWARD, 3.0, "blues", "jazz", 0.9, fault="the file is gone & <lost>")
    write_hardest(folder, [*clips[:-1], gone])
    (folder / "command.txt").write_text("python train.py model=mini_vgg 'data.root=a < b'\n")
    (folder / "config.yaml").write_text("seed: 0\nname: '<b>'\n")
    (folder / "run.log").write_text(
        "2025-01-01 10:00:00 data other: 9 tracks, 9 clips, 3 classes; protocol track: tracks in 3 train\n"
        "2025-01-01 10:00:00 note: this is of an earlier run in this folder\n"
        "2026-01-01 10:00:00 data music: 9 tracks, 9 clips, 3 classes; protocol track: tracks in 3 train\n"
        "2026-01-01 10:00:00 note: no artists are known\n2026-01-01 10:00:01 epoch 1\n"
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, make_predictions) -> Path:
    folder = tmp_path_factory.mktemp("pages") / "run"
    labels = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
    write_one(folder, make_predictions(60, labels=labels))
    write_page(folder)
    return folder


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory, make_predictions) -> Path:
    """Two models of two seeds, one run that leaks, and one that failed."""
    folder = tmp_path_factory.mktemp("pages") / "sweep"
    for model, signal in (("mini_vgg", 1.0), ("resnet34_fusion", 2.0)):
        for seed in (0, 1):
            predictions = make_predictions(signal=signal, seed=seed)
            write_one(folder / f"{model}{seed}", predictions, model=model, seed=seed)
    write_one(folder / "leaked", make_predictions(signal=5.0), protocol="clip_random", leaky=True)
    (folder / "lost").mkdir()
    (folder / "lost" / "failed.txt").write_text("seed=-1 is not a whole number\n")
    write_leaderboard(folder, leaderboard(read_runs([folder]).runs))
    (folder / "leaderboard.png").write_bytes(picture())
    (folder / "differences.csv").write_text(
        "one,other,difference,verdict\nmini_vgg,resnet34_fusion,-0.212345,beyond noise\n"
    )
    write_page(folder)
    return folder


class Outline(HTMLParser):
    """Checks that elements are closed in order, and collects what is asked about them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += "" if self.open and self.open[-1] == "style" else data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def read(folder: Path) -> Outline:
    return Outline((folder / PAGE_FILE).read_text(encoding="utf-8"))


# --- the hardest clips ----------------------------------------------------------------------------------------------


def test_what_the_interval_of_a_run_does_not_know_is_said_beside_it(run) -> None:
    assert ON_RESAMPLES in read(run).words


def test_the_hardest_clips_are_the_most_confident_mistakes_one_a_track(make_predictions) -> None:
    predictions = make_predictions(signal=0.5)
    clips = hardest(predictions, most=5)
    assert len(clips) == len({clip.track for clip in clips}) == 5
    assert all(clip.label != clip.predicted for clip in clips)
    assert [clip.probability for clip in clips] == sorted((clip.probability for clip in clips), reverse=True)
    wrong = predictions.confidence[~predictions.correct]
    assert clips[0].probability == wrong.max()
    assert hardest(make_predictions(signal=100.0)) == []


def test_hard_clips_are_read_as_they_were_written(tmp_path: Path) -> None:
    clips = [
        HardClip("a,b.wav", 1.5, "jazz", "pop", 0.75, sound=b"flac", spectrogram=b"png"),
        HardClip(AWKWARD, 0.0, "pop", "jazz", 0.5, fault="gone"),
    ]
    assert read_hardest(tmp_path) is None
    write_hardest(tmp_path, clips)
    assert read_hardest(tmp_path) == clips
    write_hardest(tmp_path, [])
    assert read_hardest(tmp_path) == []
    assert [path.name for path in (tmp_path / "hardest").iterdir()] == ["clips.csv"]


# --- what is on a page ----------------------------------------------------------------------------------------------


def test_a_run_is_told_whole(run: Path) -> None:
    page = read(run)
    assert "earlier run" not in page.words
    for words in ("mini_vgg on music", "protocol artist", "82,106", "12.5 s", "no artists are known"):
        assert words in page.words
    headings = re.findall(r"<h2>(.*?)</h2>", (run / PAGE_FILE).read_text())
    assert headings == ["Training", "Genres", "The hardest clips", "More pictures", "Settings"]
    assert len(page.all("svg")) == 2
    assert len(page.all("audio")) == 7
    assert "Cannot be heard: the file is gone & <lost>" in page.words
    assert "python train.py model=mini_vgg 'data.root=a < b'" in page.words
    assert "leak" not in page.words.lower()


def test_names_are_never_taken_for_markup(run: Path) -> None:
    page = read(run)
    assert page.all("script") == page.all("b") == []
    assert AWKWARD in page.words


def test_a_page_needs_nothing_else_and_says_what_pictures_show(run: Path, sweep: Path) -> None:
    for page in map(read, (run, sweep)):
        for tag in ("img", "audio"):
            assert all(element["src"].startswith("data:") for element in page.all(tag))
        assert all(element["href"] == "data:," for element in page.all("link"))
        assert all(element["alt"] for element in page.all("img"))
        assert all(element["aria-label"] for tag in ("audio", "svg") for element in page.all(tag))
        assert page.all("html") == [{"lang": "en"}]
        assert len(page.all("h1")) == len(page.all("main")) == 1
        assert all("scope" in element for element in page.all("th"))
        (policy,) = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv")]
        assert policy.startswith("default-src 'none'")


def test_a_sweep_has_a_leaderboard_a_warning_failures_and_every_run(sweep: Path) -> None:
    page = read(sweep)
    assert "5 runs, 1 failed" in page.words
    assert "lost: seed=-1 is not a whole number" in page.words
    assert "Leaked protocol: training has heard the recordings it is tested on (protocol clip_random)" in page.words
    assert "music, protocol clip_random (LEAKED: do not compare with other tables)" in page.words
    assert "resnet34_fusion-0.212beyond noise" in page.words
    assert sum("mini_vgg, artist, seed" in line for line in page.words.splitlines()) == 2
    assert "of resnet34_fusion0, the run that was best on validation" in page.words or (
        "of resnet34_fusion1, the run that was best on validation" in page.words
    )
    assert any(image["alt"] == "Test track accuracy of the runs" for image in page.all("img"))


def test_the_best_run_is_an_honest_one(sweep: Path) -> None:
    runs = read_runs([sweep]).runs
    assert best_run(runs).info.model == "resnet34_fusion"
    assert best_run([run for run in runs if run.info.leaky]).info.leaky
    assert best_run([]) is None


def test_a_leaked_run_has_the_warning(sweep: Path) -> None:
    write_page(sweep / "leaked")
    page = read(sweep / "leaked")
    (banner,) = [attributes for attributes in page.all("p") if attributes.get("class") == "leak"]
    assert banner["role"] == "note"
    assert "These figures say nothing about new music" in page.words


def test_a_run_of_which_little_is_left_has_a_page(tmp_path: Path, make_predictions) -> None:
    with mock.patch("genre.evaluation.report._write_pictures"):
        write_run(tmp_path, info=info(), val=make_predictions(), test=None, n_bootstrap=100)
    for path in tmp_path.glob("*.csv"):
        path.unlink()
    write_page(tmp_path)
    words = read(tmp_path).words
    assert "The predictions of this run are not in" in words
    assert "was not kept" in words


def test_many_pictures_do_not_make_the_page_too_large(sweep: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(sweep, tmp_path / "sweep")
    for number in range(4):
        (folder / f"protocols_{number}.png").write_bytes(picture() + bytes(1_000_000))
    write_page(folder)
    assert (folder / PAGE_FILE).stat().st_size < 5_000_000
    assert f"protocols_3.png is in {folder}" in read(folder).words


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_command_writes_the_page_again(run: Path, sweep: Path, capsys) -> None:
    before = (run / PAGE_FILE).read_bytes()
    (run / PAGE_FILE).unlink()
    assert main([str(run)]) == 0
    assert capsys.readouterr().out.strip() == str(run / PAGE_FILE)
    assert (run / PAGE_FILE).read_bytes() == before
    process = subprocess.run(
        [sys.executable, "-m", "genre.evaluation.report", sweep], capture_output=True, text=True, check=True
    )
    assert process.stderr == ""


@pytest.mark.parametrize("arguments", [["nowhere"], ["."], []])
def test_the_command_says_what_is_wrong(tmp_path: Path, monkeypatch, arguments: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GenreError, match=r"no folder nowhere|no metrics.json in|arguments are required"):
        main(arguments)


# --- drawing --------------------------------------------------------------------------------------------------------


def test_ticks_are_round_and_inside() -> None:
    assert html.ticks(0.0, 1.0) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert html.ticks(1, 2, whole=True) == [1.0, 2.0]
    assert html.ticks(0.013, 0.029) == [0.015, 0.02, 0.025]
    assert html.ticks(-250.0, 420.0) == [-200.0, 0.0, 200.0, 400.0]


def test_a_single_point_and_a_flat_line_can_be_drawn() -> None:
    for points in ([[1.0, 0.5]], [[1.0, 0.5], [2.0, 0.5]]):
        drawing = html.curves("loss", [html.Curve("train loss", "train", np.array(points))])
        assert "nan" not in drawing
        assert ("<circle" in drawing) == (len(points) == 1)


# --- in a browser ---------------------------------------------------------------------------------------------------

WIDTHS = (390, 1280)
PROBE = """<!doctype html><title>waiting</title><body><script>
const pages = PAGES, seen = [];
async function look(source, width) {
  const frame = document.createElement("iframe");
  frame.style = `width: ${width}px; height: 844px; border: 0`;
  frame.srcdoc = source;
  const loaded = new Promise(done => frame.onload = done);
  document.body.append(frame);
  await loaded;
  const page = frame.contentDocument, all = kind => [...page.querySelectorAll(kind)];
  all("details").forEach(one => one.open = true);
  await Promise.all(all("audio").map(
    one => one.readyState > 0 || one.error || new Promise(done => one.onloadedmetadata = one.onerror = done)));
  const outside = all("main *").filter(one => !one.closest(".scroll, pre, svg"));
  return {
    width: frame.contentWindow.innerWidth,
    scroll: page.documentElement.scrollWidth,
    widest: Math.ceil(Math.max(...outside.map(one => one.getBoundingClientRect().right))),
    images: all("img").every(one => one.complete && one.naturalWidth > 0),
    sounds: all("audio").length > 0 && all("audio").every(one => one.duration > 0),
    styled: getComputedStyle(page.querySelector(".cards")).display,
  };
}
(async () => {
  for (const source of pages) for (const width of WIDTHS) seen.push(await look(source, width));
  document.title = JSON.stringify(seen);
})();
</script>"""


@pytest.fixture(scope="module")
def browser() -> str:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    return found


def test_a_browser_shows_pages_without_errors_and_without_scrolling_sideways(
    run: Path, sweep: Path, tmp_path: Path, browser: str
) -> None:
    pages = json.dumps([(folder / PAGE_FILE).read_text(encoding="utf-8") for folder in (run, sweep)])
    probe = PROBE.replace("PAGES", pages.replace("</", "<\\/")).replace("WIDTHS", str(list(WIDTHS)))
    (tmp_path / "probe.html").write_text(probe, encoding="utf-8")
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--virtual-time-budget=20000")
    process = subprocess.run(
        [browser, *flags, f"--user-data-dir={tmp_path}/profile", "--dump-dom", (tmp_path / "probe.html").as_uri()],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert "CONSOLE" not in process.stderr
    seen = json.loads(next(iter(re.findall("<title>(.*?)</title>", process.stdout))))
    assert [one["width"] for one in seen] == [*WIDTHS, *WIDTHS]
    for one in seen:
        assert one["scroll"] <= one["width"]
        assert one["widest"] <= one["width"]
        assert one["styled"] == "grid"
        assert one["images"]
        assert one["sounds"]


def test_of_very_many_pairs_those_with_the_best_model_and_the_clearest_others_are_shown(tmp_path: Path) -> None:
    rows = [
        f"music,artist,false,m{a:02},m{b:02},{0.5 if a == 0 else (b - a) / 100}"
        for a in range(40)
        for b in range(a + 1, 40)
    ]
    path = tmp_path / "differences.csv"
    path.write_text("\n".join(["dataset,protocol,leaky,a,b,p", *rows]))
    page = differences(tmp_path)
    assert page.count("<tr>") == 1 + MOST_PAIRS
    assert "200 of 780 pairs" in page
    assert "All are in differences.csv" in page
    pairs = re.findall(r"m(\d\d)\s+m(\d\d)", re.sub(r"<[^>]+>", " ", page))
    assert len(pairs) == MOST_PAIRS
    assert pairs == sorted(pairs)
    assert pairs[:39] == [("00", f"{number:02}") for number in range(1, 40)]
    assert max(int(b) - int(a) for a, b in pairs[39:]) == 5  # 38 + 37 + 36 + 35 pairs are closer
    path.write_text("\n".join(["dataset,protocol,leaky,a,b,p", *rows[:MOST_PAIRS]]))
    assert "pairs:" not in differences(tmp_path)
