"""Input devices: what PortAudio may say, said by a stand-in, and a real microphone."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from listening import music
from omegaconf import OmegaConf

from genre.commands import live
from genre.data.clips import ClipSpec
from genre.errors import ConfigError, DeviceError
from genre.inference import microphone
from genre.inference.denoise import NoDenoising
from genre.inference.microphone import Microphone, find_device, input_devices

ROOT = Path(__file__).parent.parent.parent


class PortAudioError(Exception):
    pass


class FakeStream:
    """Stands in for ``sounddevice.InputStream``."""

    def __init__(self, fake: FakePortAudio, **settings: Any) -> None:
        self.fake, self.settings = fake, settings
        if settings["samplerate"] not in fake.rates:
            raise PortAudioError("Error opening InputStream: Invalid sample rate [PaErrorCode -9997]")
        if settings["channels"] not in fake.channels:
            raise PortAudioError("Error opening InputStream: Invalid number of channels [PaErrorCode -9998]")
        fake.stream = self

    def start(self) -> None:
        if self.fake.refuses_to_start:
            raise PortAudioError("Error starting stream: Device unavailable [PaErrorCode -9985]")

    def close(self) -> None:
        self.settings["finished_callback"]()

    def record(self, samples: np.ndarray, overflow: bool = False) -> None:
        status = SimpleNamespace(input_overflow=overflow)
        self.settings["callback"](samples, len(samples), None, status)


class FakePortAudio:
    """Stands in for the module ``sounddevice``."""

    PortAudioError = PortAudioError

    def __init__(self) -> None:
        self.rates, self.channels = {44100, 22050}, {1, 2}
        self.refuses_to_start = False
        self.default = SimpleNamespace(device=[1, 0])
        self.devices = [
            {"index": 0, "name": "Speakers", "max_input_channels": 0, "default_samplerate": 48000.0},
            {"index": 1, "name": "USB Microphone", "max_input_channels": 1, "default_samplerate": 44100.0},
            {"index": 2, "name": "Line in", "max_input_channels": 2, "default_samplerate": 44100.0},
        ]

    def query_devices(self) -> list[dict[str, Any]]:
        return self.devices

    def InputStream(self, **settings: Any) -> FakeStream:
        return FakeStream(self, **settings)


@pytest.fixture
def portaudio(monkeypatch: pytest.MonkeyPatch) -> FakePortAudio:
    fake = FakePortAudio()
    monkeypatch.setattr(microphone, "sounddevice", lambda: fake)
    return fake


def test_devices_that_can_record(portaudio: FakePortAudio) -> None:
    devices = input_devices()
    assert [(device.number, device.name, device.is_default) for device in devices] == [
        (1, "USB Microphone", True),
        (2, "Line in", False),
    ]


@pytest.mark.parametrize(("device", "number"), [(None, 1), (2, 2), ("2", 2), ("line", 2), ("USB Microphone", 1)])
def test_device_by_number_or_name(portaudio: FakePortAudio, device, number: int) -> None:
    assert find_device(device).number == number


@pytest.mark.parametrize("device", [0, "7", "headset"])
def test_unknown_device(portaudio: FakePortAudio, device) -> None:
    with pytest.raises(DeviceError, match=f"no input device {device}; choose one of 1: USB Microphone, 2: Line in"):
        find_device(device)


def test_no_input_device(portaudio: FakePortAudio) -> None:
    portaudio.devices = portaudio.devices[:1]
    with pytest.raises(DeviceError, match="there is no input device; plug in a microphone"):
        Microphone(None, 22050)


def test_what_is_recorded_can_be_read(portaudio: FakePortAudio) -> None:
    with Microphone(None, 22050) as source:
        assert source.sample_rate == 22050
        portaudio.stream.record(np.full((100, 1), 0.25, np.float32))
        portaudio.stream.record(np.full((50, 1), 0.5, np.float32), overflow=True)
        samples = source.read()
        assert samples is not None
        np.testing.assert_array_equal(samples, [0.25] * 100 + [0.5] * 50)
        assert source.n_overflows == 1
    assert source.read() is None
    assert source.failure == ""


def test_a_refused_rate_becomes_one_that_the_device_takes(portaudio: FakePortAudio) -> None:
    assert Microphone(None, 16000).sample_rate == 44100


@pytest.mark.parametrize(("seconds", "rate"), [(None, 44100), (5.0, 48000)])
def test_a_microphone_has_the_rate_of_the_model_or_its_own(
    portaudio: FakePortAudio, monkeypatch: pytest.MonkeyPatch, seconds: float | None, rate: int
) -> None:
    portaudio.rates |= {48000}
    opened: list[int] = []
    monkeypatch.setattr(live, "_run", lambda _cfg, source, _load, title: opened.append(source.sample_rate))
    warmed: list[bool] = []
    clips = ClipSpec(clip_sec=1.0, sample_rate=48000)
    predictor = SimpleNamespace(clips=clips, warm_up=lambda: warmed.append(True))
    cfg = OmegaConf.create({"live": {"seconds": seconds, "device": None, "countdown": 0}})
    live.listen(cfg, "mic", lambda: (predictor, lambda: NoDenoising(48000)))
    assert opened == [rate]
    assert warmed == ([] if seconds is None else [True])  # before the countdown, or else when the sound comes


def test_a_recording_too_short_for_a_verdict_is_refused_before_the_countdown(
    portaudio: FakePortAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[float] = []
    monkeypatch.setattr(live, "_count_down", counted.append)
    predictor = SimpleNamespace(clips=ClipSpec(clip_sec=3.0, sample_rate=22050))
    cfg = OmegaConf.create({"live": {"seconds": 2.5, "device": None, "countdown": 3}})
    with pytest.raises(ConfigError, match=r"live\.seconds=2\.5 is too short for one clip of 3 s; give at least 3"):
        live.listen(cfg, "mic", lambda: (predictor, lambda: NoDenoising(22050)))
    assert counted == []


@pytest.mark.parametrize(("countdown", "counted"), [(None, 0), (2.6, 2.6)])
def test_a_countdown_of_null_is_none(
    portaudio: FakePortAudio, monkeypatch: pytest.MonkeyPatch, countdown: float | None, counted: float
) -> None:
    told: list[float] = []
    monkeypatch.setattr(live, "_count_down", told.append)
    monkeypatch.setattr(live, "_run", lambda *_args, **_named: None)
    predictor = SimpleNamespace(clips=ClipSpec(clip_sec=1.0, sample_rate=22050), warm_up=lambda: None)
    cfg = OmegaConf.create({"live": {"seconds": 2, "device": None, "countdown": countdown}})
    live.listen(cfg, "mic", lambda: (predictor, lambda: NoDenoising(22050)))
    assert told == [counted]


def test_channels_are_mixed_where_one_is_refused(portaudio: FakePortAudio) -> None:
    portaudio.channels = {2}
    with Microphone("Line in", 22050) as source:
        portaudio.stream.record(np.array([[0.2, 0.4]] * 10, np.float32))
        samples = source.read()
    np.testing.assert_allclose(samples, 0.3, rtol=1e-6)


def test_a_device_that_cannot_be_opened(portaudio: FakePortAudio) -> None:
    portaudio.rates = set()
    with pytest.raises(
        DeviceError, match=r"USB Microphone cannot be opened \(Error opening InputStream: Invalid sample"
    ):
        Microphone(None, 22050)


def test_a_device_that_does_not_start(portaudio: FakePortAudio) -> None:
    portaudio.refuses_to_start = True
    source = Microphone(None, 22050)
    with pytest.raises(DeviceError, match="does not start"):
        source.start()


def test_a_device_that_is_unplugged(portaudio: FakePortAudio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(microphone, "STALL_SEC", 0.2)
    with Microphone(None, 22050) as source:
        portaudio.stream.record(np.ones((100, 1), np.float32))
        assert len(source.read(0.05)) == 100
        began = time.monotonic()
        while source.read(0.05) is not None:
            assert time.monotonic() - began < 5
        assert "gives no more sound" in source.failure


def test_a_device_that_portaudio_gives_up(portaudio: FakePortAudio) -> None:
    with Microphone(None, 22050) as source:
        portaudio.stream.record(np.ones((100, 1), np.float32))
        portaudio.stream.settings["finished_callback"]()
        assert len(source.read(0.05)) == 100
        assert source.read(0.05) is None
    assert "unplugged" in source.failure


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (OSError("PortAudio library not found"), "sudo apt-get install libportaudio2"),
        (ImportError("No module named 'sounddevice'"), "pip install sounddevice"),
    ],
)
def test_without_portaudio_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, error: Exception, hint: str
) -> None:
    class Refusing:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "sounddevice":
                raise error

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Refusing(), *sys.meta_path])
    with pytest.raises(DeviceError, match=hint):
        input_devices()


@pytest.fixture
def real_microphone(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment in which a PulseAudio null sink's monitor is the default input; music plays into it."""
    missing = [program for program in ("pulseaudio", "pactl", "paplay") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"needs {' and '.join(missing)}: apt-get install pulseaudio pulseaudio-utils")
    try:
        microphone.sounddevice()
    except DeviceError as error:
        pytest.skip(str(error))
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(runtime), "HOME": str(runtime)}
    environment.pop("PULSE_SERVER", None)
    sink = ["-L", "module-native-protocol-unix", "-L", "module-null-sink sink_name=mic rate=44100"]
    server = subprocess.Popen(
        ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", *sink],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 20
        while subprocess.run(["pactl", "info"], env=environment, capture_output=True, check=False).returncode:
            if time.monotonic() > deadline or server.poll() is not None:
                pytest.skip("pulseaudio does not start here")
            time.sleep(0.2)
        subprocess.run(["pactl", "set-default-source", "mic.monitor"], env=environment, check=True)
        yield environment
    finally:
        server.terminate()
        server.wait(10)


@pytest.mark.audio_device
def test_music_played_into_a_real_microphone_is_heard(
    tmp_path: Path, real_microphone: dict[str, str], checkpoint: Path
) -> None:
    listing = infer(["devices=true", "format=json"], tmp_path, real_microphone)
    names = [json.loads(line)["name"] for line in listing.stdout.splitlines()]
    if "pulse" not in names:
        pytest.skip("PortAudio does not see PulseAudio: apt-get install libasound2-plugins")
    song = tmp_path / "song.wav"
    soundfile.write(song, music(60.0, 44100), 44100)
    player = subprocess.Popen(["paplay", "--device=mic", str(song)], env=real_microphone)
    try:
        settings = ["input=mic", "live.device=pulse", "live.seconds=4", "live.countdown=0", "denoise=berouti"]
        result = infer(
            [f"ckpt={checkpoint}", "hydra.run.dir=session", *settings, "format=json"], tmp_path, real_microphone
        )
    finally:
        player.terminate()
        player.wait(10)
    verdicts = [json.loads(line) for line in result.stdout.splitlines()]
    assert [verdict["seconds"] for verdict in verdicts] == [1 + 0.5 * number for number in range(7)]
    assert verdicts[-1]["state"] != "silence"
    assert "nothing lost" in result.stderr
    folder = tmp_path / "session"
    raw, rate = soundfile.read(folder / "raw.wav", dtype="float32")
    assert len(raw) == 4 * rate
    assert frequencies_agree(raw[-2 * rate :], rate)
    assert {path.name for path in folder.iterdir()} == {
        "raw.wav", "denoised.wav", "timeline.png", "denoise.png", "verdicts.csv",
    }  # fmt: skip
    with (folder / "verdicts.csv").open() as table:
        assert len(list(csv.DictReader(table))) == len(verdicts)


def frequencies_agree(recorded: np.ndarray, rate: int) -> bool:
    """Whether a recording holds the notes of the song: its spectrum is nearer to the song's than to noise's."""

    def spectrum(samples: np.ndarray) -> np.ndarray:
        magnitude = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
        bands = np.add.reduceat(magnitude, np.unique(np.geomspace(50, len(magnitude) - 1, 60).astype(int)))
        return np.log(bands + 1e-3)

    song = music(60.0, rate)
    reference = np.mean([spectrum(song[at : at + len(recorded)]) for at in range(0, 20 * rate, 2 * rate)], axis=0)
    return float(np.corrcoef(spectrum(recorded), reference)[0, 1]) > 0.7


def infer(arguments: list[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "infer.py"), *arguments]
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A small untrained network as a run leaves it."""
    from listening import mini_vgg
    from pytorch_lightning import Trainer

    trainer = Trainer(logger=False, enable_checkpointing=False, accelerator="cpu")
    trainer.strategy.connect(mini_vgg().model)
    path = tmp_path / "best.ckpt"
    trainer.save_checkpoint(path)
    return path
