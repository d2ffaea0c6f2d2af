"""Standard errors of averages over draws, from how the draws came about.

Independent draws count one by one, draws of chains by their effective number, and members of a
mixture as one each, however many draws they give: another fit would bring other members.
"""

import numpy as np

from posterium.evaluate import mixing
from posterium.posterior.components.base import draws_last
from posterium.posterior.sampling import Sampling

LEAST = 4
"""Draws of a chain from which its correlation can be told."""


def standard_error(values: np.ndarray, sampling: Sampling) -> np.ndarray:
    """Return the Monte Carlo standard error of the mean over draws (s, ...), in their unit: (...).

    0 where nothing was drawn, NaN where a single draw, or one short chain, cannot tell.
    """
    if sampling.members > 1:
        by_member = values.reshape(sampling.members, -1, *values.shape[1:])
        return _independent(by_member.mean(axis=1))
    if sampling.exact:
        return np.zeros(values.shape[1:])
    return _chains(values, sampling.chains) if sampling.chains else _independent(values)


def worth(values: np.ndarray, sampling: Sampling) -> np.ndarray:
    """Return how many independent draws the mean over draws (s, ...) is worth, (...)."""
    if sampling.members > 1:
        return np.full(values.shape[1:], float(sampling.members))
    alone, error = _independent(values), standard_error(values, sampling)
    correlation = np.divide(error, alone, out=np.ones_like(alone), where=alone > 0)
    return len(values) / correlation**2


def _independent(values: np.ndarray) -> np.ndarray:
    if len(values) < 2:
        return np.full(values.shape[1:], np.nan)
    return np.std(draws_last(values - values[:1]), axis=-1, ddof=1) / np.sqrt(len(values))


def _chains(values: np.ndarray, chains: int) -> np.ndarray:
    """Return the error by effective sample size; draws of the chains take turns."""
    turns = len(values) // chains
    by_turn = values[: turns * chains].reshape(turns, chains, *values.shape[1:])
    if turns < LEAST:
        return _independent(by_turn.mean(axis=0) if turns else values[:1])
    error = mixing.mcse(np.swapaxes(by_turn, 0, 1))
    return np.where(np.ptp(values, axis=0) == 0, 0.0, error)
