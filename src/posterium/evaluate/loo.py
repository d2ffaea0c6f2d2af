r"""Leave-one-out: how well a model predicts rows it was fitted to, as if each had been left out.

.. math:: \mathrm{elpd} = \sum_i \log p(y_i \mid y_{-i}), \qquad
   p(y_i \mid y_{-i}) \approx \sum_s \tilde w_{is}\, p(y_i \mid f_s(x_i)), \quad
   \tilde w_{is} \propto 1 / p(y_i \mid f_s(x_i)) \text{ smoothed}

over draws f_s of one fit (Vehtari, Gelman and Gabry 2017; Pareto smoothing of Vehtari, Simpson,
Gelman, Yao and Gabry 2024), or by the widely applicable information criterion (Watanabe 2010).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import logsumexp

from posterium.evaluate import draws as by_draw
from posterium.evaluate.psis import LEAST_DRAWS, smoothed
from posterium.evaluate.scores.rows import Score
from posterium.model.data import Data
from posterium.posterior.fit import Fit

DRAWS = 1000
"""Draws of a posterior that has no number of its own."""
K_OK = 0.7
VARIANCE_OK = 0.4
"""Variance of a row's log likelihood up to which WAIC can be relied on, in nats squared."""


@dataclass(frozen=True)
class Elpd:
    """The expected log predictive density of rows that were left out, summed over the data.

    Parameters
    ----------
    criterion
        ``"LOO"`` or ``"WAIC"``.
    pointwise
        Contribution of each row, (n,), in nats.
    p_pointwise
        Effective number of parameters that each row takes, (n,).
    k_hat
        Pareto k-hat of each row, (n,), of LOO; NaN for WAIC.
    weight
        Weight of each row, (n,): a row of weight 2 counts as two rows.
    """

    criterion: str
    pointwise: np.ndarray
    p_pointwise: np.ndarray
    k_hat: np.ndarray
    weight: np.ndarray

    @property
    def elpd(self) -> float:
        """Expected log predictive density of all rows, in nats; higher is better."""
        return _total(self.pointwise, self.weight).value

    @property
    def se(self) -> float:
        """Standard error of `elpd` over rows, in nats."""
        return _total(self.pointwise, self.weight).se

    @property
    def p(self) -> float:
        """Effective number of parameters: what is lost against rows that were seen, in nats."""
        return float(self.weight @ self.p_pointwise)

    @property
    def warning(self) -> str:
        """What is wrong with the estimate and what to do, or nothing."""
        if self.criterion == "WAIC":
            bad = int((self.p_pointwise > VARIANCE_OK).sum())
            text = f"the log likelihood varies by more than {VARIANCE_OK} nats squared. Use loo."
        else:
            bad = int((~(self.k_hat <= K_OK)).sum())
            text = (
                f"k-hat is above {K_OK}: the fit without the row is too far from the fit with it. "
                "Fit again without these rows, or score rows held out."
            )
        return f"At {bad} of {len(self.pointwise)} rows {text}" if bad else ""

    def __repr__(self) -> str:
        text = f"{self.criterion}: elpd {self.elpd:.2f} +- {self.se:.2f} nats, p {self.p:.2f}, "
        return f"{text}{len(self.pointwise):,} rows. {self.warning}".strip()


def loo(key: jax.Array, fit: Fit, data: Data, *, draws: int = DRAWS) -> Elpd:
    """Return the leave-one-out log predictive density of fitted rows, without fitting again.

    Use it to compare models of the same rows by `compare`. Draws count as draws from the posterior:
    of an approximation (`VI`, `Laplace`, an ensemble of these) the answer is about the
    approximation, and `k_hat` does not see how far that is from the posterior. In the units of the
    data; a change of the target's unit shifts it.

    Parameters
    ----------
    key
        Typed random key for the draws of a posterior that has no draws of its own.
    fit
        What `fit` returned: of a sampler, or with a posterior to draw from. Not of points.
    data
        The rows that were fitted, as they were.
    draws
        Draws of each member; those of a sampler are all taken.

    Raises
    ------
    ValueError
        Where there are fewer than 50 draws, data have no targets that fit, or a log likelihood is
        not finite.

    Notes
    -----
    Rows go through 256 at a time, so the memory is that of 256 rows under all draws. The tail is as
    long as for independent draws.
    """
    found = [_smoothed_rows(block) for block in _blocks(key, fit, data, draws)]
    pointwise, seen, k_hat = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Elpd("LOO", pointwise, seen - pointwise, k_hat, np.asarray(data.weight, np.float64))


