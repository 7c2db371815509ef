"""Demo music: same bytes, whole folders only, and genres that differ by what is played."""

from __future__ import annotations

import csv
import errno
import hashlib
import itertools
import json
import os
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genre.data.demo import artists, composer, folder, make_demo
from genre.data.demo.drums import hit
from genre.data.demo.harmony import SCALES, Melody, near, parse_chord
from genre.data.demo.instruments import INSTRUMENTS, note
from genre.data.demo.render import render
from genre.data.demo.styles import STYLES
from genre.errors import ConfigError, DataError

GENRES = ["blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock"]
SMALL = {"artists": 2, "tracks_per_artist": 1, "seconds": 1.0}
TINY = {"artists": 1, "tracks_per_artist": 1, "seconds": 0.5, "sample_rate": 8000}


def digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def read_wav(path: Path) -> tuple[np.ndarray, int]:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768, file.getframerate()


def artist_of(genre: str, number: int) -> artists.Artist:
    return artists.draw_artist(genre, np.random.default_rng([number, GENRES.index(genre)]))


def score_of(genre: str, number: int, seconds: float = 10.0) -> composer.Score:
    return composer.compose(artist_of(genre, number), seconds, np.random.default_rng(number))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo") / "music"
    make_demo(root, **SMALL)
    return root


def test_folder_holds_what_the_table_says(small: Path) -> None:
    with (small / "tracks.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["file", "label", "artist"]
    assert sorted({row["label"] for row in rows}) == GENRES
    assert len(rows) == 20
    assert len({row["artist"] for row in rows}) == 20
    assert {row["file"] for row in rows} == {path.relative_to(small).as_posix() for path in small.rglob("*.wav")}
    assert all(row["file"].startswith(f"{row['label']}/{row['label']}.") for row in rows)


def test_nothing_is_left_beside_the_folder(small: Path) -> None:
    assert [path.name for path in small.parent.iterdir()] == ["music"]


def test_samples_are_sane(small: Path) -> None:
    for path in sorted(small.rglob("*.wav")):
        samples, sample_rate = read_wav(path)
        assert sample_rate == 22050
        assert len(samples) == 22050
        assert 0.4 < np.abs(samples).max() < 0.99, path.name
        assert 0.02 < np.sqrt(np.mean(samples**2)) < 0.6, path.name
        assert abs(samples.mean()) < 0.02, path.name


def test_same_seed_same_bytes_in_another_process(small: Path, tmp_path: Path) -> None:
    code = f"from genre.data.demo import make_demo; make_demo({str(tmp_path / 'again')!r}, **{SMALL!r})"
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "123",
        "OMP_NUM_THREADS": "3",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert digests(tmp_path / "again") == digests(small)


def test_another_seed_is_other_music(small: Path, tmp_path: Path) -> None:
    make_demo(tmp_path / "other", seed=1, **SMALL)
    ours, other = digests(small), digests(tmp_path / "other")
    same = [name for name in ours if ours[name] == other[name]]
    assert same == ["tracks.csv"]


def test_a_track_does_not_depend_on_how_many_there_are(small: Path, tmp_path: Path) -> None:
    make_demo(tmp_path / "fewer", **{**SMALL, "artists": 1})
    ours, fewer = digests(small), digests(tmp_path / "fewer")
    shared = [name for name in fewer if name.endswith(".wav")]
    assert len(shared) == 10
    assert all(ours[name] == fewer[name] for name in shared)


def test_no_two_tracks_are_alike(tmp_path: Path) -> None:
    make_demo(tmp_path / "music", **{**TINY, "artists": 3, "tracks_per_artist": 2})
    sounds = [digest for name, digest in digests(tmp_path / "music").items() if name.endswith(".wav")]
    assert len(set(sounds)) == len(sounds) == 60


def test_complete_folder_is_reused(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("composed again")

    monkeypatch.setattr(folder, "render", fail)
    before = {path: path.stat().st_mtime_ns for path in small.rglob("*")}
    make_demo(small, **SMALL)
    assert before == {path: path.stat().st_mtime_ns for path in small.rglob("*")}


def test_progress_counts_every_track(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    make_demo(tmp_path / "music", **TINY, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 10) for done in range(1, 11)]


def test_other_settings_are_not_overwritten(tmp_path: Path) -> None:
    make_demo(tmp_path / "music", **TINY)
    before = digests(tmp_path / "music")
    with pytest.raises(DataError, match=r"music holds demo music made with other settings"):
        make_demo(tmp_path / "music", seed=7, **TINY)
    assert digests(tmp_path / "music") == before


def test_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "song.wav").write_bytes(b"precious")
    with pytest.raises(DataError, match=r"mine already holds something that is not demo music"):
        make_demo(tmp_path / "mine", **TINY)
    assert digests(tmp_path) == {"mine/song.wav": hashlib.sha256(b"precious").hexdigest()}


def test_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(DataError, match="not demo music"):
        make_demo(tmp_path / "mine", **TINY)
    assert (tmp_path / "mine").read_text() == "precious"


def test_lost_track_is_named(tmp_path: Path) -> None:
    make_demo(tmp_path / "music", **TINY)
    (tmp_path / "music" / "jazz" / "jazz.00.00.wav").unlink()
    with pytest.raises(DataError, match=r"has lost jazz/jazz\.00\.00\.wav"):
        make_demo(tmp_path / "music", **TINY)


def test_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "music").mkdir()
    make_demo(tmp_path / "music", **TINY)
    assert json.loads((tmp_path / "music" / "demo.json").read_text())["seed"] == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("stop")])
