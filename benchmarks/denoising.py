"""What noise does to a model's accuracy, and what each denoiser gets back: the test tracks of a run, made noisy.

    python benchmarks/denoising.py --ckpt runs/my_run/best.ckpt --root music

The test tracks are those of the ``predictions.csv`` beside the checkpoint; their audio is looked for in the root. Noise
of three kinds (hum of the mains, hiss, fan) is added at signal-to-noise ratios of 20, 10, 5 and 0 dB over the whole
track; a second of the noise alone comes first. Each denoiser learns the noise from that second (``lead-in``) or, where
the name says ``minimum``, from the running minimum of the track itself. Clips are cut after the lead-in, the same ones
for all. ``clean`` is the track without noise behind a second of digital silence.

Writes ``denoising.csv`` (one row a condition and denoiser), ``denoising.md`` and ``denoising.png`` into ``--out``.
The same seed gives the same noise. Differences are those of the same tracks to no denoising, with a 95 % paired
bootstrap interval over tracks.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from genre.audio.decode import load
from genre.evaluation.comparison import compare, track_scores
from genre.evaluation.metrics import Difference, Metrics, evaluate
from genre.evaluation.predictions import Predictions
from genre.evaluation.resampling import ARTISTS_FILE, read_artists
from genre.inference.denoise import Denoiser, NoDenoising, SpectralSubtraction
from genre.inference.gating import NoiseReduce
from genre.inference.predictor import Predictor, load_predictor

Samples = NDArray[np.float32]
LEAD_IN_SEC = 1.0
SNRS_DB = (20, 10, 5, 0)

DENOISERS: dict[str, Callable[[int], Denoiser]] = {
    "none": NoDenoising,
    "spectral_subtraction": lambda rate: SpectralSubtraction(rate, noise_sec=LEAD_IN_SEC),
    "berouti": lambda rate: SpectralSubtraction(rate, rule="power", noise_sec=LEAD_IN_SEC),
    "noisereduce": lambda rate: NoiseReduce(rate, noise_sec=LEAD_IN_SEC),
    "spectral_subtraction, minimum": SpectralSubtraction,
    "berouti, minimum": lambda rate: SpectralSubtraction(rate, rule="power"),
}


@dataclass(frozen=True)
class Outcome:
    """One condition with one denoiser, and its difference to no denoising."""

    noise: str
    snr_db: int | None
    denoiser: str
    metrics: Metrics
    difference: Difference

    @property
    def condition(self) -> str:
        """The condition in words."""
        return self.noise if self.snr_db is None else f"{self.noise} {self.snr_db} dB"


def main() -> None:
    arguments = _arguments()
    predictor = load_predictor(arguments.ckpt)
    of_truth = arguments.predictions or arguments.ckpt[0].parent / "predictions.csv"
    truth = Predictions.read_csv(of_truth)
    artist = read_artists(of_truth.with_name(ARTISTS_FILE)).get("test")
    label_of = dict(zip(truth.track, (truth.labels[label] for label in truth.label), strict=True))
    tracks = np.random.default_rng(arguments.seed).permutation(sorted(label_of)).tolist()[: arguments.tracks]
    began = time.perf_counter()
    outcomes: list[Outcome] = []
    for noise, snr in _conditions():
        noisy = [_noisy(arguments.root / track, noise, snr, predictor, seed=arguments.seed) for track in tracks]
        tables = {
            name: _predicted(tracks, noisy, make, predictor, label_of)
            for name, make in DENOISERS.items()
            if name in arguments.denoisers
        }
        for name, table in tables.items():
            [pair] = compare([track_scores([one], artist) for one in (table, tables["none"])])
            outcomes.append(Outcome(noise, snr, name, evaluate(table, artist=artist), pair.difference))
        print(_line(outcomes[-len(tables) :]), flush=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    _write_csv(outcomes, arguments.out / "denoising.csv")
    heading = (
        f"{predictor.name}, {len(tracks)} test tracks, {outcomes[0].metrics.n_clips} clips, seed {arguments.seed}; "
        f"{time.perf_counter() - began:.0f} s"
    )
    _write_markdown(outcomes, arguments.out / "denoising.md", heading)
    _draw(outcomes, arguments.out / "denoising.png", heading)
    print(f"\nwritten: denoising.csv, .md and .png in {arguments.out}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--ckpt", type=Path, nargs="+", required=True, help="model; several are averaged")
    parser.add_argument("--root", type=Path, required=True, help="folder of the data set the run was trained on")
    parser.add_argument("--predictions", type=Path, help="table that names the tracks (default: beside the checkpoint)")
    parser.add_argument("--tracks", type=int, help="only so many of them, drawn at random")
    parser.add_argument("--denoisers", nargs="+", default=list(DENOISERS), choices=DENOISERS, help="(default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of the noise (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks"), help="folder (default: %(default)s)")
    arguments = parser.parse_args()
    if "none" not in arguments.denoisers:
        arguments.denoisers.insert(0, "none")
    return arguments


def _conditions() -> Iterator[tuple[str, int | None]]:
    yield "clean", None
    for noise in NOISES:
        for snr in SNRS_DB:
            yield noise, snr


def _noisy(path: Path, noise: str, snr: int | None, predictor: Predictor, *, seed: int) -> Samples:
    """Return a track with noise added and a second of the noise before it."""
    rate = predictor.clips.sample_rate
    music = load(path, rate)
    lead_in = round(LEAD_IN_SEC * rate)
    sound = np.concatenate([np.zeros(lead_in, np.float32), music])
    if snr is None:
        return sound
    random = np.random.default_rng([seed, *path.name.encode()])
    added = NOISES[noise](len(sound), rate, random)
    level = np.sqrt(np.mean(np.square(music, dtype=np.float64)) / np.mean(added**2)) * 10 ** (-snr / 20)
    return sound + (level * added).astype(np.float32)


def hum(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return mains hum: 50 Hz and its harmonics, the odd ones louder, each at a phase of its own."""
    at = np.arange(n) / rate
    parts = [
        (1.0 if k % 2 else 0.5) / k * np.sin(2 * np.pi * 50 * k * at + random.uniform(0, 2 * np.pi))
        for k in range(1, 21)
    ]
    return np.sum(parts, axis=0)


