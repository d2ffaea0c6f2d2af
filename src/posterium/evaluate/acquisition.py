"""Which row to ask about next: acquisition scores, the higher the better.

For active learning, how much its target would teach: `bald`, `variance`, `max_entropy`,
`variation_ratio` and `margin` score each row alone, `batch_bald` and `epig` several together. For
optimisation, how promising a row is: `expected_improvement`, `probability_of_improvement`,
`confidence_bound`, `thompson`. What goes over several rows takes values under functions that hold
together over rows, as `posterium.draw_functions` gives them; the others take what `predict` gives.
"""

from typing import Any

import numpy as np
from scipy.special import entr, ndtr

from posterium.numerics.mixtures import SQRT_2PI
from posterium.posterior.components.base import over_draws
from posterium.posterior.predictive import ClassPredictive, RegressionPredictive

MOST = 2**25
"""Numbers that `batch_bald` holds at a time, at most."""


def bald(predictive: ClassPredictive | RegressionPredictive) -> np.ndarray:
    """Return what a row's target would tell about the function, in nats (houlsby2011).

    Of classes the mutual information, (n,). Of numbers log(1 + epistemic / aleatoric variance) / 2,
    (n, k) or (n,): exact where a Gaussian over functions meets Gaussian noise; elsewhere
    ``decompose(predictive, "entropy", key=0).epistemic`` is.
    """
    if isinstance(predictive, ClassPredictive):
        return predictive.mutual_information
    return 0.5 * np.log1p(predictive.epistemic_var / predictive.aleatoric_var)


def variance(predictive: ClassPredictive | RegressionPredictive) -> np.ndarray:
    """Return the epistemic variance: of numbers as it is, of classes summed over them, (n,)."""
    if isinstance(predictive, RegressionPredictive):
        return predictive.epistemic_var
    return np.concatenate([_class_variance(piece) for piece in predictive.pieces()])


def max_entropy(predictive: ClassPredictive) -> np.ndarray:
    """Return the entropy of the averaged probabilities, (n,), in nats.

    Overlap of classes raises it too, which no label mends: prefer `bald` where they overlap.
    """
    return predictive.entropy


def variation_ratio(predictive: ClassPredictive) -> np.ndarray:
    """Return the share of draws that vote for another class than most do, (n,) (freeman1965)."""
    return np.concatenate([_dissent(piece) for piece in predictive.pieces()])


def margin(predictive: ClassPredictive) -> np.ndarray:
    """Return 1 less what the most probable class is ahead of the next, (n,)."""
    two = np.sort(predictive.probs, axis=1)[:, -2:]
    return 1 - (two[:, 1] - two[:, 0])


