"""PyTorch: a module, as a network: exported once, and computed in JAX from then on."""

from typing import Any, ClassVar

import jax
import numpy as np

from posterium._struct import static, struct
from posterium.model.adapters import leaves
from posterium.model.adapters.aten.graph import canonical
from posterium.model.weights import Weights
from posterium.numerics import trees


@struct
class Torch:
    """A PyTorch module as a network: its parameters are the weights, by their names.

    Its buffers, such as batch statistics, and parameters that take no gradient are state.

    Parameters
    ----------
    source
        The module as it was when it came.
    pretrained
        Whether `init` gives the module's own weights instead of drawing them.
    """

    source: Any = static()
    pretrained: bool = static(default=False)

    wrapper: ClassVar[str] = "from_torch"

    @property
    def layout(self) -> tuple[tuple[str, str], ...]:
        """Where weights have their inputs."""
        return self.source.layout

    def init(self, key: jax.Array, x: jax.Array) -> Weights:
        source = self.source
        values = source.arrays() if self.pretrained else source.drawn(key)
        params = {path: values[path] for path in source.weights}
        state = {path: value for path, value in values.items() if path not in params}
        return Weights(_nested(params), _nested(state) or None)

    def apply(
        self, weights: Weights, x: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, Any]:
        return leaves.applied(self._forward, weights, x, train)

    def _forward(self, weights: Weights, x: jax.Array, train: bool) -> tuple[jax.Array, Any]:
        program = self.source.program(x, training=train or weights.key is not None)
        held = trees.flatten(weights.params) | trees.flatten(weights.state)
        f, moved = program.run(held, x, train=train, key=weights.key)
        return f, trees.overlay(weights.state, moved)


def _nested(values: dict[str, Any]) -> dict[str, Any]:
    """Return leaves as dicts inside dicts, in JAX's types."""
    nested: dict[str, Any] = {}
    for path, value in values.items():
        *outer, last = path.split("/")
        into = nested
        for name in outer:
            into = into.setdefault(name, {})
        into[last] = jax.numpy.asarray(value, canonical(value.dtype))
    return nested


def from_torch(module: Any, example: Any = None, *, pretrained: bool = False) -> Torch:
    """Return a PyTorch module as a network; a `Model` does so by itself.

    The module is copied, exported by ``torch.export`` for each shape that a row of inputs has,
    and computed in JAX by core ATen operators; PyTorch draws starting weights and does nothing
    else. Batch statistics and dropout have a switch each: statistics move in training, and
    dropout is on where there is a key for it.

    Parameters
    ----------
    module
        A module, batch in and (n, k) out, for any number of rows. What it does in training and in
        evaluation is found out on a copy.
    example
        Inputs, (n, ...), of which only shape and type count: the module is exported now, and what
        cannot be is refused at once. None exports it when it is first used.
    pretrained
        True starts from the module's own weights, and an `Ensemble` refuses it; False draws them
        by the ``reset_parameters`` of all layers, under the key.

    Raises
    ------
    TypeError
        For what is no module, or one whose parameters have no shape yet.
    ValueError
        For parameters that no ``reset_parameters`` sets; for a module that cannot be exported,
        or has operators that are not covered: the message names them and their line.

    Notes
    -----
    Networks of the same module are the same as long as its printed text and its weights are: a
    second fit compiles nothing.
    """
    try:
        from posterium.model.adapters.aten.source import source_of
    except ImportError as error:
        raise ImportError(
            "Networks of PyTorch need torch, which is not installed: "
            'pip install "posterium[torch]".'
        ) from error
    source = source_of(module)
    if source.undrawn and not pretrained:
        raise ValueError(
            "Expected layers that draw their parameters in reset_parameters(); "
            f"{', '.join(source.undrawn)} of {source} have none that sets them. Define it on the "
            "module that owns them, or keep the weights: from_torch(module, pretrained=True)."
        )
    network = Torch(source, pretrained)
    if example is not None:
        x = jax.ShapeDtypeStruct(np.shape(example), np.asarray(example).dtype)
        for training in (False, True):
            source.program(x, training)
    return network
