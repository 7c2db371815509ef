"""What another recording of the same music does to a model's accuracy: its test tracks, changed as files are in life.

    python benchmarks/robustness.py --ckpt sweeps/my_sweep/*/best.ckpt --root music

The test tracks are those of the ``predictions.csv`` beside each checkpoint; their audio is looked for in the root.
Several checkpoints are judged each on its own test tracks, which are then taken together: the folds of a
cross-validation, say. Every condition changes the samples of the whole track before clips are cut:

=========================  =============================================================================================
as it is                   nothing
16 kHz, 8 kHz              taken to that sample rate and back, so that nothing is left above half of it
MP3, Ogg of low quality    encoded at compression 0.9 and decoded
softer                     20 dB less
overdriven                 10 dB more, and cut off at full scale
no bass                    a high-pass filter of second order at 200 Hz, as of a small loudspeaker
in a room                  reverberation of 0.4 s, its energy 3 dB below that of the direct sound
hiss, fan, hum             noise at a signal-to-noise ratio of 30, 20 and 20 dB (that of ``denoising.py``)
=========================  =============================================================================================

Writes ``robustness.csv`` (one row a condition) and ``robustness.md`` into ``--out``. The same seed gives the same noise
and the same rooms. Differences are those of the same tracks as they are, with a 95 % paired bootstrap interval over
artists where ``artists.csv`` says who they are, else over tracks.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from denoising import FIGURES, fan, figures, hiss, hum, write_table

from genre.audio.damage import at_lower_rate, coded, in_a_room, noisy, room_response
from genre.audio.decode import load
from genre.evaluation.comparison import compare, track_scores
from genre.evaluation.metrics import Difference, Metrics, evaluate
from genre.evaluation.predictions import Predictions
from genre.evaluation.resampling import ARTISTS_FILE, read_artists
from genre.inference.predictor import Predictor, load_predictor

Samples = NDArray[np.float32]
Change = Callable[[Samples, int, np.random.Generator], Samples]
"""Returns changed samples of the same length, given samples, their rate in Hz and random numbers."""

LOW_QUALITY = 0.9
SOFTER_DB, LOUDER_DB = -20.0, 10.0
BASS_HZ = 200.0
ROOM_RT60_SEC, ROOM_DIRECT_DB = 0.4, 3.0


def _at_rate(rate: int) -> Change:
    return lambda samples, sample_rate, random: at_lower_rate(samples, sample_rate, rate)


def _coded(codec: str) -> Change:
    return lambda samples, sample_rate, random: coded(samples, sample_rate, codec, LOW_QUALITY)


def _softer(samples: Samples, sample_rate: int, random: np.random.Generator) -> Samples:
    return samples * np.float32(10 ** (SOFTER_DB / 20))


def _overdriven(samples: Samples, sample_rate: int, random: np.random.Generator) -> Samples:
    return np.clip(samples * np.float32(10 ** (LOUDER_DB / 20)), -1.0, 1.0)


def _without_bass(samples: Samples, sample_rate: int, random: np.random.Generator) -> Samples:
    from scipy.signal import butter, sosfilt

    filtered: Samples = sosfilt(butter(2, BASS_HZ, "highpass", fs=sample_rate, output="sos"), samples)
    return filtered.astype(np.float32)


def _in_a_room(samples: Samples, sample_rate: int, random: np.random.Generator) -> Samples:
    return in_a_room(samples, room_response(sample_rate, ROOM_RT60_SEC, ROOM_DIRECT_DB, random))


def _in(noise: Callable[[int, int, np.random.Generator], NDArray[np.float64]], snr_db: float) -> Change:
    def change(samples: Samples, sample_rate: int, random: np.random.Generator) -> Samples:
        return noisy(samples, noise(len(samples), sample_rate, random).astype(np.float32), snr_db)

    return change


CHANGES: dict[str, Change] = {
    "as it is": lambda samples, sample_rate, random: samples,
    "16 kHz": _at_rate(16_000),
    "8 kHz": _at_rate(8_000),
    "MP3 of low quality": _coded("mp3"),
    "Ogg of low quality": _coded("ogg"),
    "softer by 20 dB": _softer,
    "overdriven by 10 dB": _overdriven,
    "no bass": _without_bass,
    "in a room": _in_a_room,
    "hiss 30 dB": _in(hiss, 30.0),
    "fan 20 dB": _in(fan, 20.0),
    "hum 20 dB": _in(hum, 20.0),
}
UNCHANGED = next(iter(CHANGES))


@dataclass(frozen=True)
class Outcome:
    """One condition, and its difference to the tracks as they are."""

    condition: str
    metrics: Metrics
    difference: Difference


def main() -> None:
    arguments = _arguments()
    tables: dict[str, list[Predictions]] = {condition: [] for condition in arguments.conditions}
    artist: dict[str, str] = {}
    for ckpt in arguments.ckpt:
        predictor = load_predictor([ckpt])
        truth = Predictions.read_csv(ckpt.parent / "predictions.csv")
        artist |= read_artists(ckpt.with_name(ARTISTS_FILE)).get("test") or {}
        label_of = dict(zip(truth.track, (truth.labels[label] for label in truth.label), strict=True))
        order = np.random.default_rng(arguments.seed).permutation(sorted(label_of)).tolist()
        label_of = {track: label_of[track] for track in order[: arguments.tracks]}
        for condition, table in _judged(arguments.root, predictor, label_of, tables, arguments.seed).items():
            tables[condition].append(table)
        print(f"{ckpt.parent.name}: {len(label_of)} tracks", flush=True)
    outcomes = _compared({condition: _together(parts) for condition, parts in tables.items()}, artist)
    heading = (
        f"{predictor.name}, {len(arguments.ckpt)} models, {outcomes[0].metrics.n_tracks} test tracks, seed "
        f"{arguments.seed}"
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows = [[outcome.condition, *figures(outcome.metrics, outcome.difference)] for outcome in outcomes]
    write_table(arguments.out / "robustness.csv", ("condition", *FIGURES), rows)
    text = _markdown(outcomes, heading)
    (arguments.out / "robustness.md").write_text(text, encoding="utf-8")
    print(f"\n{text}\nwritten: robustness.csv and .md in {arguments.out}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--ckpt", type=Path, nargs="+", required=True, help="models, each with its predictions.csv")
    parser.add_argument("--root", type=Path, required=True, help="folder of the data set they were trained on")
    parser.add_argument("--tracks", type=int, help="only so many of each, drawn at random")
    parser.add_argument("--conditions", nargs="+", default=list(CHANGES), choices=CHANGES, help="(default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of noise and rooms (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks"), help="folder (default: %(default)s)")
    arguments = parser.parse_args()
    arguments.conditions = list(dict.fromkeys([UNCHANGED, *arguments.conditions]))
    return arguments


def _judged(
    root: Path,
    predictor: Predictor,
    label_of: dict[str, str],
    conditions: Iterable[str],
    seed: int,
) -> dict[str, Predictions]:
    """Return what a model says of the clips of labelled tracks in each condition."""
    spec = predictor.clips
    rows: dict[str, list[tuple[str, NDArray[np.int64], NDArray[np.float64]]]] = {name: [] for name in conditions}
    for track in label_of:
        samples = load(root / track, spec.sample_rate)
        for number, condition in enumerate(CHANGES):
            if condition in rows:
                random = np.random.default_rng([seed, number, *track.encode()])
                changed = CHANGES[condition](samples, spec.sample_rate, random)
                clips, first = spec.cut(changed)
                passages = predictor.passages_of(changed, first)
                rows[condition].append((track, first, predictor.probabilities(np.ascontiguousarray(clips), passages)))
    return {
        condition: Predictions(
            track=tuple(track for track, first, _ in parts for _ in first),
            start_sec=np.concatenate([first for _, first, _ in parts]) / spec.sample_rate,
            label=np.array([predictor.labels.index(label_of[track]) for track, first, _ in parts for _ in first]),
            probabilities=np.concatenate([probabilities for _, _, probabilities in parts]),
            labels=predictor.labels,
        )
        for condition, parts in rows.items()
    }


def _together(parts: Sequence[Predictions]) -> Predictions:
    """Return the predictions of several models, each of tracks of its own, as one table."""
    tracks = [set(part.track) for part in parts]
    if len(set().union(*tracks)) < sum(map(len, tracks)):
        sys.exit("two of the checkpoints were tested on the same tracks; give the folds of one cross-validation")
    if len({part.labels for part in parts}) > 1:
        sys.exit("the checkpoints know different classes; give the folds of one cross-validation")
    return Predictions(
        track=tuple(track for part in parts for track in part.track),
        start_sec=np.concatenate([part.start_sec for part in parts]),
        label=np.concatenate([part.label for part in parts]),
        probabilities=np.concatenate([part.probabilities for part in parts]),
        labels=parts[0].labels,
    )


def _compared(tables: dict[str, Predictions], artist: dict[str, str]) -> list[Outcome]:
    known = artist or None
    outcomes = []
    for name, table in tables.items():
        [pair] = compare([track_scores([one], known) for one in (table, tables[UNCHANGED])])
        outcomes.append(Outcome(name, evaluate(table, artist=known), pair.difference))
    return outcomes


def _markdown(outcomes: Sequence[Outcome], heading: str) -> str:
    lines = [
        heading,
        "",
        "| Condition | Track accuracy | Difference [95 %] | Clip accuracy |",
        "| --- | --- | --- | --- |",
    ]
    for outcome in outcomes:
        low, high = outcome.difference.ci95
        change = (
            f"{outcome.difference.difference:.3f} [{low:.3f}, {high:.3f}]" if outcome.condition != UNCHANGED else ""
        )
        metrics = outcome.metrics
        lines.append(f"| {outcome.condition} | {metrics.track_accuracy:.3f} | {change} | {metrics.clip_accuracy:.3f} |")
    others = [outcome.metrics.track_accuracy for outcome in outcomes if outcome.condition != UNCHANGED]
    if others:
        lines.append(f"| mean of the changed | {np.mean(others):.3f} | | |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
