"""Products: affine maps, matrix products, convolutions, embeddings and attention."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from posterium.model.adapters.aten.noise import dropout
from posterium.model.adapters.aten.table import NOISY, axes, op, spread


@op("linear.default")
def linear(x: jax.Array, weight: jax.Array, bias: jax.Array | None = None) -> jax.Array:
    out = lax.dot_general(x, weight, (((x.ndim - 1,), (weight.ndim - 1,)), ((), ())))
    return out if bias is None else out + spread(out, bias)[1]


@op("mm.default", "bmm.default", "matmul.default", "mv.default", "dot.default")
def matmul(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(*(spread(a, b) if min(a.ndim, b.ndim) > 1 else (a, b)))


@op("addmm.default", "baddbmm.default")
def affine(
    bias: jax.Array, a: jax.Array, b: jax.Array, *, beta: Any = 1, alpha: Any = 1
) -> jax.Array:
    out = matmul(a, b)
    return (out if alpha == 1 else alpha * out) + beta * spread(out, bias)[1]


@op("einsum.default")
def einsum(equation: str, operands: list[jax.Array], path: Any = None) -> jax.Array:
    return jnp.einsum(equation, *operands)


@op("_trilinear.default")
def trilinear(
    a: jax.Array, b: jax.Array, c: jax.Array, expand1: list[int], expand2: list[int],
    expand3: list[int], sumdim: list[int], unroll_dim: int = 1,
) -> jax.Array:  # fmt: skip
    parts = ((a, expand1), (b, expand2), (c, expand3))
    a, b, c = (jnp.expand_dims(part, tuple(new)) for part, new in parts)
    return jnp.sum(a * b * c, axes(a, sumdim))


@op("convolution.default")
def convolution(
    x: jax.Array, weight: jax.Array, bias: jax.Array | None, stride: list[int],
    padding: list[int], dilation: list[int], transposed: bool, output_padding: list[int],
    groups: int,
) -> jax.Array:  # fmt: skip
    unbatched = x.ndim < weight.ndim
    x = x[None] if unbatched else x
    widths = [(p, p) for p in padding]
    spaced = None
    if transposed:
        spans = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
        ends = zip(spans, padding, output_padding, strict=True)
        widths = [(span - p, span - p + more) for span, p, more in ends]
        weight, stride, spaced = _flipped(weight, groups), [1] * len(stride), stride
    out = lax.conv_general_dilated(
        x, weight, stride, widths, lhs_dilation=spaced, rhs_dilation=dilation,
        feature_group_count=groups,
    )  # fmt: skip
    if bias is not None:
        out = out + bias.reshape(1, -1, *[1] * (out.ndim - 2))
    return out[0] if unbatched else out


def _flipped(weight: jax.Array, groups: int) -> jax.Array:
    """Return the kernel (out, in / groups, ...) of the convolution that a transposed one is."""
    inputs, outputs, *size = weight.shape
    grouped = weight.reshape(groups, inputs // groups, outputs, *size).swapaxes(1, 2)
    kernel = grouped.reshape(groups * outputs, inputs // groups, *size)
    return jnp.flip(kernel, tuple(range(2, kernel.ndim)))


@op("embedding.default")
def embedding(
    weight: jax.Array, places: jax.Array, padding_idx: int = -1, *rest: Any, **options: Any
) -> jax.Array:
    out = jnp.take(weight, places, axis=0)
    if padding_idx < 0:
        return out
    # The row of the padding has no gradient in PyTorch.
    return jnp.where((places == padding_idx)[..., None], lax.stop_gradient(out), out)


@op("_softmax.default")
def softmax(x: jax.Array, dim: int, half_to_float: bool = False) -> jax.Array:
    return jax.nn.softmax(x, dim)


@op("_log_softmax.default")
def log_softmax(x: jax.Array, dim: int, half_to_float: bool = False) -> jax.Array:
    return jax.nn.log_softmax(x, dim)


@op("scaled_dot_product_attention.default", table=NOISY)
def attention(
    key: jax.Array | None, q: jax.Array, k: jax.Array, v: jax.Array, mask: Any = None,
    dropout_p: float = 0.0, is_causal: bool = False, *, scale: float | None = None,
    enable_gqa: bool = False,
) -> jax.Array:  # fmt: skip
    if enable_gqa:
        k, v = (jnp.repeat(part, q.shape[-3] // part.shape[-3], axis=-3) for part in (k, v))
    scores = matmul(q, k.swapaxes(-1, -2)) * (scale or 1 / math.sqrt(q.shape[-1]))
    if is_causal:
        mask = jnp.tril(jnp.ones(scores.shape[-2:], bool))
    if mask is not None:
        scores, mask = spread(scores, mask)
        banned = mask.dtype == bool
        scores = jnp.where(mask, scores, -jnp.inf) if banned else scores + mask
    return matmul(dropout(key, jax.nn.softmax(scores, -1), dropout_p), v)
