"""Gaussian predictions, one a draw; closed forms are a single draw with a spread of its own."""

from dataclasses import dataclass

import numpy as np

from posterium.numerics import mixtures
from posterium.posterior.components.base import Moments, draws_last, over_draws, part_of


@dataclass(frozen=True)
class GaussianComponents:
    """Gaussian predictions of s draws for n rows and k outputs, independent given the draw.

    Parameters
    ----------
    mean
        (s, n, k), in target units. A closed form has s = 1.
    variance
        Variance of the observation noise of each draw, broadcast to (s, n, k): aleatoric.
    function_variance
        Variance of the mean itself that is not in the spread of the draws, as a linearised
        Gaussian posterior has it with s = 1: epistemic.

    Raises
    ------
    ValueError
        Where a mean is not finite, or a total variance is not positive and finite.
    """

    mean: np.ndarray
    variance: np.ndarray
    function_variance: np.ndarray | float = 0.0

    def __post_init__(self) -> None:
        """Bring the fields to float64 and one shape, and check them."""
        mean = np.asarray(self.mean, np.float64)
        if mean.ndim != 3:
            raise ValueError(f"Expected means of shape (draws, rows, outputs); got {mean.shape}.")
        object.__setattr__(self, "mean", mean)
        for name in ("variance", "function_variance"):
            value = np.asarray(getattr(self, name), np.float64)
            object.__setattr__(self, name, np.broadcast_to(value, mean.shape))
        refuse_unsound(mean, self.variance + self.function_variance)

    @property
    def shape(self) -> tuple[int, ...]:
        """Draws, rows, outputs: (s, n, k)."""
        return self.mean.shape

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes; upper bound where variances are shared."""
        return 3 * self.mean.nbytes

    def rows(self, start: int, stop: int) -> "GaussianComponents":
        """Return the components of some of the rows, without a copy."""
        return part_of(self, start, stop)

    def moments(self) -> Moments:
        """Return mean, aleatoric and epistemic variance, (n, k), by the law of total variance."""
        mean = over_draws(self.mean)
        spread = over_draws((self.mean - mean) ** 2)
        return (
            mean,
            over_draws(self.variance),
            spread + over_draws(np.asarray(self.function_variance)),
        )

    def log_prob(self, y: np.ndarray) -> np.ndarray:
        """Return the joint log density of the outputs of each row y (n, k): (n,), in nats."""
        each = mixtures.normal_log_density(y, self.mean, self._sd()).sum(axis=2)
        return mixtures.log_mean_exp(np.ascontiguousarray(each.T))

    def log_density(self, y: np.ndarray) -> np.ndarray:
        """Return the log density of targets under each draw and output, y and answer (s, n, k)."""
        return mixtures.normal_log_density(y, self.mean, self._sd())

    def cdf(self, y: np.ndarray) -> np.ndarray:
        """Return P(Y <= y) of each output, (n, k)."""
        return mixtures.cdf(*self._marginals(), y.reshape(-1)).reshape(y.shape)

    def survival(self, y: np.ndarray) -> np.ndarray:
        """Return P(Y > y) of each output, (n, k)."""
        mean, sd = self._marginals()
        return mixtures.cdf(-mean, sd, -y.reshape(-1)).reshape(y.shape)

    def pit(self, y: np.ndarray) -> np.ndarray:
        """Return `cdf`: a number has no probability of its own."""
        return self.cdf(y)

    def quantile(self, q: float) -> np.ndarray:
        """Return the q-quantile of each output, (n, k)."""
        return mixtures.quantile(*self._marginals(), q).reshape(self.shape[1:])

    def crps(self, y: np.ndarray) -> np.ndarray:
        """Return the continuous ranked probability score of each output, (n, k)."""
        return mixtures.crps(*self._marginals(), y.reshape(-1)).reshape(y.shape)

    def sample(self, generator: np.random.Generator, index: np.ndarray) -> np.ndarray:
        """Draw a target from component index[i] for each i and row: (n, len(index), k)."""
        _, n, k = self.shape
        out = generator.standard_normal((n, len(index), k))
        out *= np.moveaxis(self._sd()[index], 0, 1)
        out += np.moveaxis(self.mean[index], 0, 1)
        return out

    def affine(self, shift: np.ndarray, scale: np.ndarray) -> "GaussianComponents":
        """Return the components of shift + scale * y."""
        return GaussianComponents(
            shift + scale * self.mean, scale**2 * self.variance, scale**2 * self.function_variance
        )

    def _sd(self) -> np.ndarray:
        return np.sqrt(self.variance + self.function_variance)

    def _marginals(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and sd as rows of mixtures, (n * k, s)."""
        mean, sd = draws_last(self.mean), draws_last(self._sd())
        return mean.reshape(-1, mean.shape[-1]), sd.reshape(-1, sd.shape[-1])


def refuse_unsound(mean: np.ndarray, variance: np.ndarray) -> None:
    """Refuse predictions (s, n, k) that are not finite, or whose total variance is not positive."""
    sound = np.isfinite(mean) & np.isfinite(variance) & (variance > 0)
    if not sound.all():
        raise ValueError(
            "Expected finite means and positive, finite variances of every draw; "
            f"{int((~sound).any(axis=(0, 2)).sum())} of {mean.shape[1]} rows have others. Check "
            "the inputs of these rows and the verdict of the fit."
        )
