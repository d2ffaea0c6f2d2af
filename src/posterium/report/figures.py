"""Figures as SVG inside the page: no width of their own, colours and fonts of the page."""

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from typing import Any
from xml.etree import ElementTree

from posterium.plots import style

WIDTH, HEIGHT = 4.2, 3.1
"""Of a panel, in inches: two stand side by side on a desktop, one on a phone."""
MOST_TICKS = 6
"""Steps along an axis at most."""

COLOURS = {
    style.DATA: "ink",
    style.PAPER: "card",
    style.REFERENCE: "muted",
    "#d0d0d0": "rule",
    "#0072B2": "blue",
    "#E69F00": "orange",
    "#D55E00": "red",
    "#009E73": "green",
    "#CC79A7": "pink",
}
"""Colours of the figures, by the variable of the page that takes their place."""

VARIABLES = {colour.lower(): name for colour, name in COLOURS.items()}
COLOUR = re.compile("|".join(COLOURS), re.IGNORECASE)
IDENTIFIER = re.compile(r"(^#|url\(#)")

LOOK = {
    "svg.fonttype": "none",
    "svg.hashsalt": "posterium",
    "font.size": 9.6,
    "font.family": ["sans-serif"],
    "text.parse_math": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.edgecolor": style.REFERENCE,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#d0d0d0",
    "grid.linewidth": 0.5,
    "xtick.color": style.REFERENCE,
    "ytick.color": style.REFERENCE,
    "xtick.labelcolor": style.DATA,
    "ytick.labelcolor": style.DATA,
    "legend.facecolor": style.PAPER,
    "legend.edgecolor": style.PAPER,
    "axes.formatter.useoffset": False,
    "axes.unicode_minus": True,
}


@dataclass(frozen=True)
class Figure:
    """A figure of the page.

    Parameters
    ----------
    title
        What it shows, in a few words.
    svg
        The drawing.
    caption
        How to read it, and what it says here.
    """

    title: str
    svg: str
    caption: str = ""


class Sheet:
    """Draws the figures of one page, each with identifiers of its own."""

    def __init__(self) -> None:
        self._count = 0

    def figure(
        self,
        title: str,
        draw: Callable[[Any], Any],
        caption: str = "",
        *,
        height: float = HEIGHT,
    ) -> Figure:
        """Return what `draw(ax)` draws, as a figure."""
        style.pyplot()
        import matplotlib
        from matplotlib.ticker import AutoLocator

        self._count += 1
        text = StringIO()
        with matplotlib.rc_context(LOOK), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"Glyph .* missing")
            sheet = style.figure(WIDTH, height)
            ax = sheet.subplots()
            draw(ax)
            for axis in (ax.xaxis, ax.yaxis):
                if isinstance(axis.get_major_locator(), AutoLocator):
                    axis.get_major_locator().set_params(nbins=MOST_TICKS)
            sheet.savefig(text, format="svg", metadata={"Date": None})
        return Figure(title, inline(text.getvalue(), f"f{self._count}", title), caption)


def inline(svg: str, name: str, title: str) -> str:
    """Return a drawing of matplotlib's as it may stand in a page beside others.

    Parameters
    ----------
    svg
        A whole SVG file.
    name
        What its identifiers begin with.
    title
        What a screen reader says.
    """
    root = ElementTree.fromstring(svg[svg.index("<svg") :])
    box = root.get("viewBox", "")
    for node in root.iter():
        node.tag = node.tag.rpartition("}")[2]
        attributes = {key.rpartition("}")[2]: value for key, value in node.items()}
        node.attrib.clear()
        for key, value in attributes.items():
            node.set(key, f"{name}-{value}" if key == "id" else _renamed(value, name))
        for inner in [child for child in node if child.tag.endswith(("}metadata", "}style"))]:
            node.remove(inner)
        if not (node.tag == "text" or (node.text or "").strip()):
            node.text = None
        node.tail = None
    root.attrib.clear()
    root.attrib.update({"viewBox": box, "role": "img", "aria-label": title})
    return ElementTree.tostring(root, encoding="unicode")


def _renamed(value: str, name: str) -> str:
    """Return an attribute with identifiers and colours of the page's own."""
    value = IDENTIFIER.sub(rf"\g<1>{name}-", value) if "#" in value else value
    return COLOUR.sub(lambda found: f"var(--{VARIABLES[found.group().lower()]})", value)
