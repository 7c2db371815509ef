"""Convolutions to a sequence in time and a recurrent network over it, which can listen while the music plays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from genre.errors import ConfigError
from genre.models.base import GenreModule
from genre.models.layers import FeatureNetwork
from genre.models.settings import check_count_lists, check_counts, check_shares, check_switches


class StreamState(NamedTuple):
    """What :meth:`CNNGRU.step` has to remember of the frames heard so far.

    ``state._replace(steps=state.steps.clamp(max=n))`` between two calls lets the decision forget: it is then a mean
    that fades over about n steps instead of one over everything heard.

    Parameters
    ----------
    pending : shape=(B, 1, bins, fewer than ``frames_per_step``)
        Frames that wait until there are enough for a step of the recurrent network.
    before : each of shape=(B, channels, bins, kernel - 1)
        Last inputs of every convolution.
    hidden : shape=(layers, B, hidden)
        State of the recurrent network.
    mean : shape=(B, hidden)
        Mean of its output over all steps so far.
    steps : shape=()
        Number of these steps.
    """

    pending: torch.Tensor
    before: tuple[torch.Tensor, ...]
    hidden: torch.Tensor
    mean: torch.Tensor
    steps: torch.Tensor


class CNNGRU(GenreModule):
    """Causal convolutions, then gated recurrent units; the decision rests on the mean of their output over time.

    The look-ahead is 0 frames: a convolution sees a frame and the ``kernel - 1`` before it (zeros before the first,
    which is the average level once normalised). Frames are pooled in groups of :attr:`frames_per_step`, the product of
    ``pool_frames``. A group is one step of the recurrent network and counts as soon as its last frame is there, so the
    latency is at most ``frames_per_step - 1`` frames, and as many may be left over at the end of a clip. With the
    default settings and front end a group is 4 frames, 93 ms. (The front end centres its windows, and so itself needs
    half a window, 46 ms, of the sound after a frame.)

    Since the decision over a clip rests on the mean over its steps, :meth:`step` gives after n frames, in whatever
    chunks they came, what :meth:`forward` gives for a clip of these n frames.

    Parameters
    ----------
    widths
        Channels of each convolution.
    pool_bins, pool_frames
        Max-pooling after each convolution, along frequency and along time; 1 is none.
    kernel
        Size of all convolutions, in bins and in frames; odd.
    hidden, layers
        Units and layers of the recurrent network.
    use_features
        Whether the features join before the logits, by a stream of their own like that of
        :class:`genre.models.resnet.ResNet34Fusion`.
    feature_hidden, feature_dropout
        Units of the features' hidden layer, and share of them dropped.
    dropout
        Share of values dropped before the recurrent network, between its layers, and before the logits.
    **shared
        See :class:`genre.models.base.GenreModule`.

    Attributes
    ----------
    frames_per_step : int
        Frames that make one step of the recurrent network.

    Raises
    ------
    ConfigError
        If a setting is out of range, or the spectrogram is too small to be pooled that much.
    """

    network: RecurrentNetwork

    def __init__(
        self,
        *,
        widths: Sequence[int] = (32, 64, 96, 128),
        pool_bins: Sequence[int] = (4, 4, 2, 2),
        pool_frames: Sequence[int] = (2, 2, 1, 1),
        kernel: int = 3,
        hidden: int = 128,
        layers: int = 1,
        use_features: bool = False,
        feature_hidden: int = 128,
        feature_dropout: float = 0.2,
        dropout: float = 0.2,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        check_switches(use_features=use_features)
        check_counts(feature_hidden=feature_hidden)
        check_shares(feature_dropout=feature_dropout)
        self.uses_features = use_features
        self.network = recurrent_network(
            self.input_shape,
            len(self.labels),
            widths=widths,
            pool_bins=pool_bins,
            pool_frames=pool_frames,
            kernel=kernel,
            hidden=hidden,
            layers=layers,
            dropout=dropout,
            feature_settings=(feature_hidden, feature_dropout) if use_features else None,
        )
        self.frames_per_step = self.network.convolutions.frames_per_step

    def initial_state(self, batch_size: int = 1) -> StreamState:
        """Return the state in which nothing has been heard yet."""
        return self.network.initial_state(batch_size)

    @torch.no_grad()
    def step(
        self, frames: torch.Tensor, state: StreamState, features: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, StreamState]:
        """Listen to some more frames and return the decision so far; for a model in evaluation mode.

        Parameters
        ----------
        frames : shape=(B, 1, bins, n)
            The next n frames of B streams, as the front end gives them; n may be 0.
        state
            What the step before returned, or :meth:`initial_state`. It is not changed.
        features : shape=(B, 57)
            Features of the sound so far, if the model uses features.

        Returns
        -------
        logits : shape=(B, classes)
            What :meth:`forward` gives for all frames so far.
        state
            For the next step.

        Raises
        ------
        ConfigError
            If the model uses features and there are none.
        """
        if features is None and self.network.feature_stream is not None:
            raise ConfigError("this model was trained with model.use_features=true; give it the features too")
        state = self.network.listen(self.normalized(frames), state)
        return self.network.decide(state.mean, None if features is None else self.standardized(features)), state


def recurrent_network(
    input_shape: tuple[int, int],
    n_classes: int,
    *,
    widths: Sequence[int],
    pool_bins: Sequence[int],
    pool_frames: Sequence[int],
    kernel: int,
    hidden: int,
    layers: int,
    dropout: float,
    feature_settings: tuple[int, float] | None = None,
) -> RecurrentNetwork:
    """Return the network of settings of ``model``, with weights that are drawn anew.

    Parameters
    ----------
    input_shape
        (bins, frames) of a training clip.
    n_classes
        Number of logits.
    widths, pool_bins, pool_frames, kernel, hidden, layers, dropout
        See :class:`CNNGRU`.
    feature_settings
        ``feature_hidden`` and ``feature_dropout`` of :class:`CNNGRU`, checked already; ``None``: no features.

    Raises
    ------
    ConfigError
        If a setting is out of range, or the spectrogram is too small to be pooled that much.
    """
    check_count_lists(widths=widths)
    check_count_lists(len(widths), pool_bins=pool_bins, pool_frames=pool_frames)
    check_counts(kernel=kernel, hidden=hidden, layers=layers)
    check_shares(dropout=dropout)
    if kernel % 2 == 0:
        raise ConfigError(f"model.kernel={kernel} has no middle; choose an odd number such as 3")
    bins, frames = input_shape
    if frames < math.prod(pool_frames) or bins < math.prod(pool_bins):
        raise ConfigError(
            f"model.pool_bins={list(pool_bins)} and model.pool_frames={list(pool_frames)} leave nothing of a "
            f"spectrogram of {bins} x {frames}; pool less, or use longer clips"
        )
    convolutions = CausalConvolutions(bins, widths, pool_bins, pool_frames, kernel)
    feature_stream = None
    if feature_settings is not None:
        feature_hidden, feature_dropout = feature_settings
        feature_stream = FeatureNetwork(feature_hidden, hidden, feature_dropout)
    return RecurrentNetwork(
        convolutions,
        n_classes=n_classes,
        hidden=hidden,
        layers=layers,
        dropout=dropout,
        feature_stream=feature_stream,
    ).to(memory_format=torch.channels_last)


class RecurrentNetwork(nn.Module):
    """Convolutions, recurrent network, and the head on the mean of its output.

    Parameters
    ----------
    convolutions
        From the spectrogram to a sequence.
    n_classes, hidden, layers, dropout
        See :class:`CNNGRU`.
    feature_stream
        From features to a vector of length ``hidden``, or ``None``.
    """

    def __init__(
        self,
        convolutions: CausalConvolutions,
        *,
        n_classes: int,
        hidden: int,
        layers: int,
        dropout: float,
        feature_stream: nn.Module | None,
    ) -> None:
        super().__init__()
        self.convolutions = convolutions
        self.sequence_dropout = nn.Dropout(dropout)
        between = dropout if layers > 1 else 0.0
        self.recurrent = nn.GRU(convolutions.size, hidden, layers, batch_first=True, dropout=between)
        self.feature_stream = feature_stream
        self.norm = nn.Identity() if feature_stream is None else nn.LayerNorm(hidden, elementwise_affine=False)
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(hidden if feature_stream is None else 2 * hidden, n_classes)

    def forward(self, spectrogram: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Return logits (B, classes) of whole clips."""
        state = self.listen(spectrogram, self.initial_state(len(spectrogram)))
        return self.decide(state.mean, features)

    def initial_state(self, batch_size: int) -> StreamState:
        """Return the state in which nothing has been heard yet."""
        weight = self.classify.weight
        hidden = self.recurrent.hidden_size
        return StreamState(
            pending=weight.new_zeros(batch_size, 1, self.convolutions.bins, 0),
            before=tuple(weight.new_zeros(batch_size, *shape) for shape in self.convolutions.before_shapes),
            hidden=weight.new_zeros(self.recurrent.num_layers, batch_size, hidden),
            mean=weight.new_zeros(batch_size, hidden),
            steps=torch.zeros((), dtype=torch.int64, device=weight.device),
        )

    def listen(self, frames: torch.Tensor, state: StreamState) -> StreamState:
        """Return the state after some more frames (B, 1, bins, n)."""
        frames = torch.cat([state.pending, frames], dim=-1)
        whole = frames.shape[-1] - frames.shape[-1] % self.convolutions.frames_per_step
        pending = frames[..., whole:].clone()
        if whole == 0:
            return state._replace(pending=pending)
        sequence, before = self.convolutions(frames[..., :whole], state.before)
        output, hidden = self.recurrent(self.sequence_dropout(sequence), state.hidden)
        steps = state.steps + output.shape[1]
        mean = state.mean + (output - state.mean[:, None]).sum(dim=1) / steps
        return StreamState(pending, before, hidden, mean, steps)

    def decide(self, mean: torch.Tensor, features: torch.Tensor | None) -> torch.Tensor:
        """Return logits (B, classes) of the mean output (B, hidden) and, if they are used, the features (B, 57)."""
        heard = self.norm(mean)
        if self.feature_stream is not None:
            heard = torch.cat([heard, self.feature_stream(features)], dim=1)
        logits: torch.Tensor = self.classify(self.dropout(heard))
        return logits


