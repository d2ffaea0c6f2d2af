r"""Random numbers for inner loops: those of `jax.random`, bit for bit, in less time on CPU.

JAX's generator is Threefry-2x32 of 20 rounds (Salmon et al. 2011): word i of a key is a block
cipher of the counter i, so that nothing is carried from one number to the next. On CPU, JAX runs
the rounds as a loop over arrays, to compile fast. Here they are written out and fused.

Fused without a limit, XLA would work the rounds out again for whatever reads a number: in the
backward pass, for every row of a product. So an array is made in a loop of two parts, whose
results are stored.

`bits` and `normal` give what `jax.random` gives for the same key (unless its option
`jax_threefry_partitionable` is off), on any backend, under `jit` and `vmap`; either can stand for
the other. Keys of another generator than Threefry, and other types than float32 and float64, are
left to `jax.random`. `signs` and `bernoulli` take their numbers from packed bits and have no
counterpart there.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
ROUNDS = 20
PARITY = 0x1BD11BDA
"""What the two words of a key are combined with to a third."""
WORD = 32
MANTISSA = {"float32": 23, "float64": 52}
"""Binary digits of a uniform number."""
PLACES = 16
"""Binary places that a probability is rounded to."""
PARTS = 2

Pair = tuple[Any, Any]


def threefry(key: Pair, counter: Pair) -> Pair:
    """Return the two random words of a key and a counter: unsigned 32-bit words all."""
    keys = *key, key[0] ^ key[1] ^ np.uint32(PARITY)
    a, b = counter[0] + keys[0], counter[1] + keys[1]
    for done in range(1, ROUNDS + 1):
        turn = ROTATIONS[(done - 1) % len(ROTATIONS)]
        a = a + b
        b = ((b << np.uint32(turn)) | (b >> np.uint32(WORD - turn))) ^ a
        if done % 4 == 0:
            group = done // 4
            a, b = a + keys[group % 3], b + keys[(group + 1) % 3] + np.uint32(group)
    return a, b


def fold_in(key: jax.Array, data: Any) -> jax.Array:
    """Return the key of a number under a key: that of `jax.random.fold_in`."""
    if not _is_threefry(key):
        return jax.random.fold_in(key, data)
    words = jax.random.key_data(key)
    made = threefry((words[0], words[1]), (np.uint32(0), jnp.asarray(data).astype(jnp.uint32)))
    return jax.random.wrap_key_data(jnp.stack(made), impl=jax.random.key_impl(key))


@partial(jax.jit, static_argnames="shape")
def bits(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Return random words, uint32: those of `jax.random.bits`. At most 2^32 of them."""
    if not _is_threefry(key):
        return jax.random.bits(key, shape, jnp.uint32)
    return _each(key, shape, lambda a, b: a ^ b)


