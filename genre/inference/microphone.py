"""Input devices: which there are, and sound from one of them."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genre.audio.quiet import quiet_c_libraries
from genre.errors import DeviceError
from genre.inference.sources import Source

STALL_SEC = 2.0
"""A device that gives no sound for so long is gone."""


@dataclass(frozen=True, slots=True)
class InputDevice:
    """A device that sound can be recorded from.

    Parameters
    ----------
    number
        By which ``live.device`` may name it.
    name
        By part of which ``live.device`` may name it too.
    channels
        How many it has.
    sample_rate
        The rate it prefers, in Hz.
    is_default
        Whether it is taken if none is named.
    """

    number: int
    name: str
    channels: int
    sample_rate: int
    is_default: bool


def sounddevice() -> Any:
    """Return the module ``sounddevice``.

    Raises
    ------
    DeviceError
        If it or PortAudio is not installed.
    """
    try:
        with quiet_c_libraries():  # the system's libraries list the devices that they do not find
            import sounddevice as module
    except ImportError as error:
        raise DeviceError("recording needs the package sounddevice: pip install sounddevice") from error
    except OSError as error:  # "PortAudio library not found"
        raise DeviceError(
            "recording needs PortAudio, which is not installed: sudo apt-get install libportaudio2 (Debian, Ubuntu), "
            "sudo dnf install portaudio (Fedora) or brew install portaudio (macOS)"
        ) from error
    return module


def input_devices() -> list[InputDevice]:
    """Return all input devices.

    Raises
    ------
    DeviceError
        If PortAudio is not installed.
    """
    module = sounddevice()
    default = module.default.device[0]
    return [
        InputDevice(
            number=int(device["index"]),
            name=str(device["name"]),
            channels=int(device["max_input_channels"]),
            sample_rate=round(device["default_samplerate"]),
            is_default=device["index"] == default,
        )
        for device in module.query_devices()
        if device["max_input_channels"] > 0
    ]


class Microphone(Source):
    """Sound from an input device, its channels mixed.

    The device is opened when this is made, at the wanted rate if it takes it and else at its own:
    :attr:`Source.sample_rate` says which.

    Parameters
    ----------
    device
        Number or part of the name; ``None`` is the system's choice.
    sample_rate
        The rate wanted, in Hz; ``None`` is the device's own.

    Raises
    ------
    DeviceError
        If PortAudio is not installed, or there is no such device, or it cannot be opened.
    """

    def __init__(self, device: int | str | None, sample_rate: int | None) -> None:
        self._module = sounddevice()
        chosen = find_device(device)
        self.name = chosen.name
        self._quiet = ExitStack()
        self._is_told_to_stop = False
        with quiet_c_libraries():
            self._stream, rate = self._open(chosen, chosen.sample_rate if sample_rate is None else sample_rate)
        super().__init__(rate)
        self._last_sound = 0.0

    def _open(self, device: InputDevice, wanted: int) -> tuple[Any, int]:
        """Open the device in the first way that it takes."""
        refusal: Exception | None = None
        for rate in dict.fromkeys((wanted, device.sample_rate, 48_000, 44_100)):
            for channels in dict.fromkeys((1, min(2, device.channels), device.channels)):
                try:
                    stream = self._module.InputStream(
                        device=device.number,
                        samplerate=rate,
                        channels=channels,
                        dtype="float32",
                        latency="low",
                        callback=self._take,
                        finished_callback=self._finished,
                    )
                except self._module.PortAudioError as error:
                    refusal = error
                else:
                    return stream, rate
        raise DeviceError(
            f"the input device {device.name} cannot be opened ({_cause(refusal)}); close other programs that record, "
            "or choose another with live.device=... (python infer.py devices=true lists them)"
        ) from refusal

    def start(self) -> None:
        """Begin to record."""
        self._last_sound = time.perf_counter()
        self._quiet.enter_context(quiet_c_libraries())  # the system's libraries comment on a device that goes away
        try:
            self._stream.start()
        except self._module.PortAudioError as error:
            self._stream.close()
            self._quiet.close()
            raise DeviceError(
                f"the input device {self.name} does not start ({_cause(error)}); plug it in again, or choose another "
                "with live.device=..."
            ) from error

    def stop(self) -> None:
        """End the recording."""
        self._is_told_to_stop = True
        try:
            self._stream.close()
        except self._module.PortAudioError as error:  # it was unplugged
            self.failure = self.failure or f"the input device {self.name} failed ({_cause(error)})"
        self._quiet.close()
        self.ring.close()

    def read(self, timeout: float = 0.1) -> NDArray[np.float32] | None:
        """Return the sound that has come; ``None`` when the device is gone."""
        samples = super().read(timeout)
        now = time.perf_counter()
        if samples is None or len(samples):
            self._last_sound = now
        elif now - self._last_sound > STALL_SEC:
            self._is_gone()
        return samples

    def _take(self, samples: NDArray[np.float32], n_frames: int, time_info: Any, status: Any) -> None:
        """Copy what PortAudio has recorded, shape (n_frames, channels); called from its thread."""
        self.ring.write(samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1))
        self.n_overflows += bool(status.input_overflow)

    def _finished(self) -> None:
        """Note that PortAudio has stopped, by itself or because it was told to."""
        if not self._is_told_to_stop:
            self._is_gone()
        self.ring.close()

    def _is_gone(self) -> None:
        self.failure = f"the input device {self.name} gives no more sound: it was unplugged or taken away"
        self.ring.close()


def find_device(device: int | str | None) -> InputDevice:
    """Return the input device of a number or a part of a name; of ``None``, the default one.

    Raises
    ------
    DeviceError
        If there is none.
    """
    devices = input_devices()
    if not devices:
        raise DeviceError("there is no input device; plug in a microphone, or give a file with input=stream:song.wav")
    if device is None:
        return next((known for known in devices if known.is_default), devices[0])
    text = str(device)
    for known in devices:
        if text == str(known.number) or text == known.name:
            return known
    for known in devices:
        if not text.isdecimal() and text.lower() in known.name.lower():
            return known
    listing = ", ".join(f"{known.number}: {known.name}" for known in devices)
    raise DeviceError(f"there is no input device {device}; choose one of {listing}")


def _cause(error: Exception | None) -> str:
    """Return what PortAudio says, without its error numbers."""
    text = str(error.args[0]) if error is not None and error.args else "no reason given"
    return text.partition(" [")[0].rstrip(".")
