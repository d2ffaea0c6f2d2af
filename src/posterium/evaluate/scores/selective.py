r"""Selective prediction: the loss on the rows that are left when the least certain are given up.

.. math::
   r(u) = E[\ell \mid U \le u], \qquad \mathrm{AURC} = E_{u \sim U}\, r(u)

for an uncertainty U and a loss l of each row (elyaniv2010; geifman2019). Rows of equal uncertainty
are taken in the mean of all orders.
"""

from typing import NamedTuple

import numpy as np

from posterium.evaluate.scores.bins import bin_means
from posterium.evaluate.scores.rows import Score, average


class RiskCoverage(NamedTuple):
    """The mean loss of the most certain rows, from one row to all.

    Attributes
    ----------
    coverage
        Share of the rows that are kept: 1/n to 1, (n,).
    risk
        Their mean loss, (n,).
    se
        Its standard error, of which rows are kept taken as given, (n,); NaN of a single row.
    """

    coverage: np.ndarray
    risk: np.ndarray
    se: np.ndarray


def risk_coverage(uncertainty: np.ndarray, loss: np.ndarray) -> RiskCoverage:
    """Return how the mean loss grows as less certain rows are kept.

    A good uncertainty begins low and rises to the loss of all rows; one that knows nothing is
    flat.

    Parameters
    ----------
    uncertainty
        Rows with the lowest are kept first, (n,).
    loss
        Of each row, (n,): 1 where the label is wrong, a squared error, a negative log density.
    """
    _, tie, loss = _ordered(uncertainty, loss)
    kept = np.arange(1, len(loss) + 1)
    risk, square = (np.cumsum(part) / kept for part in bin_means(tie, loss, loss**2))
    with np.errstate(invalid="ignore"):
        se = np.sqrt(np.maximum(square - risk**2, 0) / (kept - 1))
    return RiskCoverage(kept / len(kept), risk, se)


def aurc(uncertainty: np.ndarray, loss: np.ndarray) -> Score:
    """Return the area under the risk-coverage curve: the mean risk over all coverages.

    In units of the loss; lower is better. An uncertainty that knows nothing has the mean loss. It
    judges order and loss together: `excess_aurc` is the part of the order. The error is that of
    its influence function. Arguments are those of `risk_coverage`.
    """
    return average(_row_terms(uncertainty, loss))


def excess_aurc(uncertainty: np.ndarray, loss: np.ndarray) -> Score:
    """Return by how much `aurc` is above that of the best order there is, that of the losses.

    0 where every row has a lower loss than those less certain (geifman2019). Arguments are those of
    `risk_coverage`.
    """
    return average(_row_terms(uncertainty, loss) - _row_terms(loss, loss))


def _row_terms(uncertainty: np.ndarray, loss: np.ndarray) -> np.ndarray:
    """Return what has the area as its mean over rows, in their order, (n,); see `average`."""
    order, tie, loss = _ordered(uncertainty, loss)
    kept = np.arange(1, len(loss) + 1)
    (mean,) = bin_means(tie, loss)
    risk = np.cumsum(mean) / kept
    own, gained, lost = bin_means(tie, risk, _from_here(1 / kept), _from_here(risk / kept))
    found = np.empty(len(loss))
    found[order] = own + loss * gained - lost
    return found


def _ordered(
    uncertainty: np.ndarray, loss: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which row is kept after which, which tie it belongs to, and the losses so ordered."""
    uncertainty, loss = (np.asarray(part, np.float64) for part in (uncertainty, loss))
    shaped = uncertainty.ndim == 1 and uncertainty.shape == loss.shape and uncertainty.size
    if not shaped or np.isnan(uncertainty).any():
        raise ValueError(
            "Expected one uncertainty and one loss a row, none NaN, for at least one row; got "
            f"shapes {uncertainty.shape} and {loss.shape}."
        )
    order = np.argsort(uncertainty, kind="stable")
    _, tie = np.unique(uncertainty[order], return_inverse=True)
    return order, tie, loss[order]


def _from_here(values: np.ndarray) -> np.ndarray:
    """Return the sum of each value and those after it."""
    return np.cumsum(values[::-1])[::-1]
