r"""Ranks: what the score of a new row exceeds with a probability of at most 1 - level.

Of n calibration rows and a new one that are exchangeable, the rank of the new row's score among all
n + 1 is uniform, so that

.. math:: 1 - \alpha \le P(S_{n+1} \le S_{(r)}) \le 1 - \alpha + \frac{1}{n + 1},
   \qquad r = \lceil (n + 1) (1 - \alpha) \rceil

with S_(r) the r-th smallest of the n, infinite where r > n; the upper bound is for scores without
ties (Vovk et al. 2005; Lei et al. 2018). Rows with weights w count by them, the new one too
(Tibshirani et al. 2019).
"""

import math
import warnings
from typing import Any

import numpy as np

from posterium._struct import static, struct

ROUNDING = 1e-12
"""By which share a rank may miss a whole number and count as it."""


class CalibrationWarning(UserWarning):
    """A level about which the calibration rows say nothing."""


@struct
class Ranked:
    """Scores of calibration rows in order.

    Parameters
    ----------
    values
        Scores, each column sorted, (n, k).
    reached
        Weight of the rows up to each, (n, k).
    """

    values: Any
    reached: Any

    @classmethod
    def of(cls, scores: np.ndarray, weight: np.ndarray) -> "Ranked":
        """Return scores (n, k) of rows with weights (n,) in order; rows of weight 0 are dropped."""
        scores, weight = scores[weight > 0], weight[weight > 0]
        order = np.argsort(scores, axis=0, kind="stable")
        return cls(np.take_along_axis(scores, order, axis=0), np.cumsum(weight[order], axis=0))

    def threshold(self, level: float, weight: np.ndarray) -> np.ndarray:
        """Return the thresholds of new rows with weights (m,), (m, k)."""
        columns = []
        for values, reached in zip(self.values.T, self.reached.T, strict=True):
            needed = level * (reached[-1] + weight) * (1 - ROUNDING)
            columns.append(np.append(values, np.inf)[np.searchsorted(reached, needed)])
        return np.stack(columns, axis=1)


@struct
class Scores:
    """Scores of calibration rows, in order, in each of their groups.

    Parameters
    ----------
    parts
        The scores of each group; those of all rows where there are no groups.
    groups
        Names of the groups, sorted; () for none.
    """

    parts: tuple[Ranked, ...]
    groups: tuple[Any, ...] = static(default=())

    @classmethod
    def of(cls, scores: np.ndarray, weight: np.ndarray, group: Any = None) -> "Scores":
        """Return scores (n, k) of rows with weights (n,) and groups (n,) in order."""
        if group is None:
            return cls((Ranked.of(scores, weight),))
        group = _groups(group, len(scores))
        names = np.unique(group[weight > 0])
        parts = (Ranked.of(scores[group == name], weight[group == name]) for name in names)
        return cls(tuple(parts), tuple(names.tolist()))

    def threshold(self, level: float, weight: np.ndarray, group: Any = None) -> np.ndarray:
        """Return the thresholds of new rows, (m, k), with weights and groups (m,).

        Infinite where there are too few rows for the level, with a warning.
        """
        if not 0 < level < 1:
            raise ValueError(f"Expected a level inside (0, 1); got {level}.")
        place = self._places(group, len(weight))
        found = np.empty((len(weight), self.parts[0].values.shape[1]))
        for number, part in enumerate(self.parts):
            found[place == number] = part.threshold(level, weight[place == number])
        few = np.flatnonzero(np.isinf(found).any(axis=1))
        if few.size:
            fewest = min(len(self.parts[number].values) for number in np.unique(place[few]))
            warnings.warn(
                f"Level {level} expects at least {rows_needed(level)} calibration rows of weight 1"
                f"{' in each group' if self.groups else ''}; there are {fewest}. So {few.size} of "
                f"{len(found)} rows get everything for an answer. Give more rows, or ask for a "
                "lower level.",
                CalibrationWarning,
                stacklevel=3,
            )
        return found

    def _places(self, group: Any, rows: int) -> np.ndarray:
        """Return the number of each new row's group, (m,)."""
        if (group is None) != (not self.groups):
            raise ValueError(
                "Expected the group of each row, group=..., as when calibrating; got none."
                if self.groups
                else "Expected no groups, as when calibrating; got some. Leave group out."
            )
        if group is None:
            return np.zeros(rows, np.intp)
        number = {name: place for place, name in enumerate(self.groups)}
        group = _groups(group, rows).tolist()
        if unknown := sorted(set(group) - number.keys()):
            raise ValueError(
                f"Expected groups among {', '.join(map(str, self.groups[:8]))}; got "
                f"{', '.join(map(str, unknown[:8]))}. Calibrate with rows of these groups."
            )
        return np.array([number[name] for name in group], np.intp)


def rows_needed(level: float) -> int:
    """Return how many calibration rows the level takes: the least n with (n + 1) level <= n."""
    return math.ceil(level / (1 - level) * (1 - ROUNDING))


def _groups(group: Any, rows: int) -> np.ndarray:
    """Return the group of each row, (n,), or say what is wrong with them."""
    group = np.asarray(list(group))
    if group.shape != (rows,) or group.dtype.kind not in "biuU":
        raise ValueError(
            f"Expected {rows} groups, one a row, as whole numbers or texts; got {group.dtype} "
            f"{group.shape}."
        )
    return group