def test_interrupted_run_leaves_nothing_half_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def interrupt(done: int, _: int) -> None:
        if done == 3:
            raise error

    with pytest.raises(type(error)):
        make_demo(tmp_path / "music", **TINY, progress=interrupt)
    assert [path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")] == []


def test_what_a_killed_run_left_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / ".music.partial" / "jazz").mkdir(parents=True)
    (tmp_path / ".music.partial" / "jazz" / "old.wav").write_bytes(b"half")
    make_demo(tmp_path / "music", **TINY)
    assert [path.name for path in tmp_path.iterdir()] == ["music"]
    assert "jazz/old.wav" not in digests(tmp_path / "music")


def test_two_processes_at_once(tmp_path: Path) -> None:
    code = f"from genre.data.demo import make_demo; make_demo({str(tmp_path / 'music')!r}, **{TINY!r})"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    both = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(2)]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["music"]
    assert len(list((tmp_path / "music").rglob("*.wav"))) == 10


@pytest.mark.parametrize(
    ("code", "sentence"), [(errno.ENOSPC, r"disk is full.*free some"), (errno.EACCES, r"cannot be written.*choose")]
)
def test_failing_disk_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, sentence: str
) -> None:
    def fail(self: Path, data: bytes) -> int:
        raise OSError(code, "no")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(DataError, match=sentence):
        make_demo(tmp_path / "music", **TINY)
    assert not (tmp_path / "music").exists()
    assert not (tmp_path / ".music.partial").exists()


@pytest.mark.parametrize("setting", [{"seed": -1}, {"artists": 0}, {"tracks_per_artist": 0}, {"seconds": 0.0}])
def test_settings_out_of_range(tmp_path: Path, setting: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(setting))):
        make_demo(tmp_path / "music", **{**TINY, **setting})


def test_tables_are_well_formed() -> None:
    assert sorted(STYLES) == GENRES
    for genre, style in STYLES.items():
        assert set(style.neighbours) <= set(STYLES) - {genre}
        for scale, progression in style.progressions:
            assert scale in SCALES
            assert len(progression.split()) % 4 == 0
            assert all(parse_chord(text).intervals for text in progression.split())
        for pattern in style.drums:
            assert all(len(line) == composer.STEPS and set(line) <= set("Xxo.") for line in pattern.values())
        for part in style.parts.values():
            assert set(part.instruments) <= set(INSTRUMENTS)
            assert all(len(line) % composer.STEPS == 0 and set(line) <= set("135678acpsm-.") for line in part.patterns)


def test_tempos_overlap_between_genres() -> None:
    for genre, style in STYLES.items():
        low, high = style.tempo
        others = [other.tempo for name, other in STYLES.items() if name != genre]
        assert sum(low < other[1] and other[0] < high for other in others) >= 5, genre


def test_an_artist_keeps_the_habits_of_one_genre() -> None:
    for genre in GENRES:
        tempos = [[score_of(genre, number).tempo for _ in range(3)] for number in range(4)]
        low, high = STYLES[genre].tempo
        assert all(0.7 * low < tempo < 1.3 * high for row in tempos for tempo in row)
    assert artist_of("jazz", 1) == artist_of("jazz", 1) != artist_of("jazz", 2)


@pytest.mark.parametrize("genre", GENRES)
def test_notes_lie_in_the_track_and_in_hearing(genre: str) -> None:
    for number in range(5):
        score = score_of(genre, number)
        notes = [note for line in score.notes.values() for note in line]
        assert notes
        assert all(0 <= note.start < 20 and 0.03 < note.length < 10 for note in notes)
        assert all(20 <= note.midi <= 100 and 0 < note.velocity <= 1 for note in notes)


def kicks_on_every_beat(score: composer.Score) -> bool:
    kicks = np.array([stroke.start for stroke in score.hits if stroke.drum == "kick"]) * score.tempo / 60
    return len(kicks) > 0 and bool(np.all(np.abs(kicks - np.round(kicks)) < 0.1))


def own_drums(genre: str, count: int = 4) -> list[composer.Score]:
    """Scores of artists who drum as their genre does."""
    chosen = (number for number in itertools.count() if artist_of(genre, number).drum_style == genre)
    scores = (score_of(genre, number) for number in chosen)
    return list(itertools.islice((score for score in scores if score.hits), count))


