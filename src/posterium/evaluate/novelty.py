"""How strange a row is to a fit: scores that should be higher out of distribution.

Each is one number a row, the higher the stranger. What they see differs: the confidence and the
entropy of the prediction are high for rows between classes too; mutual information, divergence of
draws and epistemic sd only for rows about which the functions drawn disagree; the energy only for
rows whose logits are small.
"""

from typing import Any

import jax
import numpy as np
from scipy.special import entr

from posterium.evaluate import draws as by_draw
from posterium.posterior.components.base import over_draws
from posterium.posterior.components.classes import ClassComponents
from posterium.posterior.components.gaussian import GaussianComponents
from posterium.posterior.fit import Fit
from posterium.posterior.predictive import ClassPredictive, RegressionPredictive


def least_confidence(predictive: ClassPredictive) -> np.ndarray:
    """Return 1 less the probability of the most probable class, (n,) (hendrycks2017)."""
    return 1 - predictive.probs.max(axis=1)


def entropy(predictive: ClassPredictive) -> np.ndarray:
    """Return the entropy of the averaged probabilities, (n,), in nats."""
    return predictive.entropy


def mutual_information(predictive: ClassPredictive) -> np.ndarray:
    """Return the epistemic part of the entropy, (n,), in nats: 0 where all draws agree."""
    return predictive.mutual_information


def epistemic_sd(predictive: RegressionPredictive) -> np.ndarray:
    """Return the sd of the mean under the posterior, (n,) or (n, k), in target units."""
    return predictive.epistemic_sd


def pairwise_kl(predictive: ClassPredictive | RegressionPredictive) -> np.ndarray:
    r"""Return the expected divergence between the predictions of two draws, in nats.

    .. math:: \frac{1}{s (s - 1)} \sum_{i \ne j} \mathrm{KL}(p_i, p_j)

    (n,) of classes, (n, k) or (n,) of Gaussian predictions (malinin2021). It weighs draws that rule
    out what others expect more than the mutual information does, which it is never below.

    Raises
    ------
    ValueError
        Where there is one draw, or predictions are neither of classes nor Gaussian.
    """
    found = np.concatenate([_divergence(piece) for piece in predictive.pieces()])
    squeezed = isinstance(predictive, RegressionPredictive) and predictive.squeeze
    return found[:, 0] if squeezed else found


def energy(key: jax.Array, fit: Fit, x: Any, *, draws: int = 100) -> np.ndarray:
    """Return less the log of the summed exponentials of the logits, averaged over draws, (n,).

    It looks at the size of the logits, which the probabilities have lost (liu2020). The likelihood
    does not see that size, so it is only as good as what the network makes of it.

    Parameters
    ----------
    key
        Typed random key for the draws of a posterior that has no draws of its own.
    fit
        A fit under `Categorical` (or `Bernoulli`, whose first logit is 0).
    x
        Inputs, (n, ...).
    draws
        Draws of each member; those of a sampler are all taken.

    Raises
    ------
    ValueError
        When the likelihood has no logits.
    """
    name = type(fit.model.likelihood).__name__
    if name not in ("Categorical", "Bernoulli"):
        raise ValueError(
            f"energy expects logits, as of Categorical or Bernoulli; the likelihood is {name}. Use "
            "pairwise_kl or mutual_information of its prediction."
        )
    outputs = by_draw.outputs(key, fit, x, draws)
    logits = outputs.reshape(-1, *outputs.shape[2:]).astype(np.float64)
    if name == "Bernoulli":
        logits = np.concatenate([np.zeros_like(logits), logits], axis=-1)
    return -np.logaddexp.reduce(logits, axis=-1).mean(axis=0)


def _divergence(piece: Any) -> np.ndarray:
    """Return the divergence of two draws at some rows: a sum over pairs by averages over draws."""
    draws = piece.shape[0]
    if draws < 2:
        raise ValueError(
            "Expected at least two draws to compare; the prediction is in closed form, or one set "
            "of weights. Use predict(..., how='draws'), or an Ensemble."
        )
    if isinstance(piece, ClassComponents):
        each = _of_classes(piece)
    elif isinstance(piece, GaussianComponents):
        each = _of_gaussians(piece)
    else:
        raise ValueError(
            "pairwise_kl expects predictions of classes or Gaussian ones; got those of "
            f"{type(piece.law).__name__}. Use epistemic_sd, or decompose(predictive, 'entropy')."
        )
    return each * draws / (draws - 1)


def _of_classes(piece: ClassComponents) -> np.ndarray:
    probs = piece.each()
    centre = over_draws(probs)
    with np.errstate(invalid="ignore"):
        crossed = np.where(centre > 0, centre * over_draws(piece.each_log()), 0.0)
    return -(over_draws(entr(probs)) + crossed).sum(axis=-1)


def _of_gaussians(piece: GaussianComponents) -> np.ndarray:
    """Return the mean over all pairs of (v_i + (m_i - m_j)^2) / 2 v_j - 1/2: logs cancel."""
    variance = piece.variance + np.asarray(piece.function_variance)
    apart = piece.mean - over_draws(piece.mean)
    spread = over_draws(variance + apart**2)
    return 0.5 * (spread * over_draws(1 / variance) + over_draws(apart**2 / variance) - 1)
