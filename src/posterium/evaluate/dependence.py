"""Partial dependence: the average prediction over rows, with one column set to a value in all.

Of every function of the posterior (friedman2001), so that its sd over functions says what the
model does not know of the effect.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from posterium.posterior.predictive import ClassPredictive


def partial_dependence(
    predict: Callable[[np.ndarray], Any], x: np.ndarray, column: int, settings: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the average prediction at each setting of a column, and its epistemic sd, (m, k) each.

    Parameters
    ----------
    predict
        Predictive distribution at rows (n, d).
    x
        Rows to average over, (n, d).
    column
        Which of the d.
    settings
        What it is set to, (m,).
    """
    settings = np.asarray(settings)
    whole = x.astype(np.result_type(x, settings))
    groups = np.repeat(whole[None], len(settings), axis=0)
    groups[:, :, column] = settings[:, None]
    return averages(predict, groups)


def averages(
    predict: Callable[[np.ndarray], Any], groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and epistemic sd of the average over each group of rows (g, b, d): (g, k).

    What a closed form knows of each row's function alone counts as shared by the rows of a group,
    so that the sd is never too small.
    """
    g, b, d = groups.shape
    found = predict(groups.reshape(g * b, d))
    blocks = list(found.components())
    if isinstance(found, ClassPredictive):
        each = np.concatenate([np.exp(block.log_probs) for block in blocks], axis=1)
        alone = np.zeros_like(each[:1])
    else:
        each = np.concatenate([block.mean for block in blocks], axis=1)
        alone = np.sqrt(np.concatenate([block.function_variance for block in blocks], axis=1))
    average = each.reshape(len(each), g, b, -1).mean(axis=2)
    shared = alone.reshape(len(alone), g, b, -1).mean(axis=2)
    return average.mean(axis=0), np.sqrt(average.var(axis=0) + (shared**2).mean(axis=0))
