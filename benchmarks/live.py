# ruff: noqa: E402  the number of threads is set before the libraries are loaded
"""Times live classification on one core: latency, real-time factor, memory over half an hour, and time to start.

    python benchmarks/live.py
    python benchmarks/live.py --ckpt runs/my_run/best.ckpt --denoise berouti

Without a checkpoint it takes an untrained mini_vgg of the default settings, which costs as much as a trained one. The
music is composed; a thread writes it into the ring buffer in blocks of 10 ms, as a microphone would.

- latency: in real time, from the arrival of a window's last sample in the ring buffer to the verdict; what the denoiser
  has to wait for (its frame) is part of it
- real-time factor: processor time of the whole process for a second of sound, as fast as it goes
- half an hour: resident memory after 2, 10, 20 and 30 minutes of sound, and blocks that were lost
- start: from starting ``python infer.py`` to the first verdict, beyond the window itself
"""

from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_variable] = "1"

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import soundfile
import torch
from machine import machine

from genre.data.clips import ClipSpec
from genre.features.spectrogram import LogMel
from genre.inference.denoise import Denoiser, NoDenoising, SpectralSubtraction
from genre.inference.gating import NoiseReduce
from genre.inference.intake import Intake
from genre.inference.predictor import Predictor, load_predictor
from genre.inference.session import Books, Moment, Session
from genre.inference.sources import FileSource
from genre.inference.stream import LiveClassifier, LiveSettings