@partial(jax.jit, static_argnames=("shape", "dtype"))
def normal(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
    """Return standard normals: those of `jax.random.normal`. At most 2^32 of them.

    They are quantiles of uniform numbers on a grid, of step 2^-23 in float32 and 2^-52 in float64,
    and so lie between -5.42 and 5.22 (one normal in 8 million would not), or -8.30 and 8.17.
    """
    dtype = jnp.dtype(dtype)
    if dtype.name not in MANTISSA or not _is_threefry(key):
        return jax.random.normal(key, shape, dtype)
    return _each(key, shape, lambda a, b: _quantile(_uniform(a, b, dtype)))


def signs(words: jax.Array) -> jax.Array:
    """Return a sign, 1 or -1 (int8), for each bit of random words: (..., w) to (..., 32 w)."""
    return 1 - 2 * _unpacked(words).astype(jnp.int8)


@partial(jax.jit, static_argnames="shape")
def bernoulli(key: jax.Array, p: Any, shape: tuple[int, ...]) -> jax.Array:
    """Return True with probability p, a number from 0 to 1, rounded to 16 binary places.

    A uniform number is below p or not by its binary digits, compared from the last to the first;
    each word holds one digit of 32 numbers. So p = 1/2 takes one bit a number, and 3/4 two.
    """
    size = math.prod(shape)
    scaled = jnp.round(p * 2**PLACES).astype(jnp.uint32)
    surely = jnp.where(scaled == 2**PLACES, ~jnp.uint32(0), jnp.uint32(0))
    last = jax.lax.population_count((scaled & -scaled) - 1).astype(jnp.int32)

    def compare(place: jax.Array, below: jax.Array) -> jax.Array:
        plane = ~_plane(key, place.astype(jnp.uint32), below.shape)
        is_one = (scaled >> place.astype(jnp.uint32)) & 1 == 1
        return jnp.where(is_one, below | plane, below & plane)

    none = jnp.full(-(-size // WORD), surely)
    below = jax.lax.fori_loop(last, PLACES, compare, none)
    return _unpacked(below)[:size].reshape(shape).astype(bool)


def fingerprints(rows: jax.Array) -> jax.Array:
    """Return a word for each row, (n, ...) to (n,) of uint32, that all of its bits go into."""
    whole = rows if rows.dtype.itemsize >= 4 else rows.astype(jnp.float32)
    words = jax.lax.bitcast_convert_type(whole, jnp.uint32).reshape(len(rows), -1)
    place = jnp.broadcast_to(jnp.arange(words.shape[1], dtype=jnp.uint32), words.shape)
    a, b = threefry((words, place), (jnp.zeros_like(words), jnp.zeros_like(words)))
    return jax.lax.reduce(a ^ b, np.uint32(0), jax.lax.bitwise_xor, (1,))


def _plane(key: jax.Array, place: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Return random words, others for each place: here the loop over places is the fence."""
    if not _is_threefry(key):
        return jax.random.bits(jax.random.fold_in(key, place), shape, jnp.uint32)
    data = jax.random.key_data(key)
    a, b = threefry((data[0], data[1]), (place, jax.lax.iota(jnp.uint32, *shape)))
    return a ^ b


def _is_threefry(key: jax.Array) -> bool:
    return str(jax.random.key_impl(key)) == "threefry2x32"


def _each(key: jax.Array, shape: tuple[int, ...], of: Callable[..., jax.Array]) -> jax.Array:
    """Return a function of the two random words of every counter from 0."""
    size = math.prod(shape)
    if size > 2**WORD:
        raise ValueError(
            f"Expected at most 2^32 random numbers from one key; got shape {shape}, which is "
            f"{size}. Split the key and draw the parts."
        )
    data = jax.random.key_data(key)
    length = -(-size // PARTS)
    index = jax.lax.iota(jnp.uint32, length)

    def part(start: jax.Array) -> jax.Array:
        return of(*threefry((data[0], data[1]), (jnp.zeros_like(index), index + start)))

    starts = np.arange(PARTS, dtype=np.uint32) * np.uint32(length)
    return jax.lax.map(part, starts).reshape(-1)[:size].reshape(shape)


def _uniform(a: jax.Array, b: jax.Array, dtype: Any) -> jax.Array:
    """Return numbers between -1 and 1, neither included, from two random words each."""
    mantissa = MANTISSA[dtype.name]
    if mantissa < WORD:
        unit = ((a ^ b) >> np.uint32(WORD - mantissa)).astype(dtype) * dtype.type(2.0**-mantissa)
    else:
        rest = (b >> np.uint32(2 * WORD - mantissa)).astype(dtype)
        unit = a.astype(dtype) * dtype.type(2.0**-WORD) + rest * dtype.type(2.0**-mantissa)
    least = np.nextafter(dtype.type(-1), dtype.type(0))
    return jnp.maximum(least, unit * (dtype.type(1) - least) + least)


def _quantile(u: jax.Array) -> jax.Array:
    """Return the standard normal quantile of (1 + u) / 2."""
    return np.sqrt(2).astype(u.dtype) * jax.lax.erf_inv(u)


def _unpacked(words: jax.Array) -> jax.Array:
    """Return the bits of words, 0 or 1 each: (..., w) to (..., 32 w)."""
    places = jnp.arange(WORD, dtype=words.dtype).reshape((1,) * words.ndim + (WORD,))
    return ((words[..., None] >> places) & 1).reshape(*words.shape[:-1], -1)
