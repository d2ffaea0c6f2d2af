"""Where the axes of a weight go in its product with something: matrix products, convolutions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from posterium.numerics.interpret import Plain, Site

PRODUCTS = ("dot_general", "conv_general_dilated")


@dataclass(frozen=True)
class Axes:
    """The axes of a product y = x w of a weight w with something x.

    Parameters
    ----------
    weight, other
        Positions of w and x among the inputs.
    batch_x, batch_w
        Axes on which x and w are multiplied entry by entry, paired in order.
    sum_x, sum_w
        Axes that are summed over, paired in order. Of a convolution: the channels.
    free_x, free_w
        The remaining axes. Of a convolution: the sample axis and the spatial ones; the outputs.
    window_w
        Spatial axes of a convolution's kernel.
    x_out, w_out
        Axes of y that stem from `free_x`, and from `batch_w + free_w`.
    """

    weight: int
    other: int
    batch_x: tuple[int, ...]
    batch_w: tuple[int, ...]
    sum_x: tuple[int, ...]
    sum_w: tuple[int, ...]
    free_x: tuple[int, ...]
    free_w: tuple[int, ...]
    x_out: tuple[int, ...]
    w_out: tuple[int, ...]
    window_w: tuple[int, ...] = ()

    def positions(self, site: Site) -> int:
        """Return how many outputs of one row each weight enters."""
        return math.prod(site.shape[i] for i in self.x_out)


def axes(site: Site) -> Axes | Plain:
    """Return the axes of a product with exactly one weight, or why it is not taken."""
    weights = site.weights()
    if len(weights) != 1:
        return Plain("multiplies another weight" if weights else "no weight enters")
    if site.ins[weights[0]].spread:
        return Plain("repeated before its product")
    return (_dot if site.name == "dot_general" else _conv)(site, weights[0])


def _dot(site: Site, weight: int) -> Axes:
    (sums, batches), other = site.params["dimension_numbers"], 1 - weight
    taken = [(*sums[i], *batches[i]) for i in (0, 1)]
    free = [_rest(len(site.shapes[i]), taken[i]) for i in (0, 1)]
    nb, nl, end = len(batches[0]), len(batches[0]) + len(free[0]), len(site.shape)
    outs = (tuple(range(nb, nl)), tuple(range(nl, end)))
    return Axes(
        weight=weight,
        other=other,
        batch_x=tuple(batches[other]),
        batch_w=tuple(batches[weight]),
        sum_x=tuple(sums[other]),
        sum_w=tuple(sums[weight]),
        free_x=free[other],
        free_w=free[weight],
        x_out=outs[other],
        w_out=(*range(nb), *outs[weight]),
    )


def _conv(site: Site, weight: int) -> Axes | Plain:
    numbers = site.params["dimension_numbers"]
    if weight != 1 or site.params["batch_group_count"] != 1:
        return Plain("is not the kernel of its convolution")
    (out, into, *_), channel = numbers.rhs_spec, numbers.lhs_spec[1]
    end = numbers.out_spec[1]
    return Axes(
        weight=1,
        other=0,
        batch_x=(),
        batch_w=(),
        sum_x=(channel,),
        sum_w=(into,),
        free_x=_rest(len(site.shapes[0]), (channel,)),
        free_w=(out,),
        x_out=_rest(len(site.shape), (end,)),
        w_out=(end,),
        window_w=_rest(len(site.shapes[1]), (out, into)),
    )


def _rest(rank: int, taken: Sequence[int]) -> tuple[int, ...]:
    return tuple(i for i in range(rank) if i not in taken)