TARGET_LATENCY_MS, TARGET_FACTOR, TARGET_START_SEC = 60.0, 0.05, 4.0
DENOISERS: dict[str, Callable[[int], Denoiser]] = {
    "none": NoDenoising,
    "spectral_subtraction": SpectralSubtraction,
    "berouti": lambda rate: SpectralSubtraction(rate, rule="power"),
    "noisereduce": NoiseReduce,
}


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="live-") as scratch:
        folder = Path(scratch)
        ckpt = arguments.ckpt or _untrained(folder / "untrained.ckpt")
        predictor = load_predictor([ckpt])
        rate = predictor.clips.sample_rate
        predictor.probabilities(np.zeros((1, predictor.clips.length), np.float32))
        song = _song(folder / "song.wav", arguments.seconds, rate)
        half_hour = _song(folder / "half_hour.wav", 60.0 * arguments.minutes, rate)
        report: dict[str, Any] = {
            "machine": {**machine(), "load": os.getloadavg()[0], "torch": torch.__version__},
            "model": predictor.name,
            "denoise": arguments.denoise,
            "latency": _latency(predictor, arguments.denoise, song),
            "stream": _stream(predictor, arguments.denoise, half_hour),
            "start": [_start(ckpt, arguments.denoise, song, predictor) for _ in range(arguments.starts)],
        }
    _show(report)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"\nwritten: {arguments.json}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("json", nargs="?", type=Path, default=Path("runs/benchmarks/live.json"), help="JSON to write")
    parser.add_argument("--ckpt", type=Path, help="model (default: an untrained mini_vgg)")
    parser.add_argument("--denoise", default="spectral_subtraction", choices=DENOISERS, help="(default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the run in real time (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=30.0, help="of the long run (default: %(default)s)")
    parser.add_argument("--starts", type=int, default=3, help="times to start infer.py (default: %(default)s)")
    return parser.parse_args()


def _untrained(path: Path) -> Path:
    """Write the checkpoint of an untrained default network."""
    from pytorch_lightning import Trainer

    from genre.models.mini_vgg import MiniVGG

    labels = [f"genre {number}" for number in range(10)]
    model = MiniVGG(labels=labels, frontend=LogMel().settings(), clips=ClipSpec().settings())
    trainer = Trainer(logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu")
    trainer.strategy.connect(model)
    trainer.save_checkpoint(path)
    return path


def _song(path: Path, seconds: float, rate: int) -> Path:
    """Write notes of a quarter of a second over a hiss."""
    random = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", rate, 1) as file:
        while seconds > 0:
            file.write(_part(random, min(seconds, 60.0), rate))
            seconds -= 60.0
    return path


def _part(random: np.random.Generator, seconds: float, rate: int) -> NDArray[np.float32]:
    at = np.arange(round(seconds * rate)) / rate
    pitch = 110 * 2 ** (random.integers(0, 36, int(seconds * 4) + 1) / 12)
    phase = 2 * np.pi * np.cumsum(pitch[(at * 4).astype(int)]) / rate
    wave = sum(np.sin(k * phase) / k for k in (1, 2, 3, 4))
    return (0.15 * wave + 0.01 * random.standard_normal(at.size)).astype(np.float32)


def _listen(
    predictor: Predictor,
    denoise: str,
    path: Path,
    *,
    real_time: bool,
    on_moment: Callable[[Moment], None] = lambda moment: None,
) -> tuple[Books, int]:
    """Listen to a file; return the books and the denoiser's delay in samples."""
    denoiser = DENOISERS[denoise](predictor.clips.sample_rate)
    with FileSource(path, real_time=real_time) as source:
        intake = Intake(source.sample_rate, predictor.clips.sample_rate, denoiser)
        classifier = LiveClassifier(predictor, LiveSettings())
        books = Session(source, intake, classifier, on_verdict=lambda verdict: None, on_moment=on_moment).run()
    return books, denoiser.delay


def _latency(predictor: Predictor, denoise: str, song: Path) -> dict[str, float]:
    books, delay = _listen(predictor, denoise, song, real_time=True)
    return {
        "seconds": books.seconds,
        "verdicts": books.n_verdicts,
        "median_ms": 1000 * (books.latency(50) or 0.0),
        "p95_ms": 1000 * (books.latency(95) or 0.0),
        "worst_ms": 1000 * (books.latency(100) or 0.0),
        "denoiser_waits_up_to_ms": 1000 * delay / predictor.clips.sample_rate,
        "lost_seconds": books.lost_seconds,
    }


def _stream(predictor: Predictor, denoise: str, song: Path) -> dict[str, Any]:
    marks = [60.0 * minutes for minutes in (2, 10, 20, 30)]
    memory: dict[str, float] = {}

    def look(moment: Moment) -> None:
        if marks and moment.seconds >= marks[0]:
            memory[f"{marks.pop(0) / 60:g} min"] = _memory_mb()

    before = time.process_time()
    books, _ = _listen(predictor, denoise, song, real_time=False, on_moment=look)
    processor = time.process_time() - before
    hop = LiveSettings().hop_sec
    return {
        "seconds": books.seconds,
        "verdicts": books.n_verdicts,
        "verdicts_expected": int((books.seconds - predictor.clips.clip_sec) / hop) + 1,
        "lost_seconds": books.lost_seconds,
        "memory_mb": memory,
        "real_time_factor": processor / books.seconds,
    }


def _start(ckpt: Path, denoise: str, song: Path, predictor: Predictor) -> float:
    """Return the seconds from starting the command to the first verdict, beyond the window."""
    command = [
        sys.executable,
        str(ROOT / "infer.py"),
        f"ckpt={ckpt}",
        f"input=stream:{song}",
        "live.real_time=true",
        f"denoise={denoise}",
        "format=json",
        f"hydra.run.dir={song.parent / 'session'}",
    ]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    seconds = time.perf_counter() - began
    process.kill()
    process.wait()
    return seconds - predictor.clips.clip_sec


def _memory_mb() -> float:
    """Return the resident memory of this process in MB; 0 where not known."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def _show(report: dict[str, Any]) -> None:
    latency, stream, start = report["latency"], report["stream"], float(np.median(report["start"]))
    print(f"{report['model']}, denoise={report['denoise']}, one thread, {report['machine']['cpu']}")
    print(f"load of the machine when it began: {report['machine']['load']:.1f}\n")
    rows = [
        ("latency, median", f"{latency['median_ms']:.0f} ms", ""),
        ("latency, p95", f"{latency['p95_ms']:.0f} ms", f"{TARGET_LATENCY_MS:g} ms"),
        ("  of it the denoiser's frame, at most", f"{latency['denoiser_waits_up_to_ms']:.0f} ms", ""),
        ("processor time a second of sound", f"{stream['real_time_factor']:.4f}", f"{TARGET_FACTOR:g}"),
        ("verdicts of the long run", f"{stream['verdicts']} of {stream['verdicts_expected']}", ""),
        ("sound lost", f"{latency['lost_seconds'] + stream['lost_seconds']:g} s", "0 s"),
        ("start to first verdict, beyond the window", f"{start:.1f} s", f"{TARGET_START_SEC:g} s"),
    ]
    for name, value, target in rows:
        print(f"{name:44}{value:>16}{'   at most ' + target if target else ''}")
    memory = ", ".join(f"{mb:.1f} after {when}" for when, mb in stream["memory_mb"].items())
    print(f"resident memory in MB: {memory}")


if __name__ == "__main__":
    main()