class CausalConvolutions(nn.Module):
    """Convolutions over bins and past frames, each with max-pooling, batch normalisation and ReLU.

    Pooling comes before the normalisation, which is then cheaper by as much as is pooled.

    Parameters
    ----------
    bins
        Of the spectrogram.
    widths, pool_bins, pool_frames, kernel
        See :class:`CNNGRU`.

    Attributes
    ----------
    size : int
        Values of one step of the sequence.
    before_shapes : list of tuple
        (channels, bins, frames) of what each convolution has to remember.
    """

    def __init__(
        self, bins: int, widths: Sequence[int], pool_bins: Sequence[int], pool_frames: Sequence[int], kernel: int
    ) -> None:
        super().__init__()
        self.bins = bins
        self.frames_per_step = math.prod(pool_frames)
        self.convolutions = nn.ModuleList()
        self.pools = nn.ModuleList()
        self.before_shapes: list[tuple[int, int, int]] = []
        channels = 1
        for width, pool in zip(widths, zip(pool_bins, pool_frames, strict=True), strict=True):
            self.before_shapes.append((channels, bins, kernel - 1))
            self.convolutions.append(nn.Conv2d(channels, width, kernel, padding=(kernel // 2, 0), bias=False))
            self.pools.append(nn.Sequential(nn.MaxPool2d(pool), nn.BatchNorm2d(width), nn.ReLU(inplace=True)))
            channels, bins = width, bins // pool[0]
        self.size = channels * bins

    def forward(
        self, frames: torch.Tensor, before: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """Return the sequence (B, n / frames_per_step, size) of frames (B, 1, bins, n) and what to remember."""
        values, after = frames, []
        for convolution, pool, past in zip(self.convolutions, self.pools, before, strict=True):
            inputs = torch.cat([past, values], dim=-1).contiguous(memory_format=torch.channels_last)
            after.append(inputs[..., inputs.shape[-1] - past.shape[-1] :].clone())
            values = pool(convolution(inputs))
        return values.permute(0, 3, 1, 2).flatten(2), tuple(after)
