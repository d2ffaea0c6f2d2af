r"""Temperature scaling: class probabilities made flatter or sharper by one number.

.. math:: p_T(c \mid x) \propto p(c \mid x)^{1 / T}

with T at the least mean negative log probability of the calibration rows (Guo et al. 2017).
"""

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from scipy.optimize import brentq
from scipy.special import log_softmax, softmax

from posterium._struct import struct
from posterium.evaluate.recalibration.rows import class_rows
from posterium.numerics import mixtures
from posterium.posterior.components.base import draws_last
from posterium.posterior.components.classes import ClassComponents
from posterium.posterior.predictive import ClassPredictive

LARGEST_RATE = 1e6
"""The largest 1 / T that is looked for."""


@struct
class TemperatureScaling:
    """Learn one temperature for the logarithms of class probabilities, by maximum likelihood.

    It corrects confidence that is too high or too low everywhere, from few rows, and changes no
    label. It is applied to the probabilities averaged over draws: averaging flattens them, so that
    draws which are each calibrated are too cautious together (rahaman2021). The scaled predictive
    therefore has no split of its entropy into aleatoric and epistemic, and draws each row alone.

    Raises
    ------
    ValueError
        Where no temperature is the best: the class of every row is the most probable one, so that
        T goes to 0, or the probabilities are worse than equal ones, so that T is infinite.

    Notes
    -----
    The mean log probability is concave in 1 / T (guo2017), so its one root of the slope is found
    to rounding.
    """

    takes: ClassVar[tuple[str, ...]] = ()

    def learn(self, predictive: ClassPredictive, y: Any, weight: np.ndarray) -> "Temperature":
        y = class_rows(predictive, y, self)
        log_probs = np.concatenate([_pooled(block) for block in predictive.components()])
        chosen = log_probs[np.arange(len(y)), y]
        if np.isneginf(chosen[weight > 0]).any():
            raise ValueError(
                f"Expected a probability above 0 of each row's class; "
                f"{int(np.isneginf(chosen).sum())} of {len(y)} rows have 0, which no temperature "
                "changes. Check these rows."
            )
        return Temperature(1 / _best_rate(log_probs, chosen, weight))


@struct
class Temperature:
    """A temperature that was learned.

    Parameters
    ----------
    value
        T: above 1 the predictions were too sure.
    """

    value: Any

    def __call__(self, predictive: ClassPredictive) -> ClassPredictive:
        """Return the predictive at this temperature."""

        def blocks() -> Iterator[ClassComponents]:
            for block in predictive.components():
                scaled = log_softmax(_pooled(block) / self.value, axis=1)
                yield ClassComponents(scaled[None], spread=np.nan)

        def averages() -> tuple[np.ndarray, ...]:
            with np.errstate(divide="ignore"):
                return (softmax(np.log(predictive.probs) / self.value, axis=1),)

        return ClassPredictive(
            blocks, predictive.shape, averages=averages, ordered=predictive.ordered
        )


def _pooled(block: ClassComponents) -> np.ndarray:
    """Return the logarithms of the probabilities averaged over draws, (n, c)."""
    return mixtures.log_mean_exp(draws_last(np.asarray(block.log_probs, np.float64)))


def _best_rate(log_probs: np.ndarray, chosen: np.ndarray, weight: np.ndarray) -> float:
    """Return 1 / T at the least weighted negative log probability of the classes chosen."""
    possible = np.isfinite(log_probs)
    finite = np.where(possible, log_probs, 0.0)

    def slope(rate: float) -> float:
        share = softmax(np.where(possible, rate * finite, -np.inf), axis=1)
        return float(weight @ ((share * finite).sum(axis=1) - chosen))

    if slope(0.0) >= 0:
        raise ValueError(
            "Expected probabilities that say more than equal ones on the calibration rows; these "
            "say less, and no temperature helps. Check the order of the classes and the fit."
        )
    high = 1.0
    while slope(high) <= 0:
        high *= 2
        if high > LARGEST_RATE:
            raise ValueError(
                f"Expected calibration rows of which some are of another class than the most "
                f"probable one; all {len(chosen)} are of it, so that the best temperature is 0. "
                "Give more rows."
            )
    root: Any = brentq(slope, 0.0, high, xtol=1e-14, rtol=1e-14)
    return float(root)
