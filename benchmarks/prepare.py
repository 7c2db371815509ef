"""Times the whole preparation of tracks: decode, resample, cut, 57 features, log-mel spectrogram, write.

    python benchmarks/prepare.py
    python benchmarks/prepare.py --format mp3 --rate 44100

It composes its own tracks of 30 s. Every timed run is a process of its own that begins with an empty store; starting
the workers counts, compiling does not (it happens once a machine). Wall time is what a user waits; processor time, that
of all processes together, tells the same on a busy machine. Then one process and one thread prepare the tracks with a
clock around every stage. A table goes to the screen, everything to a JSON file, and the stages to a PNG beside it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from genre.data import building, parts, preparation, store
from genre.data.clips import ClipSpec
from genre.data.store import SourceFile, prepare
from genre.features import extract as extraction
from genre.features.spectrogram import LogMel

TARGET_MS = 7.0
GTZAN_CLIPS = 10_000
CLIPS = ClipSpec()


@dataclass(frozen=True)
class Run:
    """One preparation: wall time, processor time and largest memory of all its processes together."""

    tracks: int
    jobs: int
    clips: int
    seconds: float
    cpu_seconds: float
    peak_mb: float

    @property
    def ms_per_clip(self) -> float:
        """Wall time a clip."""
        return 1e3 * self.seconds / self.clips


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="prepare-") as scratch:
        folder = Path(scratch)
        counts = sorted({arguments.tracks, *arguments.memory})
        tracks = _compose(folder / "tracks", counts[-1], arguments)
        _in_new_process(_warm_up)
        runs = [
            _prepared(folder, tracks[: arguments.tracks], jobs)
            for _ in range(arguments.rounds)
            for jobs in (1, arguments.jobs)
        ]
        memory = [_prepared(folder, tracks[:count], arguments.jobs) for count in counts]
        stages = _in_new_process(_stages, folder / "stages", tracks[: arguments.tracks])
    report = {
        "machine": machine(),
        "tracks": {"seconds": arguments.seconds, "format": arguments.format, "sample_rate": arguments.rate},
        "runs": [{**asdict(run), "ms_per_clip": run.ms_per_clip} for run in runs],
        "memory": [asdict(run) for run in memory],
        "stages_ms_per_clip": stages,
    }
    _show(runs, memory, stages)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    picture = arguments.json.with_suffix(".png")
    _draw(stages, arguments.jobs, _median(runs, arguments.jobs), picture)
    print(f"\nwritten: {arguments.json} and {picture}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "json", nargs="?", type=Path, default=Path("runs/benchmarks/prepare.json"), help="JSON to write"
    )
    parser.add_argument("--tracks", type=int, default=100, help="tracks to prepare (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=30.0, help="of a track (default: %(default)s)")
    parser.add_argument("--format", default="wav", choices=("wav", "flac", "mp3", "ogg"), help="(default: %(default)s)")
    parser.add_argument("--rate", type=int, default=22050, help="sample rate in Hz (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each kind (default: %(default)s)")
    parser.add_argument(
        "--memory", type=int, nargs="*", default=[25, 100, 200], help="numbers of tracks to compare the peak memory of"
    )
    return parser.parse_args()


def _compose(folder: Path, count: int, arguments: argparse.Namespace) -> list[SourceFile]:
    """Write tracks of chords, beats and noise."""
    import soundfile

    folder.mkdir()
    tracks = []
    for number in range(count):
        path = folder / f"{number:04d}.{arguments.format}"
        soundfile.write(path, _music(number, arguments.seconds, arguments.rate), arguments.rate)
        tracks.append(SourceFile(path.name, path))
    return tracks


def _music(seed: int, seconds: float, rate: int) -> NDArray[np.float32]:
    random = np.random.default_rng(seed)
    at = np.arange(round(seconds * rate), dtype=np.float32) / rate
    beat = 60.0 / random.uniform(70, 180)
    root = 110.0 * 2 ** (random.integers(0, 12) / 12)
    tones = sum(np.sin(2 * np.pi * root * ratio * at) / ratio for ratio in (1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0))
    swell = 1.0 + 0.5 * np.sin(2 * np.pi * at / (4 * beat))
    hit = np.exp(-30.0 * np.mod(at, beat)) * random.standard_normal(at.size, dtype=np.float32)
    noise = 0.01 * random.standard_normal(at.size, dtype=np.float32)
    sound: NDArray[np.float32] = np.clip(0.05 * tones * swell + 0.3 * hit + noise, -1, 1).astype(np.float32)
    return sound


def _in_new_process(function: Callable[..., Any], *arguments: Any) -> Any:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(function, *arguments).result()


def _warm_up() -> None:
    extraction.warm_up()


def _prepared(folder: Path, tracks: Sequence[SourceFile], jobs: int) -> Run:
    with tempfile.TemporaryDirectory(dir=folder) as stores:
        run: Run = _in_new_process(_run, Path(stores), tracks, jobs)
        return run


def _run(stores: Path, tracks: Sequence[SourceFile], jobs: int) -> Run:
    peak = 0.0

    def look(*_: int) -> None:
        nonlocal peak
        peak = max(peak, _peak_mb())

    before = _cpu_seconds()
    began = time.perf_counter()
    prepared = prepare(tracks, CLIPS, LogMel().settings(), store_dir=stores, jobs=jobs, progress=look)
    seconds = time.perf_counter() - began
    look()
    return Run(len(tracks), jobs, len(prepared), seconds, _cpu_seconds() - before, peak)


def _peak_mb() -> float:
    """Return the largest memory so far of this process and of those it started, added up, in MB; 0 where not known."""
    lines = [line for text in _of_all_processes("status") for line in text.splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def _cpu_seconds() -> float:
    """Return the processor time so far of the same processes in seconds; 0 where not known."""
    fields = [text.rpartition(")")[2].split() for text in _of_all_processes("stat")]
    return sum(int(field[11]) + int(field[12]) for field in fields) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def _of_all_processes(name: str) -> list[str]:
    """Return what Linux tells in the file ``name`` about this process and those it started."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    if not children.exists():
        return []
    files = [Path(f"/proc/{pid}/{name}") for pid in (os.getpid(), *children.read_text().split())]
    return [file.read_text() for file in files if file.exists()]


