# ruff: noqa: E402  the number of threads is set before the libraries are loaded
"""Times the 57 features and the log-mel spectrogram side by side with other libraries, in one process and one thread.

    python benchmarks/features.py
    python benchmarks/features.py --audio ../shared/audio/gtzan_part --clips 16

Each round times every contender once on the same clip, one clip a call, one contender after the other, so that a busy
moment of the machine hits all alike; the figures are medians over rounds. Then one process and two at once compute the
features for some seconds. A table goes to the screen and everything to a JSON file.
"""

from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_variable] = "1"

import argparse
import importlib.util
import json
import multiprocessing
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from machine import machine
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from genre.features.dynamics import dynamics
from genre.features.extract import extract, warm_up
from genre.features.handcrafted import SAMPLE_RATE, handcrafted
from genre.features.spectrogram import LogMel

Clip = NDArray[np.float32]
OURS, REFERENCE = "genre", "librosa"


@dataclass(frozen=True)
class Timing:
    """How long one contender took for one clip, in ms, and how many times faster than librosa it was."""

    task: str
    contender: str
    median_ms: float
    fastest_ms: float
    speedup: float | None


def main() -> None:
    arguments = _arguments()
    clips = _recorded(arguments.audio, arguments.clips) if arguments.audio else _composed(arguments.clips)
    started = time.perf_counter()
    warm_up()
    first_call = time.perf_counter() - started
    timings = []
    for task, contenders in {
        "57 features": {OURS: _our_features, REFERENCE: _librosa_features},
        "log-mel": _logmel_contenders(),
        "log-mel and 57 features": {OURS: _our_both, REFERENCE: _librosa_both},
        "log-mel and 326 of dynamics": {OURS: _our_dynamics},
    }.items():
        timings += _side_by_side(task, contenders, clips, arguments.rounds)
    throughput = _processes(arguments.seconds)
    _show(timings, throughput, first_call)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    report = {
        "machine": machine(),
        "clips": {
            "count": len(clips),
            "seconds": len(clips[0]) / SAMPLE_RATE,
            "source": str(arguments.audio or "composed"),
        },
        "first_call_seconds": first_call,
        "timings": [asdict(timing) for timing in timings],
        "processes": throughput,
    }
    arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"\nwritten: {arguments.json}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "json", nargs="?", type=Path, default=Path("runs/benchmarks/features.json"), help="JSON to write"
    )
    parser.add_argument("--audio", type=Path, help="folder of recordings to take clips from; composed music otherwise")
    parser.add_argument("--clips", type=int, default=12, help="number of 3 s clips (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=36, help="times every contender runs (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=6.0, help="how long one and two processes run (default: %(default)s)"
    )
    return parser.parse_args()


def _composed(n_clips: int) -> list[Clip]:
    """Compose music-like clips: chords with overtones, a bass, drums in eighths, a little noise."""
    time_ = np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE
    clips = []
    for seed in range(n_clips):
        random = np.random.default_rng(seed)
        beat = 60.0 / random.uniform(70, 180)
        roots = 110.0 * 2 ** (random.integers(0, 12, 8) / 12)
        chord = (time_ / (2 * beat)).astype(int) % len(roots)
        phase = 2 * np.pi * np.cumsum(roots[chord]) / SAMPLE_RATE
        tones = sum(
            np.sin(h * ratio * phase) / h for ratio in (1.0, 2 ** (4 / 12), 2 ** (7 / 12), 0.5) for h in range(1, 7)
        )
        since = np.mod(time_, beat / 2)
        drum = np.exp(-since * 40) * random.normal(0, 1, time_.size)
        kick = np.exp(-np.mod(time_, beat) * 18) * np.sin(2 * np.pi * 60 * np.mod(time_, beat))
        sound = 0.08 * tones + 0.15 * drum + 0.4 * kick + random.normal(0, 0.003, time_.size)
        clips.append(np.clip(sound, -1, 1).astype(np.float32))
    return clips


def _recorded(folder: Path, n_clips: int) -> list[Clip]:
    """Take the middle 3 s of recordings spread over a folder."""
    from genre.audio.decode import load

    size = 3 * SAMPLE_RATE
    files = sorted(path for path in folder.rglob("*") if path.suffix in {".wav", ".flac", ".ogg", ".mp3", ".au"})
    clips: list[Clip] = []
    for path in files[:: max(1, len(files) // (2 * n_clips))]:
        samples = load(path, SAMPLE_RATE)
        if len(samples) >= size and len(clips) < n_clips:
            start = (len(samples) - size) // 2
            clips.append(np.ascontiguousarray(samples[start : start + size]))
    if not clips:
        raise SystemExit(f"{folder} has no recording of 3 s or more.")
    return clips


def _our_features(clip: Clip) -> object:
    return handcrafted(clip[np.newaxis])


def _our_both(clip: Clip) -> object:
    return extract(clip[np.newaxis], SAMPLE_RATE, LogMel())


def _our_dynamics(clip: Clip) -> object:
    return dynamics(LogMel().compute(clip[np.newaxis], SAMPLE_RATE))


def _librosa_features(clip: Clip) -> object:
    import librosa

    feature = librosa.feature
    series = [
        feature.chroma_stft(y=clip, sr=SAMPLE_RATE),
        feature.rms(y=clip),
        feature.spectral_centroid(y=clip, sr=SAMPLE_RATE),
        feature.spectral_bandwidth(y=clip, sr=SAMPLE_RATE),
        feature.spectral_rolloff(y=clip, sr=SAMPLE_RATE),
        feature.zero_crossing_rate(clip),
        *librosa.effects.hpss(clip),
        *feature.mfcc(y=clip, sr=SAMPLE_RATE),
    ]
    tempo, _ = librosa.beat.beat_track(y=clip, sr=SAMPLE_RATE)
    return [tempo, *((part.mean(), part.var()) for part in series)]


def _librosa_logmel(clip: Clip) -> object:
    import librosa

    return librosa.power_to_db(librosa.feature.melspectrogram(y=clip, sr=SAMPLE_RATE))


def _librosa_both(clip: Clip) -> object:
    return _librosa_logmel(clip), _librosa_features(clip)


def _logmel_contenders() -> dict[str, Callable[[Clip], object]]:
    frontend = LogMel()
    contenders: dict[str, Callable[[Clip], object]] = {
        OURS: lambda clip: frontend.compute(clip[np.newaxis], SAMPLE_RATE),
        REFERENCE: _librosa_logmel,
    }
    if importlib.util.find_spec("torchaudio"):
        contenders["torchaudio"] = _torchaudio_logmel()
    if importlib.util.find_spec("audioflux"):
        contenders["audioFlux"] = _audioflux_logmel()
    return contenders


def _torchaudio_logmel() -> Callable[[Clip], object]:
    import torch
    from torchaudio.transforms import AmplitudeToDB, MelSpectrogram

    torch.set_num_threads(1)
    mel = MelSpectrogram(
        SAMPLE_RATE, n_fft=2048, hop_length=512, n_mels=128, norm="slaney", mel_scale="slaney", pad_mode="constant"
    )
    decibels = AmplitudeToDB("power", top_db=80.0)

    def run(clip: Clip) -> object:
        with torch.inference_mode():
            return decibels(mel(torch.from_numpy(clip))).numpy()

    return run


def _audioflux_logmel() -> Callable[[Clip], object]:
    """Return audioFlux's log-mel; it does not pad, so it computes 14 frames fewer than the others."""
    import audioflux
    from audioflux.type import SpectralDataType, SpectralFilterBankScaleType, SpectralFilterBankStyleType

    bank = audioflux.BFT(
        num=128,
        radix2_exp=11,
        samplate=SAMPLE_RATE,
        slide_length=512,
        scale_type=SpectralFilterBankScaleType.MEL,
        style_type=SpectralFilterBankStyleType.SLANEY,
        data_type=SpectralDataType.POWER,
    )
    return lambda clip: audioflux.utils.power_to_db(bank.bft(clip, result_type=1))


def _side_by_side(
    task: str, contenders: dict[str, Callable[[Clip], object]], clips: list[Clip], rounds: int
) -> list[Timing]:
    spent: dict[str, list[float]] = {name: [] for name in contenders}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for turn in range(-2, rounds):  # the first two are not counted
            for name, contender in contenders.items():
                started = time.perf_counter()
                contender(clips[turn % len(clips)])
                if turn >= 0:
                    spent[name].append(1e3 * (time.perf_counter() - started))
    medians = {name: float(np.median(times)) for name, times in spent.items()}
    return [
        Timing(
            task, name, medians[name], min(times), medians[REFERENCE] / medians[name] if REFERENCE in medians else None
        )
        for name, times in spent.items()
    ]


def _processes(seconds: float) -> dict[str, float]:
    """Count clips a second by one process, and by two at once."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        pool.starmap(_work, [(0.2,), (0.2,)], chunksize=1)
        one = pool.apply(_work, (seconds,))
        two = sum(pool.starmap(_work, [(seconds,), (seconds,)], chunksize=1))
    return {"one_clips_per_second": one, "two_clips_per_second": two, "gain": two / one}


def _work(seconds: float) -> float:
    clips = _composed(2)
    warm_up()
    started, done = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - started) < seconds:
        handcrafted(clips[done % 2][np.newaxis])
        done += 1
    return done / elapsed


def _show(timings: list[Timing], throughput: dict[str, float], first_call: float) -> None:
    print(f"{'task':28}{'contender':12}{'median ms':>11}{'fastest ms':>12}{'x librosa':>11}")
    for timing in timings:
        speedup = "" if timing.speedup is None else f"{timing.speedup:.1f}"
        print(f"{timing.task:28}{timing.contender:12}{timing.median_ms:11.2f}{timing.fastest_ms:12.2f}{speedup:>11}")
    print(f"\nfirst call, compiling or loading what was compiled before: {first_call:.1f} s")
    print(
        f"clips a second: one process {throughput['one_clips_per_second']:.0f}, "
        f"two processes {throughput['two_clips_per_second']:.0f} ({throughput['gain']:.2f}x)"
    )


if __name__ == "__main__":
    main()
