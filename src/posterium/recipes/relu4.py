"""The network of four weights, f = w1 relu(w0 x + b0) + b1, and its posterior without sampling.

Given the hidden weights (w0, b0) the model is linear with Gaussian noise, so the other two
integrate in closed form. The hidden ones are summed on a grid, whose edges no mass may reach.
"""

from dataclasses import dataclass

import jax
import numpy as np

import posterium as ps

WIDE, POINTS = 40.0, 801
"""The grid over each hidden weight: from minus to plus this, in so many points."""
LOG_2PI = np.log(2 * np.pi)


@dataclass(frozen=True)
class Exact:
    """What is known of the posterior.

    Parameters
    ----------
    log_evidence
        In nats.
    mean, sd
        Of the function at the inputs asked for, (m,).
    left
        Posterior mass of w0 < 0, where the network bends to the left of its hinge.
    """

    log_evidence: float
    mean: np.ndarray
    sd: np.ndarray
    left: float


@dataclass(frozen=True)
class Errors:
    """How far a fit is from what is known.

    Parameters
    ----------
    rmse
        Root mean square error of the mean of the function, over the inputs.
    sd_ratio
        Its sd divided by the exact one, on average over the inputs.
    """

    rmse: float
    sd_ratio: float

    @property
    def wrong(self) -> bool:
        """Whether the mean is off by more than 0.2, or the sd by more than 5 %."""
        return not (self.rmse <= 0.2 and 0.95 <= self.sd_ratio <= 1.05)


def errors(fit: ps.Fit, at: np.ndarray, exact: Exact) -> Errors:
    """Return the errors of a sampler, over all its draws, at the inputs (m, 1) of `exact`."""
    found = ps.predict(jax.random.key(0), fit, at, draws=fit.posterior.size())
    rmse = np.sqrt(np.mean((found.mean[:, 0] - exact.mean) ** 2))
    return Errors(float(rmse), float(np.mean(found.epistemic_sd[:, 0] / exact.sd)))


def model(precision: float) -> ps.Model:
    """Return the network under the prior N(0, I / precision) and noise of variance 1."""
    return ps.Model(ps.MLP(hidden=(1,)), ps.Normal(precision, scaling="none"), ps.Gaussian(1.0))


def exact(
    x: np.ndarray,
    y: np.ndarray,
    precision: float,
    at: np.ndarray,
    *,
    wide: float = WIDE,
    points: int = POINTS,
) -> Exact:
    """Return evidence, and mean and sd of the function, for inputs x (n, 1) and targets y (n,).

    Parameters
    ----------
    x, y
        The data.
    precision
        Of the prior, in one over squared weight units.
    at
        Where to give the function, (m, 1).
    wide, points
        Half width and points of the grid over each hidden weight.
    """
    axis = np.linspace(-wide, wide, points)
    highest, mass, moments = -np.inf, np.zeros(points), np.zeros((2, len(at)))
    for number, w0 in enumerate(axis):
        log_density, powers = _given(w0, axis, x[:, 0], y, precision)
        before, highest = highest, max(highest, log_density.max())
        mass, moments = mass * np.exp(before - highest), moments * np.exp(before - highest)
        weight = np.exp(log_density - highest)
        hidden = np.maximum(w0 * at[:, 0] + axis[:, None], 0)
        mass[number] = weight.sum()
        moments[0] += (weight * powers[0]) @ hidden + weight @ powers[1]
        moments[1] += (weight * powers[2]) @ hidden**2 + (weight * powers[3]) @ hidden
        moments[1] += weight @ powers[4]
    mean, square = moments / mass.sum()
    cell = (axis[1] - axis[0]) ** 2
    return Exact(
        log_evidence=float(highest + np.log(mass.sum() * cell)),
        mean=mean,
        sd=np.sqrt(square - mean**2),
        left=mass[axis < 0].sum() / mass.sum(),
    )


def _given(
    w0: float, b0: np.ndarray, x: np.ndarray, y: np.ndarray, precision: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return log p(y, w0, b0), (g,), and E[w1], E[b1], E[w1^2], 2 E[w1 b1], E[b1^2] given both.

    The design has the columns relu(w0 x + b0) and 1, so its posterior precision is 2 x 2.
    """
    hidden = np.maximum(w0 * x + b0[:, None], 0)
    a, b, d = (hidden**2).sum(1) + precision, hidden.sum(1), len(x) + precision
    determinant = a * d - b**2
    right, total = hidden @ y, y.sum()
    w1, b1 = (d * right - b * total) / determinant, (a * total - b * right) / determinant
    left_over = y @ y - right * w1 - total * b1 + np.log(determinant) + len(x) * LOG_2PI
    log_prior = 2 * np.log(precision) - LOG_2PI - 0.5 * precision * (w0**2 + b0**2)
    squares = w1**2 + d / determinant, 2 * (w1 * b1 - b / determinant), b1**2 + a / determinant
    return log_prior - 0.5 * left_over, np.stack([w1, b1, *squares])
