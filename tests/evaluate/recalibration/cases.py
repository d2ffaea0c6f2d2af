"""Predictives made by hand."""

import numpy as np

from posterium.posterior.components.classes import ClassComponents
from posterium.posterior.components.gaussian import GaussianComponents
from posterium.posterior.predictive import ClassPredictive, RegressionPredictive


def gaussian(mean, sd, **options):
    """Return the mixture over draws of Gaussians: means (s, n, k), (s, n) or (n,), sds alike."""
    mean = np.asarray(mean, float)
    mean, sd = (_draws_rows_outputs(part) for part in (mean, np.broadcast_to(sd, mean.shape)))
    components = GaussianComponents(mean, sd**2)
    options = {"squeeze": mean.shape[2] == 1} | options
    return RegressionPredictive(lambda: [components], mean.shape[1:], **options)


def in_blocks(mean, sd, size):
    """Return the predictive of draws (s, n), some rows at a time."""
    mean, sd = (_draws_rows_outputs(np.asarray(part, float)) for part in (mean, sd))
    cuts = [slice(i, i + size) for i in range(0, mean.shape[1], size)]
    return RegressionPredictive(
        lambda: (GaussianComponents(mean[:, cut], sd[:, cut] ** 2) for cut in cuts),
        mean.shape[1:], squeeze=True,
    )  # fmt: skip


def classes(probs, **options):
    """Return the predictive of class probabilities, (s, n, c) or (n, c)."""
    components = ClassComponents.from_probs(np.asarray(probs, float).reshape(-1, *probs.shape[-2:]))
    return ClassPredictive(lambda: [components], components.shape[1:], **options)


def classes_drawn(rng, probs):
    """Return a class of each row, drawn with its probabilities (n, c)."""
    return (rng.random((len(probs), 1)) > np.cumsum(probs, axis=1)[:, :-1]).sum(axis=1)


def _draws_rows_outputs(values):
    if values.ndim == 1:
        return values[None, :, None]
    return values[..., None] if values.ndim == 2 else values