def waic(key: jax.Array, fit: Fit, data: Data, *, draws: int = DRAWS) -> Elpd:
    """Return the widely applicable information criterion as a log predictive density.

    An older estimate of what `loo` estimates, with no k-hat to tell where it goes wrong
    (watanabe2010; vehtari2017): prefer `loo`. Arguments and errors are those of `loo`.
    """
    seen, variance = [], []
    for block in _blocks(key, fit, data, draws):
        seen.append(logsumexp(block, axis=0) - np.log(len(block)))
        variance.append(np.var(block, axis=0, ddof=1))
    p = np.concatenate(variance)
    weight = np.asarray(data.weight, np.float64)
    return Elpd("WAIC", np.concatenate(seen) - p, p, np.full(len(p), np.nan), weight)


def compare(one: Elpd, other: Elpd) -> Score:
    """Return by how much one model predicts better than another, in nats, and its standard error.

    The error is that of the rows' differences: smaller than those of either model, since rows that
    are hard for one are hard for the other. A difference of less than 4 nats, or of less than
    twice its error, says little; with fewer than 100 rows the error is itself too small
    (sivula2020).

    Raises
    ------
    ValueError
        Where the two are not of the same rows and the same criterion.

    Examples
    --------
    >>> import numpy as np
    >>> zero, one = np.zeros(4), np.ones(4)
    >>> compare(Elpd("LOO", one, one, zero, one), Elpd("LOO", zero, one, zero, one))
    Score(value=4.0, se=0.0)
    """
    if one.criterion != other.criterion or not np.array_equal(one.weight, other.weight):
        raise ValueError(
            "Expected two estimates by the same criterion of the same rows; got "
            f"{one.criterion} of {len(one.weight)} and {other.criterion} of {len(other.weight)} "
            "rows, or other weights. Pass the same data to both."
        )
    return _total(one.pointwise - other.pointwise, one.weight)


def _total(values: np.ndarray, weight: np.ndarray) -> Score:
    """Return the weighted sum over rows and its standard error."""
    total, rows = float(weight @ values), weight.sum()
    if rows <= 1:
        return Score(total, float("nan"))
    spread = weight @ (values - total / rows) ** 2 / (rows - 1)
    return Score(total, float(np.sqrt(rows * spread)))


def _blocks(key: jax.Array, fit: Fit, data: Data, draws: int) -> Iterator[np.ndarray]:
    """Give the log likelihoods of some rows at a time under all draws, (s, b) in float64."""
    if not isinstance(data, Data):
        raise ValueError(f"Expected data from as_data(x, y); got {type(data).__name__}.")
    chains, each = by_draw.layout(fit.posterior, draws)
    if chains * each < LEAST_DRAWS:
        raise ValueError(
            f"Expected at least {LEAST_DRAWS} draws of the posterior; {fit.method} gives "
            f"{chains * each}. Score rows held out, by predict(...).log_prob(y), or take a method "
            "with a posterior to draw from, such as Laplace, VI or NUTS."
        )
    for block in by_draw.log_likelihoods(key, fit, data, draws):
        if not np.isfinite(block).all():
            raise ValueError(
                "Expected a finite log likelihood of every row under every draw; "
                f"{int((~np.isfinite(block)).sum())} of {block.size} are not. Check the verdict of "
                "the fit and that these are the rows it was fitted to."
            )
        yield block.reshape(-1, block.shape[-1]).astype(np.float64)


def _smoothed_rows(block: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return log densities left out and seen, and k-hat, of rows under s draws, (s, b)."""
    rows = block.shape[1]
    with jax.enable_x64(True):
        smooth, k_hat = map(np.asarray, _smooth(jnp.asarray(-block[:, by_draw.padded(rows)])))
    log_weight, k_hat = smooth[:, :rows], k_hat[:rows]
    seen = logsumexp(block, axis=0) - np.log(len(block))
    return logsumexp(log_weight + block, axis=0), seen, k_hat


_smooth = jax.jit(jax.vmap(smoothed, in_axes=1, out_axes=(1, 0)))
