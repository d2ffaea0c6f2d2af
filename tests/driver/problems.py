"""A small regression that all tests of the driver share, so that few programs are compiled."""

import jax
import numpy as np

from posterium import HMC, MAP, MLP, Ensemble, Gaussian, Model, Normal, as_data

X = np.random.default_rng(0).normal(size=(23, 2))
Y = np.sin(X[:, 0]) + 0.1 * X[:, 1]
DATA = as_data(X, Y)
MODEL = Model(MLP(hidden=(3,), activation="tanh"), Normal(), Gaussian())
KEY = jax.random.key(3)
SINGLE = MAP(steps=60, batch_size=5)
STOPPED = Ensemble(MAP(steps=200, batch_size=5, validation=0.2, patience=3, learning_rate=0.1), 3)
FIXED = Model(MODEL.network, Normal(), Gaussian(0.3))
"""For samplers, which want a density of every hyper-parameter that is free."""
CHAINS = HMC(warmup=20, draws=40, chains=2, leapfrog=2, modes=0)
