"""Predictions of the scored rows, asked for once, as plain arrays."""

from dataclasses import dataclass

import numpy as np

from posterium.evaluate.decomposition import decompose
from posterium.posterior.predictive import ClassPredictive
from posterium.report.subject import Subject

LEVEL = 0.9
"""Probability of the intervals shown."""


@dataclass(frozen=True)
class Numbers:
    """Predictions of k targets for n rows: all (n, k), in units of the targets.

    `log_prob` (n,) is joint over targets; `pit` is P(Y < y) + P(Y = y) / 2; `epistemic_error` is
    the Monte Carlo error of the epistemic variance, 0 where it cannot be told.
    """

    y: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    sd: np.ndarray
    aleatoric_var: np.ndarray
    epistemic_var: np.ndarray
    epistemic_error: np.ndarray
    crps: np.ndarray
    pit: np.ndarray
    log_prob: np.ndarray

    def target(self, place: int) -> "Numbers":
        """Return the predictions of one target, (n,) each."""
        parts = {name: values for name, values in vars(self).items() if name != "log_prob"}
        each = {name: values[:, place] for name, values in parts.items()}
        return Numbers(**each, log_prob=self.log_prob)

    def take(self, rows: np.ndarray) -> "Numbers":
        """Return the predictions of some rows."""
        return Numbers(**{name: values[rows] for name, values in vars(self).items()})

    def interval(self, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends of the central intervals of probability `LEVEL`."""
        return self.low, self.high


@dataclass(frozen=True)
class Labels:
    """Predictions of classes for n rows: `y` (n,) indices, `probs` (n, c), entropies in nats.

    `epistemic_error` is the Monte Carlo error of the epistemic one, 0 where it cannot be told.
    """

    y: np.ndarray
    probs: np.ndarray
    aleatoric: np.ndarray
    epistemic: np.ndarray
    epistemic_error: np.ndarray
    log_prob: np.ndarray

    @property
    def entropy(self) -> np.ndarray:
        """Entropy of the prediction, (n,): the whole uncertainty."""
        return self.aleatoric + self.epistemic

    def take(self, rows: np.ndarray) -> "Labels":
        """Return the predictions of some rows."""
        return Labels(**{name: values[rows] for name, values in vars(self).items()})


def evaluated(subject: Subject) -> Numbers | Labels | None:
    """Return the predictions of the scored rows; None where those of a failed fit are not finite.

    Raises
    ------
    ValueError
        When the predictions of a fit that did not fail are not finite.
    """
    rows = subject.scored
    found, y = subject.predict(subject.x[rows]), subject.y[rows]
    failed = subject.fit.verdict.status == "failed"
    try:
        if isinstance(found, ClassPredictive):
            done = Labels(
                y, found.probs, found.aleatoric_entropy, found.mutual_information,
                _epistemic_error(found), found.log_prob(y),
            )  # fmt: skip
        else:
            done = _numbers(found, y)
    except ValueError:
        if not failed:
            raise
        return None
    finite = all(np.isfinite(values).all() for values in vars(done).values())
    return done if finite or not failed else None


def _numbers(found, y: np.ndarray) -> Numbers:
    columns = y if found.mean.ndim == 2 else y[:, 0]
    low, high = found.interval(LEVEL)
    parts = {
        "mean": found.mean, "low": low, "high": high, "sd": found.sd,
        "aleatoric_var": found.aleatoric_var, "epistemic_var": found.epistemic_var,
        "epistemic_error": _epistemic_error(found),
        "crps": found.crps(columns), "pit": found.pit(columns),
    }  # fmt: skip
    shaped = {name: values.reshape(y.shape) for name, values in parts.items()}
    return Numbers(y=y, log_prob=found.log_prob(columns), **shaped)


def _epistemic_error(found) -> np.ndarray:
    return np.nan_to_num(decompose(found).epistemic.error)
