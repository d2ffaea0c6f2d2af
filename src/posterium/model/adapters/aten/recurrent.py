"""Recurrent: GRU, LSTM and plain recurrent layers, one scan over time a layer and direction."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from posterium.model.adapters.aten.noise import dropout
from posterium.model.adapters.aten.products import linear
from posterium.model.adapters.aten.table import NOISY, op

Cell = Callable[..., tuple[Any, jax.Array]]


def _gru(z: jax.Array, state: tuple[jax.Array], weight: Any, bias: Any, out: Any) -> Any:
    (h,) = state
    xr, xu, xn = jnp.split(z, 3, -1)
    hr, hu, hn = jnp.split(linear(h, weight, bias), 3, -1)
    r, u = jax.nn.sigmoid(xr + hr), jax.nn.sigmoid(xu + hu)
    n = jnp.tanh(xn + r * hn)
    h = n + u * (h - n)
    return (h,), h


def _lstm(
    z: jax.Array, state: tuple[jax.Array, jax.Array], weight: Any, bias: Any, out: Any
) -> Any:
    h, c = state
    i, f, g, o = jnp.split(z + linear(h, weight, bias), 4, -1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    h = h if out is None else linear(h, out)
    return (h, c), h


def _plain(activation: Callable[[jax.Array], jax.Array]) -> Cell:
    def cell(z: jax.Array, state: tuple[jax.Array], weight: Any, bias: Any, out: Any) -> Any:
        h = activation(z + linear(state[0], weight, bias))
        return (h,), h

    return cell


def _over_time(
    cell: Cell, x: jax.Array, state: tuple[jax.Array, ...], given: list[jax.Array], biased: bool,
    reverse: bool,
) -> tuple[tuple[jax.Array, ...], jax.Array]:  # fmt: skip
    """Return the last state and the outputs (time, n, h) of one layer in one direction."""
    into, across, *rest = given
    first, second = rest[:2] if biased else (None, None)
    project = rest[2 * biased] if len(rest) > 2 * biased else None

    def step(state: Any, z: jax.Array) -> tuple[Any, jax.Array]:
        return cell(z, state, across, second, project)

    return lax.scan(step, state, linear(x, into, first), reverse=reverse)


def _layers(cell: Cell, states: int) -> Callable[..., Any]:
    """Return the operator that stacks layers of a cell with so many states."""

    def run(
        key: jax.Array | None, x: jax.Array, start: Any, given: list[jax.Array], biased: bool,
        layers: int, p: float, train: bool, bidirectional: bool, batch_first: bool,
    ) -> tuple[jax.Array, ...]:  # fmt: skip
        start = tuple(start) if isinstance(start, list | tuple) else (start,)
        ways, x = 1 + bidirectional, x.swapaxes(0, 1) if batch_first else x
        each = len(given) // (layers * ways)
        ends: list[tuple[jax.Array, ...]] = []
        for layer in range(layers):
            if layer and key is not None and train:
                x = dropout(jax.random.fold_in(key, layer), x, p)
            outs = []
            for way in range(ways):
                i = layer * ways + way
                part = given[i * each : (i + 1) * each]
                state = tuple(s[i] for s in start)
                end, out = _over_time(cell, x, state, part, biased, bool(way))
                ends.append(end)
                outs.append(out)
            x = jnp.concatenate(outs, -1)
        last = (jnp.stack([end[i] for end in ends]) for i in range(states))
        return x.swapaxes(0, 1) if batch_first else x, *last

    return run


op("gru.input", table=NOISY)(_layers(_gru, 1))
op("lstm.input", table=NOISY)(_layers(_lstm, 2))
op("rnn_tanh.input", table=NOISY)(_layers(_plain(jnp.tanh), 1))
op("rnn_relu.input", table=NOISY)(_layers(_plain(jax.nn.relu), 1))
