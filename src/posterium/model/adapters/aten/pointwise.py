"""Pointwise: operators on one entry at a time. At kinks the derivatives are those of PyTorch."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy import special

from posterium.model.adapters.aten.table import OPS, op, spread

UNARY: dict[str, Callable[[Any], Any]] = {
    "abs": lambda x: x * jnp.sign(x), "acos": jnp.arccos, "acosh": jnp.arccosh, "asin": jnp.arcsin,
    "asinh": jnp.arcsinh, "atan": jnp.arctan, "atanh": jnp.arctanh, "bitwise_not": jnp.invert,
    "ceil": jnp.ceil, "cos": jnp.cos, "cosh": jnp.cosh, "digamma": special.digamma,
    "erf": special.erf, "erfc": special.erfc, "erfinv": special.erfinv, "exp": jnp.exp,
    "exp2": jnp.exp2, "expm1": jnp.expm1, "floor": jnp.floor, "isinf": jnp.isinf,
    "isnan": jnp.isnan, "lgamma": special.gammaln, "log": jnp.log, "log10": jnp.log10,
    "log1p": jnp.log1p, "log2": jnp.log2, "logical_not": jnp.logical_not, "mish": jax.nn.mish,
    "neg": jnp.negative, "reciprocal": lambda x: 1 / x, "relu": jax.nn.relu, "round": jnp.round,
    "rsqrt": lambda x: lax.rsqrt(floating(x)), "sigmoid": lambda x: jax.nn.sigmoid(floating(x)),
    "sign": jnp.sign, "sin": jnp.sin, "sinh": jnp.sinh, "sqrt": jnp.sqrt, "tan": jnp.tan,
    "tanh": jnp.tanh, "trunc": jnp.trunc,
}  # fmt: skip

BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "atan2.default": jnp.arctan2, "bitwise_and": jnp.bitwise_and, "bitwise_or": jnp.bitwise_or,
    "bitwise_xor": jnp.bitwise_xor, "div": jnp.true_divide, "eq": jnp.equal, "fmod": jnp.fmod,
    "ge": jnp.greater_equal, "gt": jnp.greater, "le": jnp.less_equal,
    "logaddexp.default": jnp.logaddexp, "logical_and.default": jnp.logical_and,
    "logical_or.default": jnp.logical_or, "logical_xor.default": jnp.logical_xor,
    "lt": jnp.less, "maximum.default": jnp.maximum, "minimum.default": jnp.minimum,
    "mul": jnp.multiply, "ne": jnp.not_equal, "remainder": jnp.remainder,
}  # fmt: skip


def floating(x: jax.Array) -> jax.Array:
    """Return an array as floating-point numbers."""
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(float)


def _spread_first(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda a, b: function(*spread(a, b))


OPS.update({f"{name}.default": function for name, function in UNARY.items()})
for _name, _function in BINARY.items():
    _overloads = [_name] if "." in _name else [f"{_name}.Tensor", f"{_name}.Scalar"]
    OPS.update(dict.fromkeys(_overloads, _spread_first(_function)))


@op("add.Tensor", "add.Scalar")
def add(a: Any, b: Any, alpha: Any = 1) -> Any:
    a, b = spread(a, b)
    return a + (b if alpha == 1 else alpha * b)


@op("sub.Tensor", "sub.Scalar")
def subtract(a: Any, b: Any, alpha: Any = 1) -> Any:
    a, b = spread(a, b)
    return a - (b if alpha == 1 else alpha * b)


@op("rsub.Scalar", "rsub.Tensor")
def subtract_from(a: Any, b: Any, alpha: Any = 1) -> Any:
    return subtract(b, a, alpha)


@op("div.Tensor_mode", "div.Scalar_mode")
def divide(a: Any, b: Any, rounding_mode: str | None = None) -> Any:
    a, b = spread(a, b)
    if rounding_mode == "floor":
        return jnp.floor_divide(a, b)
    return jnp.trunc(a / b) if rounding_mode == "trunc" else a / b


@op("pow.Tensor_Scalar", "pow.Tensor_Tensor", "pow.Scalar")
def power(a: Any, b: Any) -> Any:
    if isinstance(b, float) and b.is_integer():
        b = int(b)
    return jnp.power(*spread(a, b))


@op("where.self", "where.ScalarOther", "where.ScalarSelf", "where.Scalar")
def where(condition: jax.Array, a: Any, b: Any) -> jax.Array:
    condition, a, b = spread(condition, a, b)
    return jnp.where(condition, a, b)


@op("clamp.default", "clamp.Tensor")
def clamp(x: Any, low: Any = None, high: Any = None) -> Any:
    if low is not None:
        x, low = spread(x, low)
        x = where(x < low, low, x)
    if high is not None:
        x, high = spread(x, high)
        x = where(x > high, high, x)
    return x


@op("hardtanh.default")
def hardtanh(x: jax.Array, low: float = -1.0, high: float = 1.0) -> jax.Array:
    return jnp.where(x <= low, low, jnp.where(x >= high, high, x))


@op("hardsigmoid.default")
def hardsigmoid(x: jax.Array) -> jax.Array:
    return hardtanh(x, -3, 3) / 6 + 0.5


@op("hardswish.default")
def hardswish(x: jax.Array) -> jax.Array:
    return jnp.where(x <= -3, 0, jnp.where(x >= 3, x, x * (x + 3) / 6))


@op("leaky_relu.default")
def leaky_relu(x: jax.Array, slope: float = 0.01) -> jax.Array:
    return jnp.where(x > 0, x, slope * x)


@op("elu.default")
def elu(x: jax.Array, alpha: Any = 1, scale: Any = 1, input_scale: Any = 1) -> jax.Array:
    below = jnp.expm1(jnp.where(x > 0, 0, x) * input_scale)
    return jnp.where(x > 0, x, alpha * below) * scale


@op("celu.default")
def celu(x: jax.Array, alpha: float = 1.0) -> jax.Array:
    return elu(x, alpha, 1, 1 / alpha)


@op("gelu.default")
def gelu(x: jax.Array, approximate: str = "none") -> jax.Array:
    return jax.nn.gelu(x, approximate=approximate == "tanh")


@op("softplus.default")
def softplus(x: jax.Array, beta: Any = 1, threshold: Any = 20) -> jax.Array:
    bounded = jnp.where(x * beta > threshold, 0, x)
    return jnp.where(x * beta > threshold, x, jnp.log1p(jnp.exp(beta * bounded)) / beta)


@op("round.decimals")
def round_to(x: jax.Array, decimals: int = 0) -> jax.Array:
    return jnp.round(x, decimals)