def test_classical_has_no_drums() -> None:
    numbers = [number for number in range(12) if artist_of("classical", number).drum_style == "classical"]
    assert len(numbers) >= 6
    assert all(score_of("classical", number).hits == () for number in numbers)


def test_disco_is_four_on_the_floor_and_reggae_is_not() -> None:
    assert all(kicks_on_every_beat(score) for score in own_drums("disco"))
    assert not all(kicks_on_every_beat(score) for score in own_drums("metal"))


def kicks_a_second(genre: str) -> float:
    return float(np.mean([sum(s.drum == "kick" for s in score.hits) / 10 for score in own_drums(genre)]))


def test_metal_has_double_kick() -> None:
    assert kicks_a_second("metal") > 2 * kicks_a_second("rock")
    assert kicks_a_second("rock") > kicks_a_second("reggae")


def test_jazz_swings_and_metal_does_not() -> None:
    assert min(artist_of("jazz", number).swing for number in range(9)) > 0.57
    assert {artist_of("metal", number).swing for number in range(9)} == {0.5}


def test_reggae_chords_fall_off_the_beat() -> None:
    for number in range(40):
        player = artist_of("reggae", number).players["comp"]
        if player.style == "reggae":
            score = score_of("reggae", number)
            beats = np.array([note.start for note in score.notes["comp"]]) * score.tempo / 60
            assert np.all(np.abs(beats - np.round(beats)) > 0.15)


def share_below_100_hz(genre: str) -> float:
    shares = []
    for number in range(6):
        score = score_of(genre, number, 4.0)
        samples = render(score, artist_of(genre, number), 88200, 22050, np.random.default_rng(0)) / 32768
        power = np.abs(np.fft.rfft(samples)) ** 2
        shares.append(power[:400].sum() / power.sum())
    return float(np.median(shares))


def test_hiphop_is_heavy_and_classical_is_not() -> None:
    assert share_below_100_hz("hiphop") > 3 * share_below_100_hz("classical")


def test_metal_guitars_strike_often_and_hiphop_keys_seldom() -> None:
    def strokes(genre: str) -> float:
        return float(np.median([len(score_of(genre, number).notes["comp"]) for number in range(8)]))

    assert strokes("metal") > 3 * strokes("hiphop")


@pytest.mark.parametrize("name", sorted(INSTRUMENTS))
def test_instruments_play_in_tune(name: str) -> None:
    midi = 33 if "bass" in name else 57
    sound = note(INSTRUMENTS[name], midi, 22050, 22050, np.random.default_rng(0))
    assert sound.dtype == np.float32
    assert np.isfinite(sound).all()
    assert 0.2 < np.abs(sound).max() < 5
    settled = sound[4410:22050].astype(np.float64)
    period = 22050 / (440 * 2 ** ((midi - 69) / 12))
    lags = np.arange(int(period / 1.5), int(period * 1.5))
    correlation = [np.dot(settled[:-lag], settled[lag:]) for lag in lags]
    cents = 1200 * np.log2(lags[int(np.argmax(correlation))] / period)
    assert abs(cents) < 40


@pytest.mark.parametrize(
    "drum", ["kick", "snare", "rim", "clap", "brush", "hat", "open_hat", "ride", "crash", "shaker"]
)
def test_drums_die_away(drum: str) -> None:
    sound = hit(drum, artist_of("rock", 0).kit, 22050, np.random.default_rng(0))
    assert np.abs(sound).max() == pytest.approx(1)
    quarter = len(sound) // 4
    assert np.sum(sound[-quarter:] ** 2) < 0.1 * np.sum(sound[:-quarter] ** 2)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="gong"):
        hit("gong", artist_of("rock", 0).kit, 22050, np.random.default_rng(0))
    with pytest.raises(ValueError, match="H7"):
        parse_chord("H7")


@given(pitch_class=st.integers(-40, 40), centre=st.integers(20, 100))
def test_near_finds_the_closest_octave(pitch_class: int, centre: int) -> None:
    found = near(pitch_class, centre)
    assert (found - pitch_class) % 12 == 0
    assert -6 <= found - centre <= 6


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.sampled_from(sorted(SCALES)), span=st.integers(1, 8))
def test_melody_stays_on_scale_or_chord_and_in_reach(seed: int, scale: str, span: int) -> None:
    chord = parse_chord("V7")
    melody = Melody(2, scale, 66, np.random.default_rng(seed), span=span, repeat=0.5)
    for _ in range(4):
        melody.start_bar()
        for step in range(16):
            pitch = melody.next_note(chord, on_beat=step % 4 == 0)
            wanted = [2 + chord.root + k for k in chord.intervals] if step % 4 == 0 else [2 + k for k in SCALES[scale]]
            assert any((pitch - each) % 12 == 0 for each in wanted)
            assert abs(pitch - 66) <= 36
