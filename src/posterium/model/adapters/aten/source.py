"""Source: a PyTorch module as it was when it came; its programs, and draws of its weights."""

import copy
import functools
import warnings
import weakref
from typing import Any

import jax
import numpy as np
import torch

from posterium.model.adapters import leaves
from posterium.model.adapters.aten.export import exported, path_of
from posterium.model.adapters.aten.graph import Program, canonical, inputs_dtype

LAYOUT: dict[Any, str] = {
    (torch.nn.Embedding, torch.nn.EmbeddingBag): "no sum",
    torch.nn.modules.conv._ConvTransposeNd: "inputs, outputs, window",
}
"""Layers that do not keep outputs first."""


class Source:
    """A PyTorch module as it was when it came, and what it computes for each shape of a row."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.module = copy.deepcopy(module).cpu()
        self.text = repr(module)
        self.weights = [
            path_of(name)
            for name, p in self.module.named_parameters()
            if p.requires_grad and p.is_floating_point()
        ]
        self.programs: dict[Any, Program] = {}

    def __repr__(self) -> str:
        return type(self.module).__name__

    def arrays(self) -> dict[str, np.ndarray]:
        """Return copies of parameters and buffers by path."""
        return _arrays(self.module)

    def program(self, x: Any, training: bool) -> Program:
        """Return what the module computes from rows shaped like those of x."""
        of = x.shape[1:], inputs_dtype(x.dtype, "float32"), training
        if of not in self.programs:
            self.programs[of] = exported(self.module, *of)
        return self.programs[of]

    def drawn(self, key: jax.Array) -> dict[str, jax.Array]:
        """Draw parameters and buffers as the layers do when they are built."""
        shapes = {
            path: jax.ShapeDtypeStruct(value.shape, canonical(value.dtype))
            for path, value in self.arrays().items()
        }
        seed = jax.random.bits(key, (2,), "uint32")

        def draw(seed: Any) -> dict[str, np.ndarray]:
            high, low = map(int, np.asarray(seed))
            values = _arrays(_redrawn(self.module, high << 32 | low))
            # JAX's precision here is that of another thread.
            return {path: value.astype(shapes[path].dtype) for path, value in values.items()}

        return jax.pure_callback(draw, shapes, seed, vmap_method="sequential")

    @functools.cached_property
    def layout(self) -> tuple[tuple[str, str], ...]:
        """Where parameters have their inputs, by the layers that own them."""
        named = ((name, kind) for name, m in self.module.named_modules()
                 for kinds, kind in LAYOUT.items() if isinstance(m, kinds))  # fmt: skip
        told = ((path_of(f"{name}.weight" if name else "weight"), kind) for name, kind in named)
        return *told, *leaves.NO_SUM, ("*", "outputs first")

    @functools.cached_property
    def undrawn(self) -> list[str]:
        """Names of the parameters that no layer draws."""
        drawn = _redrawn(self.module, 0).named_parameters()
        return [name for name, p in drawn if p.requires_grad and p.isnan().any()]

    def describes(self, module: torch.nn.Module) -> bool:
        """Say whether a module is still as it was."""
        held, now = (_tensors(m) for m in (self.module, module))
        return (
            self.text == repr(module)
            and list(held) == list(now)
            and all(
                one.requires_grad == other.requires_grad
                and one.dtype == other.dtype
                and torch.equal(one, other.cpu())
                for one, other in zip(held.values(), now.values(), strict=True)
            )
        )


_SOURCES: weakref.WeakKeyDictionary[torch.nn.Module, Source] = weakref.WeakKeyDictionary()


def source_of(module: Any) -> Source:
    """Return the source of a module, the same while the module is as it was.

    Raises
    ------
    TypeError
        For what is no module, or one whose parameters have no shape yet.
    """
    if not isinstance(module, torch.nn.Module):
        name = getattr(module, "__name__", type(module).__name__)
        raise TypeError(f"Expected a PyTorch module; got {name}. Build it: {name}(...).")
    if any(map(torch.nn.parameter.is_lazy, [*module.parameters(), *module.buffers()])):
        raise TypeError(
            f"Expected a module whose parameters have a shape; {type(module).__name__} has lazy "
            "ones. Run it once on an example, module(x), before it becomes a network."
        )
    known = _SOURCES.get(module)
    if known is None or not known.describes(module):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # copying a module makes PyTorch warn about itself
            known = _SOURCES[module] = Source(module)
    return known


def _tensors(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _arrays(module: torch.nn.Module) -> dict[str, np.ndarray]:
    values = {name: tensor.detach().numpy() for name, tensor in _tensors(module).items()}
    return {path_of(name): value.copy() for name, value in values.items()}


def _redrawn(module: torch.nn.Module, seed: int) -> torch.nn.Module:
    """Return a copy whose layers have set their parameters anew; what none sets is nan.

    Layers of frozen parameters stay as they are. Inner layers come first, as when modules are
    built. The state of PyTorch's own generator is put back.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = copy.deepcopy(module)
    free = [p for p in module.parameters() if p.requires_grad]
    kept = {p: p.detach().clone() for p in module.parameters() if not p.requires_grad}
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        for p in free:
            p.fill_(torch.nan)
        for layer in reversed(list(module.modules())):
            own = list(layer.parameters(recurse=False))
            if own and not any(p.requires_grad for p in own):
                continue
            reset = getattr(layer, "reset_parameters", getattr(layer, "_reset_parameters", None))
            if reset is not None:
                reset()
        for p, value in kept.items():
            p.copy_(value)
    return module
