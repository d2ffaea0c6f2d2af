r"""Variance scaling: the spread of numeric predictions made wider or narrower by one factor.

.. math:: y' = m(x) + s\, (y - m(x)), \qquad \log p'(y) = \log p(m + (y - m) / s) - k \log s

with m the predictive mean, and s at the least mean negative log density of the calibration rows;
of Gaussian predictions :math:`s^2 = \mathrm{mean}\, (y - m)^2 / \mathrm{sd}^2` (Laves et al. 2020).
"""

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from scipy.optimize import minimize_scalar

from posterium._struct import struct
from posterium.evaluate.recalibration.rows import number_rows, refuse_steps
from posterium.posterior.components.base import Components
from posterium.posterior.predictive import RegressionPredictive

LOG_FACTORS = np.linspace(-9.0, 9.0, 37)
"""Logarithms of the factors that are tried before the best is refined."""


@struct
class VarianceScaling:
    """Learn one factor for the predictive sd, by maximum likelihood; the mean stays.

    It corrects intervals that are too narrow or too wide everywhere, from few rows, and gives a
    whole predictive distribution. The mixture over draws keeps its shape: every component moves
    away from the mean of the mixture, or towards it, as its own sd grows or shrinks. Aleatoric and
    epistemic variance are both multiplied by the square of the factor. Several outputs share it.

    Raises
    ------
    ValueError
        Where the target has no density (counts), the predictions have no mean, or targets lie on
        the mean so that the factor goes to 0.
    """

    takes: ClassVar[tuple[str, ...]] = ()

    def learn(
        self, predictive: RegressionPredictive, y: Any, weight: np.ndarray
    ) -> "VarianceFactor":
        y = number_rows(predictive, y, self)
        refuse_steps(predictive, y, self)
        mean = np.reshape(predictive.mean, y.shape)
        if not np.isfinite(mean).all():
            raise ValueError(
                "VarianceScaling expects predictions with a mean; these have tails too heavy for "
                "one. Take IsotonicRecalibration() or ConformalisedQuantiles()."
            )

        def loss(log_factor: float) -> float:
            at = mean + (y - mean) / np.exp(log_factor)
            density = np.average(predictive.log_prob(at), weights=weight)
            return y.shape[1] * log_factor - float(density)

        place = int(np.argmin([loss(value) for value in LOG_FACTORS]))
        if place in (0, len(LOG_FACTORS) - 1):
            raise ValueError(
                f"Expected a factor between {np.exp(LOG_FACTORS[0]):.1g} and "
                f"{np.exp(LOG_FACTORS[-1]):.1g}; the best one is outside. Check that targets and "
                "predictions are in the same unit, and that targets are not the predictions."
            )
        bounds = (LOG_FACTORS[place - 1], LOG_FACTORS[place + 1])
        best: Any = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-9})
        return VarianceFactor(float(np.exp(best.x)))


@struct
class VarianceFactor:
    """A factor of the sd that was learned.

    Parameters
    ----------
    value
        By what the sd is multiplied: above 1 the predictions were too sure.
    """

    value: Any

    def __call__(self, predictive: RegressionPredictive) -> RegressionPredictive:
        """Return the predictive with its sd times the factor around the same mean."""

        def blocks() -> Iterator[Components]:
            shift, done = (1 - self.value) * mean, 0
            for block in predictive.components():
                rows = slice(done, done + block.shape[1])
                yield block.affine(shift[rows], np.asarray(self.value, np.float64))
                done = rows.stop

        def averages() -> tuple[np.ndarray, ...]:
            parts = (predictive.aleatoric_var, predictive.epistemic_var)
            return mean, *(self.value**2 * part.reshape(mean.shape) for part in parts)

        mean = np.reshape(predictive.mean, predictive.shape)
        return RegressionPredictive(
            blocks, predictive.shape, averages=averages, squeeze=predictive.mean.ndim == 1,
            levels=predictive.levels, sampling=predictive.sampling,
        )  # fmt: skip
