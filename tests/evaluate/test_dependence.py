"""Partial dependence: averages over rows under every function, with one column set in all."""

from types import SimpleNamespace

import numpy as np

from posterium.evaluate.dependence import partial_dependence

SLOPES = np.array([[1.0, 2.0], [3.0, -2.0], [2.0, 0.5]])


def predict(x):
    """Return three lines f = x @ slope as what a predictive by draws gives, in two blocks."""
    mean = (SLOPES @ x.T)[..., None]
    blocks = [SimpleNamespace(mean=part, function_variance=np.zeros_like(part))
              for part in np.split(mean, [2], axis=1)]  # fmt: skip
    return SimpleNamespace(components=lambda: blocks)


def test_it_is_the_average_of_every_function_and_their_spread():
    x = np.array([[1.0, 4.0], [3.0, 8.0]])
    mean, sd = partial_dependence(predict, x, 1, np.array([0.0, 10.0]))
    each = SLOPES[:, :1] * 2.0 + SLOPES[:, 1:] * np.array([0.0, 10.0])
    np.testing.assert_allclose(mean[:, 0], each.mean(axis=0))
    np.testing.assert_allclose(sd[:, 0], each.std(axis=0))


def test_settings_between_whole_numbers_stay_between_them():
    mean, _ = partial_dependence(predict, np.array([[1, 4], [3, 8]]), 0, np.array([0.5]))
    np.testing.assert_allclose(mean, [[1.0 + SLOPES[:, 1].mean() * 6]])
