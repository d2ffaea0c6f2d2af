"""A phase in a few numbers: what progress bars show and loggers write."""

import numpy as np

from posterium.driver.watch import Report
from posterium.evaluate import convergence

SHOWN = ("objective", "log_prior", "log_likelihood", "kl", "held_out", "log_joint")
"""Records whose latest value says where a phase stands, in the order in which they are shown."""
INNER = ("acceptance_rate", "diverging", "origin", "probe", "raws")
"""Records whose values after a step say nothing by themselves."""
LEAST_DRAWS = 4
"""Of each chain, before effective draws can be told."""


def values(info: dict[str, np.ndarray], at: int = -1) -> dict[str, float]:
    """Return what was recorded at a step, a number each, averaged over members or chains.

    Those of `SHOWN` come first.
    """
    told = [name for name, value in info.items() if value.ndim <= 2 and name not in INNER]
    first = [name for name in SHOWN if name in told]
    names = dict.fromkeys(first + told)
    return {name: float(np.mean(info[name][at])) for name in names if len(info[name])}


def shown(info: dict[str, np.ndarray]) -> dict[str, float]:
    """Return the few latest values that say where a phase stands; all of one that has none."""
    every = values(info)
    return {name: every[name] for name in SHOWN if name in every} or every


class Tally:
    """What adds up over the steps of a phase: acceptance, divergences, effective draws.

    Fed with reports, it reads back what was recorded before where a report does not follow on the
    one before it, as in a fit that was resumed.
    """

    def __init__(self) -> None:
        self._phase = ("", -1)
        self._step = self._first = self._warmup = 0
        self._sums: dict[str, np.ndarray] = {}
        self._draws: dict[str, list[np.ndarray]] = {}

    def add(self, report: Report) -> bool:
        """Add a chunk of steps; say whether the tally began anew for it."""
        phase = report.phase, report.before
        follows = phase == self._phase and report.first == self._step
        info = report.info if follows or report.first == 0 else report.record()
        if not follows:
            self._sums, self._draws = {}, {"log_joint": [], "probe": []}
        self._first = report.first if info is report.info else 0
        self._phase, self._step, self._warmup = phase, report.step, report.warmup
        for name in ("acceptance_rate", "diverging"):
            if name in info:
                self._sums[name] = self._continued(name, info[name])
        for name, parts in self._draws.items():
            if name in info:
                parts.append(info[name])
        return not follows

    def _continued(self, name: str, new: np.ndarray) -> np.ndarray:
        """Return the running sum after each step, added up one by one, whatever the chunks."""
        a_step = np.mean if name == "acceptance_rate" else np.sum
        so_far = self._sums[name][-1:] if name in self._sums else np.zeros(1)
        each = a_step(new.reshape(len(new), -1), axis=1, dtype=float)
        return np.cumsum(np.concatenate([so_far, each]))[1:]

    def rates(self, step: int | None = None) -> dict[str, float]:
        """Return acceptance rate and divergences of the phase up to a step of the last chunk.

        Of a phase that records them; None for the last step.
        """
        step = self._step if step is None else step
        sums = {name: float(sums[step - self._first - 1]) for name, sums in self._sums.items()}
        found = {}
        if "acceptance_rate" in sums:
            found["acceptance"] = sums["acceptance_rate"] / step
        if "diverging" in sums:
            found["divergences"] = sums["diverging"]
        return found

    def effective(self, step: int | None = None) -> dict[str, float]:
        """Return the effective draws of the worst quantity up to a step, as `ess`.

        Quantities are those of the verdict: predictions at probe inputs, and the log density.
        {} for phases without them, for ensembles of samplers, and while there are few draws.
        """
        if not all(self._draws.values()):
            return {}
        draws = {
            name: np.concatenate(parts)[self._warmup : step] for name, parts in self._draws.items()
        }
        if draws["log_joint"].ndim != 2 or len(draws["log_joint"]) < LEAST_DRAWS:
            return {}
        return {"ess": convergence.effective_draws(convergence.judged(draws))}
