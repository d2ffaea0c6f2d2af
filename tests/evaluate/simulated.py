"""Simulated chains with a known answer."""

import numpy as np


def autoregressive(seed: int, chains: int, draws: int, rho: float, quantities: int = 3):
    """Return stationary chains of unit variance with correlation rho from draw to draw."""
    noise = np.random.default_rng(seed).normal(size=(draws, chains, quantities))
    values = np.empty_like(noise)
    values[0] = noise[0]
    for t in range(1, draws):
        values[t] = rho * values[t - 1] + np.sqrt(1 - rho**2) * noise[t]
    return np.swapaxes(values, 0, 1)
