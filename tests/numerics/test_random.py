"""Random numbers against published answers, against `jax.random`, and as numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from posterium.numerics import random

KEY = jax.random.key(3)
MANY = 10_000_000
ERRORS = 4.5
"""Standard errors that an estimate may be from the truth."""

# Counter, key and words of threefry2x32 with 20 rounds, from the file kat_vectors of Random123.
PUBLISHED = [
    ((0x00000000, 0x00000000), (0x00000000, 0x00000000), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
]


@pytest.fixture(scope="module")
def normals():
    return np.asarray(random.normal(KEY, (MANY,)), float)


@pytest.mark.parametrize(("counter", "key", "expected"), PUBLISHED)
def test_the_cipher_gives_the_published_answers(counter, key, expected):
    words = [tuple(np.uint32([word]) for word in pair) for pair in (key, counter)]
    assert tuple(int(word[0]) for word in random.threefry(*words)) == expected


@pytest.mark.parametrize("shape", [(), (0,), (7, 5)])
def test_bits_and_normals_are_those_of_jax(shape):
    np.testing.assert_array_equal(random.bits(KEY, shape), jax.random.bits(KEY, shape))
    ours, theirs = random.normal(KEY, shape), jax.random.normal(KEY, shape)
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


def test_normals_in_float64_are_those_of_jax():
    with jax.enable_x64(True):
        ours = random.normal(KEY, (9, 1001), jnp.float64)
        assert ours.dtype == jnp.float64
        np.testing.assert_array_equal(ours, jax.random.normal(KEY, (9, 1001), jnp.float64))


def test_a_key_under_a_key_is_that_of_jax():
    for data in (0, 7, np.uint32(2**32 - 1)):
        ours, theirs = random.fold_in(KEY, data), jax.random.fold_in(KEY, data)
        np.testing.assert_array_equal(*map(jax.random.key_data, (ours, theirs)))


def test_other_generators_and_types_are_left_to_jax():
    key = jax.random.key(1, impl="rbg")
    np.testing.assert_array_equal(random.bits(key, (5,)), jax.random.bits(key, (5,)))
    np.testing.assert_array_equal(random.normal(key, (5,)), jax.random.normal(key, (5,)))
    assert random.fold_in(key, 3) == jax.random.fold_in(key, 3)
    assert random.bernoulli(key, 0.5, (99,)).any()
    half = random.normal(KEY, (5,), jnp.bfloat16)
    np.testing.assert_array_equal(half, jax.random.normal(KEY, (5,), jnp.bfloat16))


def test_keys_may_be_mapped_over():
    keys = jax.random.split(KEY, 3)
    mapped = jax.vmap(lambda key: random.normal(key, (7, 5)))(keys)
    np.testing.assert_array_equal(mapped, jnp.stack([random.normal(k, (7, 5)) for k in keys]))


def test_numbers_are_constants_of_a_gradient():
    slope = jax.grad(lambda sd: jnp.sum(sd * random.normal(KEY, (7, 5))))(2.0)
    np.testing.assert_allclose(slope, jnp.sum(random.normal(KEY, (7, 5))), rtol=1e-6)


def test_numbers_are_worked_out_once_however_many_read_them():
    """Without a fence, the rounds would be in the program some times, and done for every row."""

    def loss(sd, x):
        weights = sd * random.normal(KEY, (1, 64))
        return jnp.sum(jnp.tanh(x @ weights) ** 2) + jnp.sum(weights**2)

    compiled = jax.jit(jax.grad(loss)).lower(jnp.ones((1, 64)), jnp.ones((100, 1))).compile()
    assert compiled.as_text().count(" xor(") <= random.ROUNDS + 3


def test_more_numbers_than_counters_are_refused():
    jax.eval_shape(lambda: random.bits(KEY, (2**16, 2**16)))
    with pytest.raises(ValueError, match="at most 2\\^32 random numbers"):
        jax.eval_shape(lambda: random.bits(KEY, (2**16, 2**16 + 1)))


@pytest.mark.slow
def test_counters_go_on_from_one_part_to_the_next():
    words = np.asarray(random.bits(KEY, (2**20,)))
    expected = 2**20 - stats.binom(2**20 * (2**20 - 1) // 2, 2.0**-32).mean()
    assert abs(len(np.unique(words)) - expected) < ERRORS * np.sqrt(2**20 - expected)


@pytest.mark.slow
def test_normals_have_the_moments_of_the_normal(normals):
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        error = np.sqrt(variance / MANY)
        assert abs(np.mean(normals**power) - moment) < ERRORS * error


@pytest.mark.slow
def test_normals_have_the_distribution_of_the_normal(normals):
    assert stats.kstest(normals, "norm").pvalue > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("beyond", [3.0, 4.0, 5.0])
def test_tails_have_their_share(normals, beyond):
    expected = MANY * stats.norm.sf(beyond)
    for tail in (normals > beyond, normals < -beyond):
        assert abs(np.sum(tail) - expected) < ERRORS * np.sqrt(expected) + 1


def test_tails_end_where_the_documentation_says():
    words = np.uint32([0, 2**32 - 1])
    for dtype, ends in (("float32", (-5.42, 5.22)), ("float64", (-8.30, 8.17))):
        with jax.enable_x64(True):
            zero = words if dtype == "float64" else np.zeros_like(words)
            found = random._quantile(random._uniform(words, zero, np.dtype(dtype)))
        np.testing.assert_allclose(found, ends, atol=0.01)


@pytest.mark.slow
def test_neighbours_are_uncorrelated(normals):
    half = MANY // 2
    for shift in (1, 2, 32, half):
        products = normals[shift:] * normals[:-shift]
        assert abs(products.mean()) < ERRORS / np.sqrt(products.size)


def test_neighbouring_keys_are_uncorrelated():
    keys = jax.vmap(lambda i: jax.random.fold_in(KEY, i))(jnp.arange(50))
    draws = np.asarray(jax.vmap(lambda key: random.normal(key, (40_000,)))(keys), float)
    off = np.triu(draws @ draws.T / draws.shape[1], 1)
    assert np.abs(off).max() < stats.norm.isf(1e-4 / (50 * 49)) / np.sqrt(draws.shape[1])


def test_signs_are_fair_and_independent_over_the_places_of_a_word():
    words = random.bits(KEY, (200_000, 1))
    found = np.asarray(random.signs(words), float)
    assert set(np.unique(found)) == {-1, 1}
    assert found.shape == (200_000, 32)
    correlation = found.T @ found / len(found)
    bound = stats.norm.isf(1e-4 / (32 * 31)) / np.sqrt(len(found))
    assert np.abs(found.mean(0)).max() < bound
    assert np.abs(np.triu(correlation, 1)).max() < bound


@pytest.mark.parametrize("p", [0.5, 0.75, 0.1])
def test_bernoulli_numbers_have_their_rate(p):
    found = np.asarray(random.bernoulli(KEY, p, (1001, 1999)), float)
    assert abs(found.mean() - p) < ERRORS * np.sqrt(p * (1 - p) / found.size)
    pairs = (found[:, 1:] - p) * (found[:, :-1] - p)
    assert abs(pairs.mean()) < ERRORS * p * (1 - p) / np.sqrt(pairs.size)


def test_a_bernoulli_number_compares_a_uniform_number_with_p():
    """At 3/4 = 0.11 in binary digits, only a number that starts with 11 is not below."""
    key = tuple(np.uint32([word]) for word in jax.random.key_data(KEY))
    places = (np.uint32([random.PLACES - i]) for i in (1, 2))
    planes = [jnp.bitwise_xor(*random.threefry(key, (place, np.uint32([0])))) for place in places]
    first, second = (np.asarray(random._unpacked(plane)).astype(bool) for plane in planes)
    np.testing.assert_array_equal(random.bernoulli(KEY, 0.75, (32,)), ~(first & second))


def test_bernoulli_numbers_of_probability_0_and_1_are_certain():
    assert not random.bernoulli(KEY, 0.0, (40,)).any()
    assert random.bernoulli(KEY, 1.0, (40,)).all()


def test_a_fingerprint_is_that_of_the_row_and_of_no_other():
    rows = np.random.default_rng(0).integers(0, 2, (500, 12)).astype(np.float32)
    words = np.asarray(random.fingerprints(rows))
    np.testing.assert_array_equal(words[3:5], random.fingerprints(rows[3:5]))
    assert len(np.unique(words)) == len(np.unique(rows, axis=0))
    assert len(np.unique(random.fingerprints(rows.astype(np.uint8)))) == len(np.unique(words))
