"""What the pages of reports are made of: one self-contained document, tables, pictures, sound, curves.

A page needs no network and no script: style, pictures and sound are inside, and its own policy forbids it to load
anything. It follows the reader's light or dark setting; on a narrow screen wide tables scroll within themselves.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from genre.evaluation.metrics import ClassScores
from genre.evaluation.page_style import STYLE

POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"

CURVE_WIDTH, CURVE_HEIGHT = 460, 260
LEFT, RIGHT, TOP, BOTTOM = 50, 12, 10, 44
"""Margins of a curve's panel for its axes."""


def text(value: object) -> str:
    """Return a text as it may stand in HTML; bytes of a file name that are not text are shown as such."""
    return escape(str(value).encode("utf-8", "replace").decode())


def document(title: str, body: str) -> str:
    """Return a whole page.

    Parameters
    ----------
    title
        Plain text.
    body
        HTML of what stands between ``<main>`` and ``</main>``.
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f'<title>{text(title)}</title>\n<link rel="icon" href="data:,">\n<style>{STYLE}</style>\n</head>\n'
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def section(title: str, *parts: str, level: int = 2) -> str:
    """Return a section with its heading; nothing if there are no parts."""
    inside = "\n".join(filter(None, parts))
    return f"<section>\n<h{level}>{text(title)}</h{level}>\n{inside}\n</section>" if inside else ""


def folded(title: str, *parts: str, is_open: bool = False) -> str:
    """Return parts that show when their title is clicked."""
    inside = "\n".join(filter(None, parts))
    return f"<details{' open' if is_open else ''}>\n<summary>{text(title)}</summary>\n{inside}\n</details>"


def paragraph(words: str, kind: str = "") -> str:
    """Return a paragraph of plain text; ``kind`` is a class of the style."""
    return f"<p{_class(kind)}>{text(words)}</p>"


def facts(pairs: Iterable[tuple[str, str]], kind: str = "facts") -> str:
    """Return names and values as a list of descriptions."""
    items = "".join(f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in pairs)
    return f"<dl{_class(kind)}>{items}</dl>"


def code(words: str) -> str:
    """Return lines as they are, such as a command."""
    return f'<pre tabindex="0"><code>{text(words)}</code></pre>'


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], *, texts: Collection[int] = ()) -> str:
    """Return a table that scrolls within itself; its first column and those numbered in ``texts`` are flush left.

    Names of columns and cells are HTML.
    """
    kind = [_class("" if column == 0 else "t" if column in texts else "n") for column in range(len(head))]
    names = "".join(f'<th scope="col"{of}>{name}</th>' for of, name in zip(kind, head, strict=True))
    lines = []
    for first, *rest in rows:
        cells = "".join(f"<td{of}>{cell}</td>" for of, cell in zip(kind[1:], rest, strict=True))
        lines.append(f'<tr><th scope="row">{first}</th>{cells}</tr>')
    return _scrolling(
        caption,
        f"<table><caption>{text(caption)}</caption><thead><tr>{names}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table>",
    )


def bullets(items: Iterable[str]) -> str:
    """Return a list of plain texts; nothing if there are none."""
    lines = "".join(f"<li>{text(item)}</li>" for item in items)
    return f'<ul class="notes">{lines}</ul>' if lines else ""


def picture(png: bytes, alt: str, *, kind: str = "") -> str:
    """Return a PNG picture that is inside the page."""
    return f'<img{_class(kind)} alt="{text(alt)}" src="data:image/png;base64,{_base64(png)}">'


def figure(png: bytes, alt: str) -> str:
    """Return a PNG picture with its words below; a wide one scrolls within itself."""
    return f"<figure>{_scrolling(alt, picture(png, alt))}<figcaption>{text(alt)}</figcaption></figure>"


def player(flac: bytes, name: str) -> str:
    """Return an audio player of a FLAC file that is inside the page."""
    source = f"data:audio/flac;base64,{_base64(flac)}"
    return f'<audio controls preload="metadata" aria-label="{text(name)}" src="{source}"></audio>'


def confusion_table(caption: str, matrix: NDArray[np.int64], labels: Sequence[str]) -> str:
    """Return a confusion matrix (rows: true, columns: predicted) whose cells are shaded by their share of the row."""
    names = "".join(f'<th scope="col"><span>{text(label)}</span></th>' for label in labels)
    lines = []
    for number, (label, row) in enumerate(zip(labels, matrix, strict=True)):
        share = row / max(int(row.sum()), 1)
        cells = "".join(
            f'<td{_class(_shade(part, right=column == number))} style="--s:{part:.2f}">{count or ""}</td>'
            for column, (count, part) in enumerate(zip(row.tolist(), share.tolist(), strict=True))
        )
        lines.append(f'<tr><th scope="row">{text(label)}</th>{cells}</tr>')
    head = f'<tr><th scope="col" class="corner">true \\ predicted</th>{names}</tr>'
    return _scrolling(
        caption,
        f'<table class="matrix"><caption>{text(caption)}</caption><thead>{head}</thead>'
        f"<tbody>{''.join(lines)}</tbody></table>",
    )


def _shade(share: float, *, right: bool) -> str:
    return " ".join(filter(None, ("right" if right else "", "full" if share > 0.5 else "")))


def genre_bars(caption: str, scores: Sequence[ClassScores]) -> str:
    """Return precision, recall and F1 of every class, with a bar for the F1."""
    rows = [
        (
            text(score.label),
            f'<span class="bar"><span style="width:{100 * score.f1:.1f}%"></span></span>',
            f"{score.f1:.2f}",
            f"{score.precision:.2f}",
            f"{score.recall:.2f}",
            f"{score.support:,}",
        )
        for score in scores
    ]
    return table(caption, ("genre", "", "F1", "precision", "recall", "of them"), rows, texts=(1,))


@dataclass(frozen=True, slots=True)
class Curve:
    """A line in a panel.

    Parameters
    ----------
    name
        As the legend calls it.
    kind
        ``"train"``, ``"val"`` or ``"test"``, which has a colour; ``" dashed"`` may follow.
    points
        (epoch, value), shape (n, 2).
    """

    name: str
    kind: str
    points: NDArray[np.float64]


def curves(title: str, lines: Sequence[Curve], *, low: float | None = None, high: float | None = None) -> str:
    """Return curves over the epochs as a drawing with axes and legend.

    ``low`` and ``high`` fix the ends of the vertical axis, which otherwise are those of the values.
    """
    values = np.concatenate([line.points for line in lines])
    bottom = float(values[:, 1].min()) if low is None else low
    top = float(values[:, 1].max()) if high is None else high
    top = top if top > bottom else bottom + 1.0
    first, last = float(values[:, 0].min()), float(values[:, 0].max())
    last = last if last > first else first + 1.0

    def place(epoch: float, value: float) -> tuple[float, float]:
        x = LEFT + (epoch - first) / (last - first) * (CURVE_WIDTH - LEFT - RIGHT)
        y = TOP + (top - value) / (top - bottom) * (CURVE_HEIGHT - TOP - BOTTOM)
        return round(x, 1), round(y, 1)

    parts = []
    for value in ticks(bottom, top):
        _, y = place(first, value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{CURVE_WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 5}" text-anchor="end">{value:g}</text>')
    for epoch in ticks(first, last, whole=True):
        x, _ = place(epoch, bottom)
        parts.append(f'<text x="{x}" y="{CURVE_HEIGHT - BOTTOM + 18}" text-anchor="middle">{epoch:g}</text>')
    parts.append(f'<text x="{CURVE_WIDTH / 2}" y="{CURVE_HEIGHT - 6}" text-anchor="middle">epoch</text>')
    for line in lines:
        spots = [place(*point) for point in line.points.tolist()]
        parts.append(f'<polyline class="{line.kind}" points="{" ".join(f"{x},{y}" for x, y in spots)}"/>')
        if len(spots) == 1:
            parts.append(f'<circle class="{line.kind}" cx="{spots[0][0]}" cy="{spots[0][1]}" r="3"/>')
    legend = "".join(f'<li class="{line.kind}">{text(line.name)}</li>' for line in lines)
    ends = "; ".join(f"{line.name} from {line.points[0, 1]:.3g} to {line.points[-1, 1]:.3g}" for line in lines)
    return (
        f'<figure class="curves"><svg viewBox="0 0 {CURVE_WIDTH} {CURVE_HEIGHT}" role="img" '
        f'aria-label="{text(f"{title} by epoch: {ends}")}">{"".join(parts)}</svg>'
        f'<figcaption>{text(title)}<ul class="legend">{legend}</ul></figcaption></figure>'
    )


def ticks(low: float, high: float, *, whole: bool = False) -> list[float]:
    """Return round numbers from ``low`` to ``high`` for an axis, about five.

    >>> ticks(0.0, 1.0), ticks(1, 7, whole=True)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [2.0, 4.0, 6.0])
    """
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    step = max(step, 1.0) if whole else step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def _scrolling(name: str, inside: str) -> str:
    """Return what may be wider than the page; it scrolls within itself, by keys too."""
    return f'<div class="scroll" role="region" aria-label="{text(name)}" tabindex="0">{inside}</div>'


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
