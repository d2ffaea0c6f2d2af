"""The scores of a report: those that suit what is predicted, by their names."""

import numpy as np

from posterium.evaluate.scores.bins import ece
from posterium.evaluate.scores.classes import (
    accuracy,
    brier,
    brier_decomposition,
    ranked_probability,
)
from posterium.evaluate.scores.ranking import class_auroc, concordance, misclassification
from posterium.evaluate.scores.regression import (
    coverage,
    interval_score,
    mae,
    r2,
    rmse,
    sharpness,
    width,
)
from posterium.evaluate.scores.rows import Score, average, nll
from posterium.evaluate.scores.selective import aurc, excess_aurc
from posterium.posterior.predictive import ClassPredictive, RegressionPredictive

LEVEL = 0.9
"""Probability of the intervals."""


class Scores(dict[str, Score]):
    """Scores by their names, each with its standard error; prints as a table."""

    def __repr__(self) -> str:
        wide = max(map(len, self), default=0)
        lines = (f"{name:<{wide}}  {_text(*score)}" for name, score in self.items())
        return "\n".join(lines)


def score(predictive: RegressionPredictive | ClassPredictive, y: np.ndarray) -> Scores:
    """Return how good predictions are for what came true, each score with its standard error.

    Errors are those of the choice of rows, for independent ones; to compare two models on the same
    rows take the error of the differences, `average(one.crps(y) - other.crps(y))`.

    Parameters
    ----------
    predictive
        What `predict` returned.
    y
        What came true: targets in the shape of the predictive's mean; times and events (n, 2);
        class indices (n,).

    Returns
    -------
    Scores
        Of numbers ``rmse``, ``mae``, ``r2``, ``nll``, ``crps``, coverage, width and interval score
        of 90 % intervals (``coverage_90``, ``width_90``, ``interval_90``) and ``sharpness``, and of
        fitted quantiles ``pinball``. Of times ``nll``, ``concordance``, ``events`` (the share seen)
        and ``width_90``. Of classes those of `class_scores`. NaN where one is not defined.

    Examples
    --------
    >>> from posterium.posterior.components.gaussian import GaussianComponents
    >>> two_rows = GaussianComponents(np.zeros((1, 2, 1)), 1.0)
    >>> found = score(RegressionPredictive(lambda: [two_rows], (2, 1)), np.array([[1.0], [-2.0]]))
    >>> found["mae"]
    Score(value=1.5, se=0.5)
    """
    y = np.asarray(y)
    if isinstance(predictive, ClassPredictive):
        ranked = {"rps": ranked_probability(predictive.probs, y)}
        found = class_scores(predictive.probs, y, predictive.log_prob(y))
        return Scores(found | (ranked if predictive.ordered else {}))
    interval = predictive.interval(LEVEL)
    if predictive.columns == 2:
        return _of_times(predictive, y, interval)
    found = number_scores(
        y, predictive.mean, predictive.sd, interval, predictive.crps(y), predictive.log_prob(y)
    )
    return Scores(found | _of_quantiles(predictive, y))


def number_scores(
    y: np.ndarray,
    mean: np.ndarray,
    sd: np.ndarray,
    interval: tuple[np.ndarray, np.ndarray],
    crps: np.ndarray,
    log_prob: np.ndarray | None,
) -> Scores:
    """Return the scores of numeric targets y (n,) or (n, k).

    Parameters
    ----------
    mean, sd, crps
        Of the predictive, in the shape of y.
    interval
        Ends of the central intervals of probability 0.9, in the shape of y each.
    log_prob
        Log density of each row, (n,); None where it is joint with other targets.
    """
    return Scores(
        {
            "rmse": rmse(mean, y),
            "mae": mae(mean, y),
            "r2": r2(mean, y),
        }
        | ({} if log_prob is None else {"nll": nll(log_prob)})
        | {
            "crps": average(crps),
            "coverage_90": coverage(interval, y),
            "width_90": width(interval),
            "interval_90": interval_score(interval, y, LEVEL),
            "sharpness": sharpness(sd),
        }
    )


def class_scores(probs: np.ndarray, y: np.ndarray, log_prob: np.ndarray) -> Scores:
    """Return the scores of class probabilities (n, c) for class indices y (n,).

    ``accuracy``, ``confidence`` (the mean top probability), ``nll``, ``brier`` and its parts
    (``brier_reliability`` and so on), ``ece``, ``ece_debiased``, ``auroc``; by one less the top
    probability as the uncertainty ``misclassified_auroc``, ``misclassified_aupr``, ``aurc`` and
    ``excess_aurc``.

    Parameters
    ----------
    log_prob
        Log probability of the class that came true, (n,): with its digits where it is small.
    """
    label, top = probs.argmax(axis=1), probs.max(axis=1)
    parts = brier_decomposition(probs, y)._asdict()
    found = misclassification(probs, y)
    return Scores(
        {
            "accuracy": accuracy(label, y),
            "confidence": average(top),
            "nll": nll(log_prob),
            "brier": brier(probs, y),
            **{f"brier_{name}": part for name, part in parts.items()},
            "ece": ece(probs, y),
            "ece_debiased": ece(probs, y, debiased=True),
            "auroc": class_auroc(probs, y),
            "misclassified_auroc": found["auroc"],
            "misclassified_aupr": found["aupr"],
            "aurc": aurc(1 - top, label != y),
            "excess_aurc": excess_aurc(1 - top, label != y),
        }
    )


def _of_quantiles(predictive: RegressionPredictive, y: np.ndarray) -> dict[str, Score]:
    """Return the pinball loss averaged over the levels that were fitted; nothing without such."""
    if not predictive.levels:
        return {}
    level = np.array(predictive.levels)
    above = y - predictive.quantile(level)
    level = level.reshape(-1, *[1] * y.ndim)
    return {"pinball": average(np.maximum(level * above, (level - 1) * above).mean(axis=0))}


def _of_times(
    predictive: RegressionPredictive, y: np.ndarray, interval: tuple[np.ndarray, np.ndarray]
) -> Scores:
    """Return the scores of times that may be cut off, y (n, 2): errors need the whole time."""
    median = predictive.quantile(0.5).reshape(len(y))
    return Scores(
        nll=nll(predictive.log_prob(y)),
        concordance=concordance(median, y[:, 0], y[:, 1]),
        events=average(y[:, 1]),
        width_90=width(interval),
    )


def _text(value: float, se: float) -> str:
    return f"{value:.6g}" + (f" +- {se:.2g}" if np.isfinite(se) else "")
