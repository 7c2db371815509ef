"""What all pictures share: the canvas with its heading, colours, texts that fit, and writing to a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure

from genre.evaluation.files import atomic
from genre.evaluation.metrics import LEAK_WARNING

DPI = 110
INK, FAINT, WARNING = "#222222", "#8a8a8a", "#c0182b"
DARK, LIGHT, ACCENT = "#2b5c8a", "#9dc3e6", "#e07b28"


@dataclass(frozen=True, slots=True)
class Heading:
    """What a picture is of; stands above it.

    Parameters
    ----------
    dataset, protocol, model
        Their names.
    leaky
        Whether the protocol leaks: adds the red warning.
    side
        ``"val"`` or ``"test"``; empty for a picture of both.
    """

    dataset: str
    protocol: str
    leaky: bool
    model: str = ""
    side: str = "test"

    @property
    def text(self) -> str:
        """The facts on one line."""
        side = {"val": "validation"}.get(self.side, self.side)
        return " · ".join(filter(None, (self.dataset, f"protocol {self.protocol}", self.model, side)))


def save_png(figure: Figure, path: Path) -> None:
    """Write a figure to a PNG file, atomically; the same figure gives the same bytes.

    Raises
    ------
    DataError
        When the file cannot be written.
    """
    canvas = FigureCanvasAgg(figure)  # its own writer draws once; figure.savefig draws twice for the layout's sake
    with atomic(path) as temporary:
        canvas.print_png(temporary, metadata={"Software": None})  # type: ignore[no-untyped-call]


def canvas(
    width: float, height: float, subject: str, heading: Heading, *, line: str | None = None
) -> tuple[Figure, SubFigure]:
    """Make a figure with its heading; the part below it is ``width`` (at least 6.5) x ``height`` inches."""
    width = max(width, 6.5)
    head_height = 0.80 if heading.leaky else 0.58
    figure = Figure(figsize=(width, head_height + height), dpi=DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    (head,), (body,) = figure.subfigures(2, 1, squeeze=False, height_ratios=(head_height, height))
    lines = [(subject, 14, "bold", INK), (heading.text if line is None else line, 10, "normal", INK)]
    if heading.leaky:
        lines.append((LEAK_WARNING, 10, "bold", WARNING))
    at = 0.12
    for text, size, weight, colour in lines:
        fitting = int(72 * width / (0.58 * size))
        head.text(
            0.12 / width,
            1 - at / head_height,
            plain(text, fitting),
            va="top",
            fontsize=size,
            fontweight=weight,
            color=colour,
        )
        at += size / 72 * 1.45
    return figure, body


def quiet(axes: Axes) -> None:
    """Take away what distracts from the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9)


def plain(text: str, longest: int = 60) -> str:
    """Shorten a text in its middle, and keep matplotlib from reading dollar signs as formulas."""
    text = " ".join(text.split())
    if len(text) > longest:
        end = longest // 3
        text = f"{text[: longest - end - 1].rstrip()}…{text[-end:].lstrip()}"
    return text.replace("$", r"\$")


def class_name(label: str) -> str:
    """Name of a class as it stands at an axis."""
    return plain(label, 24)
