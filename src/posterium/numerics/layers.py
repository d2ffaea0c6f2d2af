"""Which weights are a function's last layer."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import jax

from posterium.numerics import products
from posterium.numerics.interpret import MOVES, Plain, Site, Tracked, Use, is_exact, trace

SCATTERS = frozenset(("scatter-add", "scatter_add"))
"""Sums into places (operand, places, what is added); the name differs between versions of JAX."""

SUMS = SCATTERS.union(
    MOVES, ("add", "add_any", "sub", "neg", "concatenate", "pad", "reduce_sum", "cumsum")
)
"""Operations that are linear in all their operands together."""

LINEAR = {
    **dict.fromkeys(("mul", *products.PRODUCTS), (0, 1)),
    **dict.fromkeys(("div", "gather", "dynamic_slice"), (0,)),
}
"""Operations that are linear in some of their operands, given the others."""


def last_layer(f: Callable[[Any, Any], Any], params: Any, x: Any) -> tuple[str, ...]:
    """Return the paths of the weights in which the outputs are affine: the last layer.

    Those are the weights that are used once, in a product with something or added, whose result
    reaches the outputs only through sums, constant factors and moves of entries. The outputs are
    then affine in all of them together, whatever the other weights are. Empty where the outputs
    are a non-linear function of every weight.

    Parameters
    ----------
    f, params, x
        A function that treats rows alone, its weights and a batch, as for `interpret.trace`.
    """
    program = trace(f, params, x)
    outs = program.run(_Reach(), [NOTHING for _ in jax.tree.leaves(x)])
    affine = frozenset().union(*(out.affine for out in outs))
    bent = frozenset().union(*(out.bent for out in outs))
    return tuple(path for i, path in enumerate(program.paths) if i in affine - bent)


class Reach(NamedTuple):
    """The leaves that a value is affine in, and those that reach it in any other way."""

    affine: frozenset[int]
    bent: frozenset[int]

    def all(self) -> frozenset[int]:
        """Return all leaves that reach the value."""
        return self.affine | self.bent


NOTHING = Reach(frozenset(), frozenset())


class _Reach(Use):
    """The walk that computes no numbers, only what reaches what."""

    def constant(self, value: Any) -> Reach:
        return NOTHING

    def settle(self, tracked: Tracked, reason: str) -> Reach:
        return Reach(frozenset(), frozenset([tracked.source]))

    def evaluate(self, site: Site) -> list[Reach]:
        """Keep what is affine through sums and scalings; all else bends what it reads."""
        joint = Reach(*(frozenset().union(*sets) for sets in zip(NOTHING, *site.ins, strict=True)))
        affine = [i for i, value in enumerate(site.ins) if value.affine]
        placed = site.name in SCATTERS and site.ins[1].all()
        if (site.name in SUMS and is_exact(site) and not placed) or (
            len(affine) == 1 and _is_linear(site, affine[0])
        ):
            return [Reach(joint.affine - joint.bent, joint.bent)] * site.outputs
        return [Reach(frozenset(), joint.all())] * site.outputs

    def product(self, site: Site) -> Any:
        """Take a weight that is multiplied with something or looked up as affine."""
        weights = site.weights()
        if len(weights) != 1 or not _is_linear(site, weights[0]):
            return Plain("is no factor")
        others = (value.all() for value in site.ins if isinstance(value, Reach))
        return Reach(frozenset([site.ins[weights[0]].source]), frozenset().union(*others))

    def add(self, site: Site) -> Reach:
        """Take a weight that is added as affine."""
        ins = [_own(v) if isinstance(v, Tracked) else v for v in site.ins]
        (out,) = self.evaluate(replace(site, ins=tuple(ins)))
        return out

    rules: ClassVar = {
        **dict.fromkeys(LINEAR, product),
        **dict.fromkeys(("add", "add_any", "sub"), add),
    }


def _own(weight: Tracked) -> Reach:
    return Reach(frozenset([weight.source]), frozenset())


def _is_linear(site: Site, operand: int) -> bool:
    """Say whether an operation is linear in one operand, whatever the others are."""
    return operand in LINEAR.get(site.name, ())