class Clock:
    """Adds up the time spent in functions."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def around(self, stage: str, module: Any, name: str) -> Iterator[None]:
        """Time every call of a module's function as part of ``stage`` inside the ``with`` block."""
        function = getattr(module, name)

        def timed(*arguments: Any, **options: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                self.seconds[stage] += time.perf_counter() - began

        setattr(module, name, timed)
        try:
            yield
        finally:
            setattr(module, name, function)


def _stages(stores: Path, tracks: Sequence[SourceFile]) -> dict[str, float]:
    """Prepare the tracks in one process and return the time of every stage in ms a clip."""
    extraction.warm_up()
    clock = Clock()
    with (
        clock.around("hash of the file", store, "_look_at"),
        clock.around("decode", preparation, "decode"),
        clock.around("health, hash of the samples", preparation, "check"),
        clock.around("health, hash of the samples", preparation, "content_hash"),
        clock.around("resample", preparation, "resample"),
        clock.around("extract", extraction, "extract"),
        clock.around("track", parts, "prepare_track"),
        clock.around("part", parts, "prepare_part"),
        clock.around("put together", building, "_assemble"),
    ):
        run = _run(stores, tracks, 1)
    spent = clock.seconds
    alone = _logmel_alone(tracks[:20])
    extract, track, part = (spent.pop(name) for name in ("extract", "track", "part"))
    inside = sum(spent[name] for name in ("decode", "health, hash of the samples", "resample"))
    per_clip = {
        "hash of the file": spent["hash of the file"],
        "decode": spent["decode"],
        "health, hash of the samples": spent["health, hash of the samples"],
        "resample": spent["resample"],
        "log-mel": alone * run.clips,
        "57 features, beyond the log-mel": extract - alone * run.clips,
        "cut, check the values": track - inside - extract,
        "write": part - track,
        "put together": spent["put together"],
        "all else": run.seconds - part - spent["hash of the file"] - spent["put together"],
    }
    return {stage: 1e3 * seconds / run.clips for stage, seconds in per_clip.items()}


def _logmel_alone(tracks: Sequence[SourceFile]) -> float:
    """Return the seconds a clip that the log-mel spectrogram takes by itself."""
    from genre.audio.decode import load

    times = []
    for source in tracks:
        clips, _ = CLIPS.cut(load(source.path, CLIPS.sample_rate))
        began = time.perf_counter()
        LogMel().compute(clips, CLIPS.sample_rate)
        times.append((time.perf_counter() - began) / len(clips))
    return statistics.median(times)


def _median(runs: Sequence[Run], jobs: int) -> float:
    return statistics.median(run.ms_per_clip for run in runs if run.jobs == jobs)


def _show(runs: Sequence[Run], memory: Sequence[Run], stages: dict[str, float]) -> None:
    print(f"{'processes':>9} {'tracks':>7} {'clips':>6} {'seconds':>8} {'ms a clip':>10} {'cpu ms':>7}   10 000 clips")
    for jobs in sorted({run.jobs for run in runs}):
        median = _median(runs, jobs)
        run = min((run for run in runs if run.jobs == jobs), key=lambda run: abs(run.ms_per_clip - median))
        whole, cpu = GTZAN_CLIPS * median / 1e3, 1e3 * run.cpu_seconds / run.clips
        print(f"{jobs:9d} {run.tracks:7d} {run.clips:6d} {run.seconds:8.2f} {median:10.2f} {cpu:7.2f}   {whole:.0f} s")
    print("\npeak memory of all processes")
    for run in memory:
        print(f"{run.tracks:7d} tracks {run.peak_mb:7.0f} MB")
    print("\none process, one thread: ms a clip")
    for stage, ms in stages.items():
        print(f"{stage:>32} {ms:6.2f}  {100 * ms / sum(stages.values()):4.0f} %")
    print(f"{'in all':>32} {sum(stages.values()):6.2f}")


def _draw(stages: dict[str, float], jobs: int, parallel_ms: float, path: Path) -> None:
    """Draw where the time of one process goes, and what is left of it with several at work."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 3.6), layout="constrained")
    left = 0.0
    for (stage, ms), color in zip(stages.items(), plt.get_cmap("tab10")(range(10)), strict=False):
        axes.barh(1, ms, left=left, color=color, label=f"{stage}: {ms:.2f} ms")
        left += ms
    axes.barh(0, parallel_ms, color="0.6")
    axes.axvline(TARGET_MS, color="black", linestyle="--", linewidth=1)
    axes.annotate(f"{TARGET_MS:g} ms", (TARGET_MS, 0.5), textcoords="offset points", xytext=(4, 0), va="center")
    axes.set_yticks([0, 1], [f"{jobs} processes:\n{parallel_ms:.2f} ms of wall time", f"one process:\n{left:.2f} ms"])
    axes.set_xlim(right=1.15 * max(TARGET_MS, left, parallel_ms))  # room for the name of the line
    axes.set_xlabel("ms a clip of 3 s")
    axes.set_title("Preparation: where the time goes")
    figure.legend(loc="outside lower center", ncols=3, fontsize="small", frameon=False)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
