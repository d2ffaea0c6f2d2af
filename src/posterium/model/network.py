"""Networks: batch in, batch out; records with value equality.

A network is any record with `init(key, x) -> Weights` and `apply(weights, x, train) -> (f, state)`.
"""

import math
from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from posterium._struct import static, struct
from posterium.model.weights import Weights

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "silu": jax.nn.silu,
    "gelu": jax.nn.gelu,
    "softplus": jax.nn.softplus,
    "sigmoid": jax.nn.sigmoid,
}


class Network(Protocol):
    """A function with weights. Implementations are hashable by value where they are static."""

    def init(self, key: jax.Array, x: jax.Array) -> Weights:
        """Draw starting weights for inputs shaped like x."""
        ...

    def apply(
        self, weights: Weights, x: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, Any]:
        """Return the outputs f (n, k) and the state after this call."""
        ...


@struct
class MLP:
    """A multi-layer perceptron: affine layers with an activation in between.

    Parameters
    ----------
    outputs
        Number of outputs k: one a target, two with a predicted noise scale, one a class.
    hidden
        Widths of the hidden layers; `()` is a linear model.
    activation
        A name: relu, tanh, silu, gelu, softplus or sigmoid.
    bias
        False leaves the bias vectors out.
    residual
        Add a hidden layer's input to its output where their widths agree.
    layer_norm
        Normalise each hidden layer's sums over its units, with learned scale and shift.
    """

    outputs: int = static(default=1)
    hidden: tuple[int, ...] = static(default=(50,))
    activation: str = static(default="relu")
    bias: bool = static(default=True)
    residual: bool = static(default=False)
    layer_norm: bool = static(default=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", tuple(self.hidden))
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"activation must be one of {', '.join(ACTIVATIONS)}; got {self.activation!r}."
            )
        if self.outputs < 1 or any(width < 1 for width in self.hidden):
            raise ValueError(
                f"Widths must be at least 1; got hidden={self.hidden}, outputs={self.outputs}."
            )

    @property
    def last_layer(self) -> str:
        """Pattern of the paths of the last layer's weights."""
        return f"layers/{len(self.hidden)}/*"

    def init(self, key: jax.Array, x: jax.Array) -> Weights:
        widths = (x.shape[-1], *self.hidden, self.outputs)
        keys = jax.random.split(key, len(widths) - 1)
        layers = [
            self._layer(k, *pair, last=i == len(self.hidden))
            for i, (k, pair) in enumerate(zip(keys, zip(widths, widths[1:], strict=False), strict=True))
        ]
        return Weights({"layers": layers})

    def _layer(self, key: jax.Array, width: int, out: int, *, last: bool) -> dict[str, jax.Array]:
        gain = 1.0 if last or self.activation in ("tanh", "sigmoid") else 2.0
        layer = {"kernel": jax.random.normal(key, (width, out)) * math.sqrt(gain / width)}
        if self.bias:
            layer["bias"] = jnp.zeros(out)
        if self.layer_norm and not last:
            layer |= {"norm_scale": jnp.ones(out), "norm_shift": jnp.zeros(out)}
        return layer

    def apply(
        self, weights: Weights, x: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, Any]:
        *hidden, last = weights.params["layers"]
        for layer in hidden:
            out = ACTIVATIONS[self.activation](self._affine(layer, x))
            x = out + x if self.residual and out.shape == x.shape else out
        return self._affine(last, x), weights.state

    def _affine(self, layer: dict[str, jax.Array], x: jax.Array) -> jax.Array:
        x = x @ layer["kernel"]
        if "bias" in layer:
            x = x + layer["bias"][None, :]
        if "norm_scale" in layer:
            x = jax.nn.standardize(x, axis=-1) * layer["norm_scale"] + layer["norm_shift"]
        return x


@struct
class Functions:
    """A network of one's own as a plain pair of functions.

    Parameters
    ----------
    init_params
        `init_params(key, x) -> params`, any pytree of arrays.
    forward
        `forward(params, x) -> f`, batch in, (n, k) out.

    Notes
    -----
    Two records are the same network when their functions are the same objects: define the
    functions once, at module level, so that a second fit compiles nothing.
    """

    init_params: Callable[[jax.Array, jax.Array], Any] = static()
    forward: Callable[[Any, jax.Array], jax.Array] = static()

    def init(self, key: jax.Array, x: jax.Array) -> Weights:
        return Weights(self.init_params(key, x))

    def apply(
        self, weights: Weights, x: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, Any]:
        return self.forward(weights.params, x), weights.state