def hiss(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return white noise."""
    return random.standard_normal(n)


def fan(n: int, rate: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return the rush of a fan: noise that falls by 6 dB an octave above 200 Hz, with two tones of its blades."""
    spectrum = np.fft.rfft(random.standard_normal(n))
    frequency = np.fft.rfftfreq(n, 1 / rate)
    rush = np.fft.irfft(spectrum / np.maximum(frequency / 200, 1.0), n)
    rush /= rush.std()
    at = np.arange(n) / rate
    blades = sum(np.sin(2 * np.pi * 115 * k * at + random.uniform(0, 2 * np.pi)) for k in (1, 2))
    return rush + 0.4 * blades


NOISES: dict[str, Callable[[int, int, np.random.Generator], NDArray[np.float64]]] = {
    "hum": hum,
    "hiss": hiss,
    "fan": fan,
}


def _predicted(
    tracks: Sequence[str],
    noisy: Sequence[Samples],
    make: Callable[[int], Denoiser],
    predictor: Predictor,
    label_of: dict[str, str],
) -> Predictions:
    """Denoise, cut and classify every track."""
    spec = predictor.clips
    names: list[str] = []
    starts: list[float] = []
    probabilities = []
    for track, samples in zip(tracks, noisy, strict=True):
        denoiser = make(spec.sample_rate)
        clean = np.concatenate([denoiser.process(samples), denoiser.flush()])
        heard = clean[round(LEAD_IN_SEC * spec.sample_rate) :]
        clips, first = spec.cut(heard)
        probabilities.append(predictor.probabilities(np.ascontiguousarray(clips), predictor.passages_of(heard, first)))
        names += [track] * len(clips)
        starts += (first / spec.sample_rate).tolist()
    return Predictions(
        track=tuple(names),
        start_sec=np.array(starts),
        label=np.array([predictor.labels.index(label_of[name]) for name in names]),
        probabilities=np.concatenate(probabilities),
        labels=predictor.labels,
    )


def _line(outcomes: Sequence[Outcome]) -> str:
    parts = [f"{outcome.denoiser} {outcome.metrics.track_accuracy:.3f}" for outcome in outcomes]
    return f"{outcomes[0].condition:12} {'   '.join(parts)}"


def _write_csv(outcomes: Sequence[Outcome], path: Path) -> None:
    rows = []
    for outcome in outcomes:
        snr = "" if outcome.snr_db is None else str(outcome.snr_db)
        rows.append([outcome.noise, snr, outcome.denoiser, *figures(outcome.metrics, outcome.difference)])
    write_table(path, ("noise", "snr_db", "denoiser", *FIGURES), rows)


FIGURES = (
    "track_accuracy", "ci95_low", "ci95_high", "clip_accuracy", "difference", "difference_low", "difference_high",
)  # fmt: skip


def figures(metrics: Metrics, difference: Difference) -> list[str]:
    """Return how right a model is in a condition, and how much more or less than without it, as :data:`FIGURES`."""
    values = (
        metrics.track_accuracy, *metrics.track_accuracy_ci95, metrics.clip_accuracy, difference.difference,
        *difference.ci95,
    )  # fmt: skip
    return [f"{value:.4f}" for value in values]


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a CSV file."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator=os.linesep)
        writer.writerows([columns, *rows])


def _write_markdown(outcomes: Sequence[Outcome], path: Path, heading: str) -> None:
    """Write a table of track accuracies; bold where the difference to no denoising is beyond noise."""
    denoisers = list(dict.fromkeys(outcome.denoiser for outcome in outcomes))
    lines = [heading, "", "Track accuracy (clip accuracy); bold: beyond noise, better or worse than none.", ""]
    lines += [f"| | {' | '.join(denoisers)} |", f"| --- |{' --- |' * len(denoisers)}"]
    for condition in dict.fromkeys(outcome.condition for outcome in outcomes):
        cells = []
        for outcome in outcomes:
            if outcome.condition == condition:
                text = f"{outcome.metrics.track_accuracy:.3f} ({outcome.metrics.clip_accuracy:.3f})"
                cells.append(f"**{text}**" if outcome.difference.beyond_noise else text)
        lines.append(f"| {condition} | {' | '.join(cells)} |")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _draw(outcomes: Sequence[Outcome], path: Path, heading: str) -> None:
    """Draw accuracy over the signal-to-noise ratio, a panel a noise and a line a denoiser."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, len(NOISES), figsize=(12, 4.4), sharey=True, layout="constrained")
    clean = {outcome.denoiser: outcome.metrics.track_accuracy for outcome in outcomes if outcome.snr_db is None}
    places = [0, *range(1, len(SNRS_DB) + 1)]
    for axes, noise in zip(panels, NOISES, strict=True):
        for number, name in enumerate(clean):
            values = [
                outcome.metrics.track_accuracy
                for outcome in outcomes
                if outcome.noise == noise and outcome.denoiser == name
            ]
            style = {"color": "black", "linewidth": 2.4} if name == "none" else {"color": f"C{number - 1}"}
            dashed = "--" if "minimum" in name else "-"
            axes.plot(places, [clean[name], *values], marker="o", markersize=4, linestyle=dashed, label=name, **style)
        axes.set_title(noise)
        axes.set_xticks(places, ["clean", *(f"{snr} dB" for snr in SNRS_DB)])
        axes.grid(color="#e6e6e6")
    panels[0].set_ylabel("track accuracy")
    figure.suptitle(heading, fontsize=11)
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, frameon=False, fontsize=9
    )
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
