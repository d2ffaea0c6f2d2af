"""What a fit is: a posterior, the model as learned, what happened, and a verdict."""

import math
from typing import Any

import numpy as np
from scipy.special import logsumexp

from posterium._struct import static, struct
from posterium.model.data import Data
from posterium.model.model import Model
from posterium.posterior.summary import summary

STATUSES = ("ok", "warned", "failed")


@struct
class Verdict:
    """Whether a fit can be trusted.

    Parameters
    ----------
    status
        ``"ok"``, ``"warned"`` or ``"failed"``.
    reasons
        What was found, a sentence each.
    advice
        The next thing to try for each reason.
    """

    status: str = static(default="ok")
    reasons: tuple[str, ...] = static(default=())
    advice: tuple[str, ...] = static(default=())

    def __str__(self) -> str:
        lines = [self.status]
        lines += [
            f"{why} {what}".strip() for why, what in zip(self.reasons, self.advice, strict=True)
        ]
        return "; ".join(lines)

    @classmethod
    def merge(cls, verdicts: list["Verdict"]) -> "Verdict":
        """Return the worst status with all reasons."""
        worst = max((STATUSES.index(v.status) for v in verdicts), default=0)
        reasons = tuple(r for v in verdicts for r in v.reasons)
        advice = tuple(a for v in verdicts for a in v.advice)
        return cls(STATUSES[worst], reasons, advice)


@struct
class Seen:
    """What a fit saw of its data: no row of them, only how many and the range of each input.

    Parameters
    ----------
    rows
        Number of rows.
    low, high
        Least and greatest value of each input, of the shape and type of one row of x. Of a
        stream, those of its first batch.
    """

    rows: int = static()
    low: Any
    high: Any

    @classmethod
    def of(cls, data: Data) -> "Seen":
        """Return what data are; rows of weight 0 are padding."""
        x, counts = np.asarray(data.x), np.asarray(data.weight) > 0
        x = x if counts.all() else x[counts]
        return cls(int(data.rows), x.min(axis=0), x.max(axis=0))

    def inputs(self, count: int) -> np.ndarray:
        """Return made-up inputs within these ranges, (count, ...), the same at every call."""
        share = np.random.default_rng(0).random((count, *self.low.shape))
        if np.issubdtype(self.low.dtype, np.floating):
            return (self.low + share * (self.high - self.low)).astype(self.low.dtype)
        low, high = self.low.astype(np.int64), self.high.astype(np.int64)
        return (low + np.floor(share * (high - low + 1)).astype(np.int64)).astype(self.low.dtype)


@struct
class Fit:
    """The result of `fit`.

    Parameters
    ----------
    posterior
        The distribution over weights. All leaves of a fit are NumPy arrays.
    model
        The model with its hyper-parameters as learned.
    info
        What happened, a record a phase: `{phase: {quantity: array over steps}}`, and
        ``"log_evidence"`` (nats) where the method has one.
    verdict
        Whether to trust it.
    method
        Name of the method.
    precision
        ``"float32"`` or ``"float64"``: what it was computed in.
    devices
        Over how many devices the members of an ensemble, or the chains of a sampler, were spread.
    settings
        The method with its settings, as text.
    seen
        What the data were, or None where that is not known.

    Notes
    -----
    Printed, it says in at most ten lines what was done and whether to trust it.
    """

    posterior: Any
    model: Model
    info: dict[str, Any]
    verdict: Verdict
    method: str = static(default="")
    precision: str = static(default="float32")
    devices: int = static(default=1)
    settings: str = static(default="")
    seen: Seen | None = None

    def __repr__(self) -> str:
        return summary(self)

    @property
    def log_evidence(self) -> float:
        """Log evidence in nats, NaN where the method has none.

        Of an ensemble it is the log of the mean of its members' evidences; those are in `info`.
        """
        each = np.asarray(self.info.get("log_evidence", math.nan), np.float64)
        return float(logsumexp(each) - math.log(each.size))
