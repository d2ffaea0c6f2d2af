"""R2.plots: drawn predictions one by one, all of them together, and a figure that follows a fit.

There is no number to meet: the demands are on the figures, by what they show and when.
"""

import functools
import io
import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

import posterium as ps
from posterium.driver.watch import Report
from posterium.plots.intervals import interval_band
from posterium.plots.regression import regression_band
from posterium.plots.style import figure
from posterium.recipes import clusters
from posterium.recipes.runner import Drawing, Outcome, close, recipe

SUMMARY = "drawn predictions one by one and together, and a figure refreshed while fitting"
EVERY, SHOWN, DRAWS = 50, 4, 100
"""Epochs from one figure of VI to the next; predictions shown one by one, and all together."""
LOOK = {"xlim": clusters.BEYOND, "ylim": (-3.0, 3.0)}
"""What all figures span."""
SIZE = (6.0, 4.0)
SO_FAR = "Predictions so far"
"""Title of every live figure, so that pictures differ by what is predicted alone."""


class Album:
    """A callback that takes away the picture that a live figure wrote, after each refresh.

    Parameters
    ----------
    path
        Of the picture.
    every
        As of the live figure.
    """

    def __init__(self, path: Path, every: int) -> None:
        self.path, self.every = path, every
        self.steps: dict[str, list[int]] = {}
        self.pages: list[np.ndarray] = []

    def __call__(self, report: Report) -> None:
        """Take the picture, if there is one."""
        if self.path.exists():
            self.steps.setdefault(report.phase, []).append(report.step)
            self.pages.append(pixels(self.path.read_bytes()))
            self.path.unlink()


def pixels(png: bytes) -> np.ndarray:
    """Return a picture as numbers, (height, width, 4)."""
    from matplotlib.image import imread

    return imread(io.BytesIO(png))


def watched(key: jax.Array, data: ps.Data, method: Any, every: int) -> tuple[ps.Fit, Album]:
    """Fit under a live figure; return the fit and all pictures."""
    model = clusters.network(ps.HeteroscedasticGaussian())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "live.png"
        draw = functools.partial(together, data)
        album = Album(path, every)
        live = ps.LivePlot(draw, every=every, path=path, size=SIZE)
        return ps.fit(key, model, data, method, callbacks=[live, album]), album


def predicted(fit: ps.Fit) -> Any:
    """Return the predictive all over the grid."""
    return ps.predict(jax.random.key(0), fit, clusters.test_grid(), draws=DRAWS)


def together(data: ps.Data, ax: Any, fit: ps.Fit, title: str = SO_FAR) -> Any:
    """Draw all predictions together, with a band for each kind of uncertainty."""
    found = predicted(fit)
    regression_band(clusters.test_grid(), found, data=(data.x, data.y), title=title, ax=ax)
    ax.set(**LOOK)
    return ax


def alone(data: ps.Data, mean: np.ndarray, sd: np.ndarray, number: int, ax: Any) -> Any:
    """Draw what one draw predicts: its mean, and two of its noise sds around it."""
    band = {"its noise, 2 sd": (mean - 2 * sd, mean + 2 * sd)}
    interval_band(
        clusters.test_grid(), band, mean=mean, data=(data.x, data.y), title=f"Draw {number}", ax=ax
    )
    ax.set(**LOOK)
    return ax


def page(picture: np.ndarray, title: str, ax: Any) -> Any:
    """Show a picture as it was written."""
    ax.imshow(picture)
    ax.set_axis_off()
    ax.set_title(title, fontsize="medium")
    return ax


def edges(ax: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return lower and upper edge of each band that was drawn over the grid."""
    found = []
    for band in (one for one in ax.collections if hasattr(one, "get_paths")):
        x, y = band.get_paths()[0].vertices.T
        at = [y[np.isclose(x, place)] for place in clusters.test_grid()[:, 0]]
        if all(map(len, at)):
            found.append((np.array([min(one) for one in at]), np.array([max(one) for one in at])))
    return found


def changes(pages: Sequence[np.ndarray]) -> list[bool]:
    """Say of each picture but the first whether it differs from the one before it."""
    return [not np.array_equal(*pair) for pair in itertools.pairwise(pages)]


@recipe("R2.plots", SUMMARY, fast="500 epochs instead of 2,000, 8 draws of NUTS instead of 32")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Hold the figures against the draws, and the pictures against the steps they are due at."""
    data, epochs, draws = clusters.data(), 500 if fast else clusters.EPOCHS, 8 if fast else 32
    fit, film = watched(key, data, clusters.svi(steps=epochs), EVERY)
    nuts = ps.NUTS(warmup=100, draws=draws, chains=2, max_depth=6, modes=0)
    sampled, strip = watched(key, data, nuts, 1)

    (block,) = predicted(fit).components()
    means, variances = block.mean[..., 0], block.variance[..., 0]
    mean, epistemic = means.mean(axis=0), means.std(axis=0)
    sd = np.sqrt(epistemic**2 + variances.mean(axis=0))
    one_by_one: list[Drawing] = [
        functools.partial(alone, data, means[i], np.sqrt(variances[i]), i + 1) for i in range(SHOWN)
    ]
    singles = [draw(ax=figure(*SIZE).subplots()) for draw in one_by_one]
    sheet = figure(*SIZE)
    whole = together(data, sheet.subplots(), fit)
    written = io.BytesIO()
    sheet.savefig(written, format="png", dpi=100)

    bands = edges(whole)
    half = 2 * np.sqrt(variances[:SHOWN])
    return Outcome(
        {
            "pictures": len(film.pages),
            "pictures_of_draws": len(strip.pages),
            "verdicts": [str(fit.verdict), str(sampled.verdict)],
        },
        {
            "each_draw_alone": all(
                close(ax.lines[0].get_ydata(), means[i], 1e-9)
                and close(edges(ax)[0], (means[i] - half[i], means[i] + half[i]), 1e-9)
                for i, ax in enumerate(singles)
            ),
            "epistemic_band_by_hand": close(
                bands[0], (mean - 2 * epistemic, mean + 2 * epistemic), 1e-4
            ),
            "whole_band_by_hand": close(
                (np.min(bands, axis=0)[0], np.max(bands, axis=0)[1]),
                (mean - 2 * sd, mean + 2 * sd), 1e-4,
            ),
            "a_picture_every_50_epochs":
                film.steps["ascent"] == list(range(EVERY, epochs + 1, EVERY)),
            "a_picture_every_draw":
                strip.steps["sampling"] == list(range(1, draws + 1)),
            "pictures_change": all(changes(film.pages[: epochs // EVERY])),
            "pictures_of_draws_change": any(changes(strip.pages)),
            "the_last_picture_is_of_the_fit":
                np.array_equal(film.pages[-1], pixels(written.getvalue())),
        },
        {
            "one-by-one": one_by_one,
            "together": lambda ax: together(data, ax, fit, f"{DRAWS} draws together"),
            "while-fitting": [
                functools.partial(page, film.pages[at], f"After {EVERY * (at + 1):,} epochs")
                for at in (0, epochs // EVERY // 2 - 1, epochs // EVERY - 1)
            ],
        },
    )  # fmt: skip
