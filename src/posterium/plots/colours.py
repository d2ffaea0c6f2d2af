"""Colours that stand for numbers, pale enough for lines and points on top, and their bar."""

from typing import Any

import numpy as np

from posterium.plots import style

PALE = 0.75
"""How much of its strength a colour keeps as the ground that points and lines are drawn on."""
MIXED = 0.5
"""The same of the colours of classes, on which their own points lie."""


def probabilities(count: int) -> np.ndarray:
    """Return colours (count, 3) from class 0 over white to class 1: pale blue to pale red."""
    style.pyplot()
    from matplotlib import colormaps

    return _paler(colormaps["RdBu_r"]((np.arange(count) + 0.5) / count)[:, :3])


def densities(count: int) -> np.ndarray:
    """Return greys (count, 3) from white to a middle grey."""
    return np.repeat(np.linspace(1, 1 - PALE * 0.75, count)[:, None], 3, axis=1)


def values(count: int) -> np.ndarray:
    """Return colours (count, 3) from blue to yellow, which a print shows from dark to light."""
    style.pyplot()
    from matplotlib import colormaps

    return _paler(colormaps["cividis"](np.linspace(0, 1, count))[:, :3])


def amounts(count: int) -> np.ndarray:
    """Return colours (count, 3) from white, for nothing, to blue."""
    style.pyplot()
    from matplotlib.colors import to_rgb

    share = np.linspace(0, 1, count)[:, None]
    return _paler(1 - share * (1 - np.array(to_rgb(style.EPISTEMIC))))


def shades(colours: Any, levels: np.ndarray) -> dict[str, Any]:
    """Return options by which an artist has colour i between levels i and i + 1."""
    style.pyplot()
    from matplotlib.colors import BoundaryNorm, ListedColormap

    return {
        "cmap": ListedColormap(np.asarray(colours)),
        "norm": BoundaryNorm(levels, len(colours), clip=True),
    }


def bar(ax: Any, drawn: Any, label: str, ticks: Any = None) -> Any:
    """Put a bar beside the axes that says which colour is which value, at round ones for None."""
    from matplotlib.ticker import MaxNLocator

    if ticks is None:
        low, high = drawn.levels[[0, -1]]
        slack = 1e-9 * (high - low)
        every = MaxNLocator(6).tick_values(low, high)
        ticks = every[(every >= low - slack) & (every <= high + slack)]
    beside = ax.figure.colorbar(drawn, ax=ax, label=label, ticks=ticks)
    beside.outline.set(edgecolor=style.REFERENCE, linewidth=0.5)
    beside.ax.minorticks_off()
    return beside


def crossed(levels: Any, heights: np.ndarray) -> list[float]:
    """Return the levels that heights pass through, in order: matplotlib warns where none is."""
    return [level for level in sorted(levels) if heights.min() < level < heights.max()]


def _paler(colours: np.ndarray) -> np.ndarray:
    return 1 - PALE * (1 - colours)


def blend(probs: np.ndarray) -> np.ndarray:
    """Return the colours of classes mixed by their probabilities (..., c), as (..., 3)."""
    style.pyplot()
    from matplotlib.colors import to_rgb

    pure = [to_rgb(style.CLASSES[i % len(style.CLASSES)]) for i in range(probs.shape[-1])]
    return np.clip(1 - MIXED * (1 - probs @ np.array(pure)), 0, 1)
