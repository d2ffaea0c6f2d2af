"""R4.bands: the band of 90 % over rows fitted and held out, under a fixed and a learned noise.

The source fixes a noise sd of 0.1 and draws the band of the functions alone; the noise of the data
is 1.5, so it holds a fifth to a quarter of them. With the noise learned, and in it, it is right.
That takes 10,000 epochs: after 5,000 the noise is still 1.57, and 0.92 of the rows are inside.
"""

from typing import Any

import jax
import numpy as np

import posterium as ps
from posterium.datasets.reference import cubic
from posterium.plots.intervals import interval_band
from posterium.recipes.r4_bbb import EPOCHS, FEWER, NOISE, fitted
from posterium.recipes.runner import Drawing, Outcome, recipe

SUMMARY = "the band of 90 % from 1,000 draws, under the source's noise and a learned one"
LONGER = 2 * EPOCHS
"""Epochs that a learned noise takes."""
Band = tuple[np.ndarray, np.ndarray]


def of_functions(predictive: Any) -> Band:
    """Return the 5 % and 95 % quantiles of the drawn functions, without noise, (n,) each."""
    ends = [np.quantile(c.mean[..., 0], (0.05, 0.95), axis=0) for c in predictive.components()]
    low, high = np.concatenate(ends, axis=1)
    return low, high


def coverage(band: Band, y: np.ndarray) -> float:
    """Return the share of targets inside a band."""
    return float(np.mean((band[0] <= y) & (y <= band[1])))


@recipe(
    "R4.bands",
    SUMMARY,
    fast="1,000 epochs instead of 5,000 and 10,000, 100 draws on every 10th row",
)
def run(key: jax.Array, fast: bool) -> Outcome:
    """Count the targets inside the bands of both fits, on both parts of the data."""
    draws, every = (100, 10) if fast else (1_000, 1)
    parts = {name: (x[::every], y[::every])
             for name, (x, y) in zip(("train", "validation"), cubic(), strict=True)}  # fmt: skip
    fits = {
        "fixed": fitted(key, ps.Gaussian(NOISE), FEWER if fast else EPOCHS),
        "learned": fitted(key, ps.Gaussian(ps.learn(1.0, floor=1e-3)), FEWER if fast else LONGER),
    }
    bands: dict[str, dict[str, dict[str, Band]]] = {}
    for name, fit in fits.items():
        found = {part: ps.predict(key, fit, x, draws=draws) for part, (x, _) in parts.items()}
        bands[name] = {
            part: {"with noise": p.squeezed().interval(0.9), "functions": of_functions(p)}
            for part, p in found.items()
        }
    covered = {
        f"{name}_{part}_{kind.replace(' ', '_')}": coverage(band, parts[part][1])
        for name, of in bands.items() for part, kinds in of.items() for kind, band in kinds.items()
    }  # fmt: skip

    def drawn(name: str, title: str) -> Drawing:
        return lambda ax: interval_band(
            parts["validation"][0], bands[name]["validation"], data=parts["validation"], ax=ax,
            title=title,
        )  # fmt: skip

    learned = float(fits["learned"].model.likelihood.scale.value)
    at_full_length = {
        **{f"learned_noise_covers_{part}": 0.88 <= covered[f"learned_{part}_with_noise"] <= 0.92
           for part in parts},
        **{f"fixed_noise_covers_less_than_0.5_of_{part}":
           covered[f"fixed_{part}_with_noise"] < 0.5 for part in parts},
        "learned_noise_within_5_percent": abs(learned / 1.5 - 1) <= 0.05,
    }  # fmt: skip
    return Outcome(
        {"learned_noise": learned, **covered,
         "verdicts": [str(fit.verdict) for fit in fits.values()]},
        {
            **(dict.fromkeys(at_full_length) if fast else at_full_length),
            "learned_noise_covers_more_than_the_fixed":
                covered["learned_validation_with_noise"] > covered["fixed_validation_with_noise"],
        },
        {"bands": [drawn("fixed", f"Noise sd fixed at {NOISE}"),
                   drawn("learned", f"Noise sd learned: {learned:.2f}")]},
    )  # fmt: skip
