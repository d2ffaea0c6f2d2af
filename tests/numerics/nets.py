"""Small networks as plain functions, one for each way in which weights enter; and their weights."""

import jax
import jax.numpy as jnp
import numpy as np


def dense(params, x):
    hidden = jnp.tanh(x @ params["w1"] + params["b1"])
    return (hidden * params["scale"]) @ params["w2"] + params["b2"]


def conv(params, x):
    """Two convolutions, the second grouped, over 5 x 5 images with 2 channels; then dense."""
    numbers = ("NHWC", "HWIO", "NHWC")
    maps = jax.lax.conv_general_dilated(
        x, params["k1"], (2, 1), "SAME", dimension_numbers=numbers, rhs_dilation=(1, 2)
    )
    maps = jax.nn.softplus(maps + params["b1"])
    maps = jax.lax.conv_general_dilated(
        maps, params["k2"], (1, 1), "VALID", dimension_numbers=numbers, feature_group_count=2
    )
    return maps.reshape(x.shape[0], -1) @ params["w"]


def tied(params, x):
    """An autoencoder with one matrix for both directions."""
    return jnp.tanh(x @ params["w"]) @ params["w"].T + params["b"]


def recurrent(params, x):
    """An Elman network over sequences (n, T, d)."""

    def step(state, x):
        return jnp.tanh(x @ params["in"] + state @ params["loop"]), None

    start = jnp.zeros((x.shape[0], params["loop"].shape[0]), x.dtype)
    return jax.lax.scan(step, start, jnp.swapaxes(x, 0, 1))[0] @ params["out"]


def embedding(params, tokens):
    """Embed tokens (n, T), mix them at each position, and return every position's output."""
    hidden = jnp.tanh(params["table"][tokens] @ params["mix"] + params["b"])
    return (hidden @ params["out"]).reshape(tokens.shape[0], -1)


def pooled(params, tokens):
    """Embed tokens (n, T) and read their mean."""
    return jnp.tanh(params["table"][tokens].mean(1)) @ params["out"]


def heads(params, x):
    """Multiply each of two heads (n, T, h, d) with a matrix of its own, at all positions."""
    return jnp.einsum("nthd,hde->nthe", jnp.tanh(x), params["w"]).reshape(x.shape[0], -1)


def weights(seed, **shapes):
    """Return means and standard deviations of weights of the given shapes."""
    rng = np.random.default_rng(seed)
    mean = {name: jnp.asarray(rng.normal(size=shape) * 0.6) for name, shape in shapes.items()}
    sd = {name: jnp.asarray(rng.uniform(0.2, 0.6, shape)) for name, shape in shapes.items()}
    return mean, sd


def inputs(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)
