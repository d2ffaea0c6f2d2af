r"""Class probabilities from a Gaussian over a network's outputs, without draws.

*Probit*: averaged over f ~ N(m, v), a sigmoid is about a sigmoid again,
:math:`\sigma(m / \sqrt{1 + \pi v / 8})` (mackay1992evidence), since it resembles a probit function,
whose average is exact. For more classes every logit is shrunk by its own variance (gibbs1997),
covariances left out.

*Laplace bridge*: a Dirichlet distribution has a Laplace approximation in the logits (mackay1998),
and the bridge goes back, from a Gaussian over the logits to a Dirichlet over the probabilities.
"""

import math

import jax
import jax.numpy as jnp

from posterium.model.likelihoods.classes import Bernoulli, Categorical

LINKED = (Bernoulli, Categorical)
"""Likelihoods whose outputs are logits."""


def probit(likelihood: Bernoulli | Categorical, mean: jax.Array, variance: jax.Array) -> jax.Array:
    """Return the log probabilities of the classes, (n, c), averaged over the outputs.

    Parameters
    ----------
    likelihood
        What makes logits of the outputs.
    mean, variance
        Of each output, (n, k).
    """
    return likelihood.log_probs(mean / jnp.sqrt(1 + math.pi / 8 * variance))


def bridge(
    likelihood: Bernoulli | Categorical, mean: jax.Array, covariance: jax.Array
) -> tuple[jax.Array, jax.Array]:
    r"""Return a Dirichlet over the probabilities: log of its mean (n, c), and its spread (n, 1).

    The spread is one over the sum s of the concentrations. A Dirichlet with the mean pi has the
    precision s F in the logits, with F the Fisher information of the softmax at pi, and

    .. math:: \pi = \mathrm{softmax}(m / \sqrt{v}), \quad s = (c - 1) / \mathrm{tr}(F S), \quad
        v = \max(1, \bar S / \sqrt{c / 2})

    gives back a Dirichlet from its own Gaussian N(m, S) in the logits. The mean variance of a
    logit, after what all logits share is taken out, is S-bar; v moderates the mean where a large
    variance makes the approximation in the logits poor (hobbhahn2022). The mutual information is
    right to first order in S.

    Parameters
    ----------
    likelihood
        What makes logits of the outputs.
    mean, covariance
        Of the outputs, (n, k) and (n, k, k).

    Notes
    -----
    Hobbhahn et al. read each concentration off its own variance. Where S is not exactly that of
    some Dirichlet, the mean then leaves the mode, even as S vanishes, where this one is the
    softmax. They also apply v below 1, which sharpens, and divide S by it.
    """

    def information(f: jax.Array) -> jax.Array:
        # A sum of its own: fused with others it would have other bits in other company.
        fisher, own = jax.lax.optimization_barrier((likelihood.fisher(f), covariance))
        return jax.lax.optimization_barrier(jnp.einsum("nkl,nkl->n", fisher, own))

    classes = jax.eval_shape(likelihood.log_probs, mean).shape[1]
    excess = jnp.maximum(information(jnp.zeros_like(mean)) / math.sqrt(classes / 2), 1)
    f = mean / jnp.sqrt(excess)[:, None]
    return likelihood.log_probs(f), information(f)[:, None] / (classes - 1)
