r"""Log densities of several rows together: what a posterior knows of how rows go along.

.. math::
   \frac1b \log \frac1s \sum_{j=1}^{s} \prod_{i \in B} p(y_i \mid f_j(x_i))

a row, over batches B of b rows and draws f_j of the posterior (osband2022; wang2021). For b = 1 it
is the log predictive density. What draws that agree on every single row still disagree on, the
function, shows from b = 2: a posterior of single rows and one of functions can have equal log
densities of rows and very different ones of batches.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from scipy.special import logsumexp

from posterium.evaluate import draws as by_draw
from posterium.evaluate.scores.rows import average
from posterium.model.data import Data
from posterium.posterior.fit import Fit
from posterium.posterior.predictive import Key, generator_from

DRAWS = 1000
MAX_BYTES = 2**30
SIZES = (1, 2, 5, 10)


class JointScore(NamedTuple):
    """A log density of batches, and how many draws it stands on.

    Attributes
    ----------
    value
        Mean log density a row, in nats; higher is better.
    se
        Its standard error over batches; NaN for a single one.
    draws
        Effective number of draws that a batch's density is the mean of, averaged over batches:
        1 where a single draw has all of it. With few, the value is too low; take more draws or
        smaller batches.
    """

    value: float
    se: float
    draws: float


def joint_log_prob(key: Key, log_prob: np.ndarray, size: int) -> JointScore:
    """Return the log density of batches of rows, by draw and row.

    Parameters
    ----------
    key
        Seed, JAX key, or NumPy generator, for the order in which rows are put into batches. The
        last ones that do not fill a batch are left out.
    log_prob
        Log density of the target of each row under each draw, (s, n), in nats.
    size
        Rows of a batch.
    """
    log_prob = np.asarray(log_prob, np.float64)
    draws, rows = log_prob.shape
    batches = rows // size if size > 0 else 0
    if not batches:
        raise ValueError(f"Expected batches of 1 to {rows} rows; got size={size}.")
    order = generator_from(key).permutation(rows)[: batches * size]
    together = log_prob[:, order].reshape(draws, batches, size).sum(axis=2)
    each = logsumexp(together, axis=0)
    effective = np.exp(2 * each - logsumexp(2 * together, axis=0))
    return JointScore(*average((each - np.log(draws)) / size), float(effective.mean()))


def joint_scores(
    key: jax.Array,
    fit: Fit,
    data: Data,
    *,
    sizes: Sequence[int] = SIZES,
    draws: int = DRAWS,
    max_bytes: int = MAX_BYTES,
) -> dict[int, JointScore]:
    """Return the log density of batches of rows held out, by the size of a batch.

    Parameters
    ----------
    key
        Typed random key, for the draws and for the order of the rows.
    fit
        What `fit` returned.
    data
        Rows that were not fitted, in the units of the fit; their weights are not looked at.
    sizes
        Rows of a batch, each.
    draws
        Draws of each member; those of a sampler are all taken.
    max_bytes
        What the log densities of all rows under all draws may take.
    """
    chains, each = by_draw.layout(fit.posterior, draws)
    needed = 8 * chains * each * len(data.x)
    if needed > max_bytes:
        raise ValueError(
            f"Expected log densities of at most max_bytes={max_bytes:,} bytes; {chains * each:,} "
            f"draws of {len(data.x):,} rows need {needed:,}. Pass fewer rows, or raise max_bytes."
        )
    of_draws, of_rows = jax.random.split(key)
    tiles = by_draw.log_likelihoods(of_draws, fit, data, draws)
    log_prob = np.concatenate([tile.reshape(-1, tile.shape[2]) for tile in tiles], axis=1)
    return {size: joint_log_prob(of_rows, log_prob, size) for size in sizes}
