"""Walk: what the library makes of each weight of a network, by following it."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from posterium._struct import replace
from posterium.model.adapters.recognise import as_network
from posterium.numerics import kronecker, noise
from posterium.numerics.interpret import Coverage

USES: dict[str, Callable[[Any, Any, Any], Coverage]] = {
    "noise": noise.coverage,
    "kronecker": lambda f, params, x: kronecker.layout(f, params, x).coverage,
}


def describe_walk(network: Any, x: Any, use: str = "noise") -> Coverage:
    """Return which treatment each weight of a network gets, and why; nothing is computed.

    Parameters
    ----------
    network
        Any network, of any framework.
    x
        Inputs, (n, ...), or `jax.ShapeDtypeStruct` of their shape and type.
    use
        ``"noise"``, for draws of outputs under random weights: ``local`` (local
        reparameterisation), ``flipout``, ``per row`` or ``shared``. ``"kronecker"``, for factors
        of the curvature: ``product``, ``bias`` or ``plain`` (a diagonal).

    Returns
    -------
    Coverage
        Print it, or read `entries` and `treatment(path)`.

    Raises
    ------
    ValueError
        For an unknown use, or a network whose outputs are not one row for each row of x.

    Examples
    --------
    >>> import numpy as np
    >>> from posterium import MLP, describe_walk
    >>> describe_walk(MLP(hidden=(8,)), np.zeros((100, 3)))
    layers/0/bias    per row  enters add
    layers/0/kernel  local    each weight enters one output
    layers/1/bias    per row  enters add
    layers/1/kernel  local    each weight enters one output
    """
    if use not in USES:
        raise ValueError(f"use must be one of {', '.join(USES)}; got {use!r}.")
    network = as_network(network)
    x = x if isinstance(x, jax.ShapeDtypeStruct) else np.asarray(x)
    weights = jax.eval_shape(network.init, jax.random.key(0), x)

    def walked(params: Any, state: Any, x: Any) -> Coverage:
        def f(params: Any, x: Any) -> jax.Array:
            return network.apply(replace(weights, params=params, state=state), x)[0]

        return USES[use](f, params, x)

    return jax.eval_shape(walked, weights.params, weights.state, x)
