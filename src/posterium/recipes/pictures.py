"""The pictures of a recipe: one file a plot, or one a panel for pages that are narrow."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Drawing = Callable[..., Any]
"""Called with `ax=`, the axes to draw on."""
PANEL = (6.4, 4.6)
"""Width and height of one panel, in inches."""
DOTS = 120
"""Dots per inch."""


def write(
    id: str, plots: Mapping[str, Drawing | Sequence[Drawing]], out: str | Path, *, apart: bool
) -> list[str]:
    """Write plots as ``<id>-<name>.png`` and return the names of the files.

    Parameters
    ----------
    id
        Of the recipe.
    plots
        By name what draws on the `ax` given, or several that draw side by side.
    out
        Folder, made when missing.
    apart
        Draw each panel of several as a picture of its own, ``<id>-<name>-<number>.png``.
    """
    from posterium.plots.style import figure

    folder, written = Path(out), []
    folder.mkdir(parents=True, exist_ok=True)
    for name, panels in sheets(plots, apart).items():
        sheet = figure(PANEL[0] * len(panels), PANEL[1])
        for ax, drawing in zip(np.ravel(sheet.subplots(1, len(panels))), panels, strict=True):
            drawing(ax=ax)
        written.append(f"{id}-{name}.png")
        sheet.savefig(folder / written[-1], dpi=DOTS)
    return written


def sheets(
    plots: Mapping[str, Drawing | Sequence[Drawing]], apart: bool
) -> dict[str, Sequence[Drawing]]:
    """Return what is drawn on each sheet, by name."""
    found: dict[str, Sequence[Drawing]] = {}
    for name, drawings in plots.items():
        panels = drawings if isinstance(drawings, Sequence) else (drawings,)
        if apart and len(panels) > 1:
            found |= {f"{name}-{number}": (one,) for number, one in enumerate(panels, start=1)}
        else:
            found[name] = panels
    return found