def batch_bald(probs: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows whose labels together tell most about the function (kirsch2019).

    They are chosen one by one, so that rows that would tell the same are not all taken, as those
    best by `bald` are. The information of the batch is exact, over all combinations of its classes;
    choosing greedily keeps at least 63 % of the best batch's.

    Parameters
    ----------
    probs
        Class probabilities under each function, (s, n, c), the same functions for all rows.
    size
        Rows to choose.

    Returns
    -------
    rows, information
        Row numbers in the order chosen, (size,), and the information of the batch up to each, in
        nats, (size,).

    Raises
    ------
    ValueError
        When there are fewer rows than `size`, or c^size combinations are too many.
    """
    probs = _stacked(probs, "probs")
    draws, rows, classes = probs.shape
    if not 1 <= size <= rows:
        raise ValueError(f"size must be from 1 to the number of rows, {rows}; got {size}.")
    if classes**size * max(draws, rows) > MOST:
        raise ValueError(
            f"{size} rows of {classes} classes have {classes**size:,} combinations, too many to go "
            f"over under {draws} draws and {rows} rows. Choose a smaller batch, or fewer rows by "
            "bald first."
        )
    alone = over_draws(entr(probs).sum(axis=2))
    joint = np.ones((draws, 1))
    chosen: list[int] = []
    information: list[float] = []
    for _ in range(size):
        whole = np.einsum("sj,snc->njc", joint, probs, optimize=True) / draws
        gain = entr(whole).sum(axis=(1, 2)) - alone[chosen].sum() - alone
        gain[chosen] = -np.inf
        best = int(gain.argmax())
        chosen.append(best)
        information.append(float(gain[best]))
        joint = (joint[:, :, None] * probs[:, best, None, :]).reshape(draws, -1)
    return np.array(chosen), np.array(information)


def epig(probs: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return what a row's label would tell about the labels of target rows, in nats.

    Expected predictive information gain (bickfordsmith2023). Unlike `bald` it does not reward
    knowledge of the function where no prediction is asked for.

    Parameters
    ----------
    probs
        Class probabilities under each function at the rows to choose from, (s, n, c).
    target
        The same, of the same functions, at rows where predictions are wanted, (s, m, c).

    Returns
    -------
    np.ndarray
        The mutual information of the label of each row and that of a target row, averaged over
        target rows, (n,).
    """
    probs, target = _stacked(probs, "probs"), _stacked(target, "target")
    if len(probs) != len(target):
        raise ValueError(
            f"Expected probabilities under the same functions; got {len(probs)} and {len(target)} "
            "draws. Call one set of drawn functions at both."
        )
    here, there = (entr(over_draws(part)).sum(axis=1) for part in (probs, target))
    found = np.zeros(probs.shape[1])
    for place, entropy in enumerate(there):
        joint = np.einsum("snc,sd->ncd", probs, target[:, place], optimize=True) / len(probs)
        found += here + entropy - entr(joint).sum(axis=(1, 2))
    return found / len(there)


def expected_improvement(
    predictive: RegressionPredictive, best: Any, *, maximise: bool = True
) -> np.ndarray:
    """Return by how much the mean at a row is expected to beat the best, in target units.

    Of the function, without the noise of an observation (jones1998); over draws, and in closed form
    within each where it is Gaussian.

    Parameters
    ----------
    predictive
        What `predict` returned for the candidates.
    best
        The value to beat: of noisy targets the best predicted mean at rows seen, not the luckiest
        target. A number, or one an output.
    maximise
        Whether more is better.
    """

    def gain(apart: np.ndarray, sd: np.ndarray) -> np.ndarray:
        z = apart / _above_0(sd)
        density = np.exp(-0.5 * z**2) / SQRT_2PI
        return np.where(sd > 0, apart * ndtr(z) + sd * density, np.maximum(apart, 0))

    return _over_functions(predictive, best, maximise, gain)


def probability_of_improvement(
    predictive: RegressionPredictive, best: Any, *, maximise: bool = True
) -> np.ndarray:
    """Return how likely the mean at a row beats the best; arguments as `expected_improvement`."""

    def beaten(apart: np.ndarray, sd: np.ndarray) -> np.ndarray:
        return np.where(sd > 0, ndtr(apart / _above_0(sd)), apart > 0)

    return _over_functions(predictive, best, maximise, beaten)


def confidence_bound(
    predictive: RegressionPredictive, width: float = 2.0, *, maximise: bool = True
) -> np.ndarray:
    """Return the mean and so many epistemic sds towards the better side, in target units.

    The upper bound where more is better (auer2002); where less is, the lower one times -1, so that
    the higher score is the better one still.
    """
    side = 1 if maximise else -1
    return side * predictive.mean + width * predictive.epistemic_sd


def thompson(values: np.ndarray, *, maximise: bool = True) -> np.ndarray:
    """Return the row that each function takes for the best, (s,): one draw of it each.

    Parameters
    ----------
    values
        Means under each function, (s, n) or (s, n, 1), as drawn functions give them.
    maximise
        Whether more is better.
    """
    values = np.asarray(values)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.ndim != 2:
        raise ValueError(
            f"Expected values under each function, (s, n); got {values.shape}. Choose one output."
        )
    return values.argmax(axis=1) if maximise else values.argmin(axis=1)


def _class_variance(piece: Any) -> np.ndarray:
    probs, spread = piece.each(), piece.known_spread()
    inner = spread * probs * (1 - probs) / (1 + spread)
    return over_draws((probs - over_draws(probs)) ** 2 + inner).sum(axis=-1)


def _dissent(piece: Any) -> np.ndarray:
    votes = piece.log_probs.argmax(axis=2)[:, :, None] == np.arange(piece.shape[2])
    return 1 - votes.mean(axis=0).max(axis=1)


def _over_functions(
    predictive: RegressionPredictive, best: Any, maximise: bool, score: Any
) -> np.ndarray:
    """Average over draws a score of how far a function is above the best, and of its sd."""
    side, best = 1 if maximise else -1, np.asarray(best, np.float64)

    def each(piece: Any) -> np.ndarray:
        sd = np.sqrt(np.broadcast_to(piece.function_variance, piece.shape))
        return over_draws(score(side * (piece.mean - best), sd))

    found = np.concatenate([each(piece) for piece in predictive.pieces()])
    return found[:, 0] if predictive.squeeze else found


def _above_0(sd: np.ndarray) -> np.ndarray:
    return np.where(sd > 0, sd, 1.0)


def _stacked(probs: Any, name: str) -> np.ndarray:
    found = np.asarray(probs, np.float64)
    if found.ndim != 3 or not np.allclose(found.sum(axis=2), 1, atol=1e-3):
        raise ValueError(
            f"{name} must be probabilities under each function, (s, n, c), that sum to 1 over the "
            f"classes; got shape {found.shape}."
        )
    return found
