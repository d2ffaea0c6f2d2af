"""Models with a network, prior or likelihood of one's own: saved, and loaded with the same only."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.bits import same

from posterium import (
    MAP,
    Ensemble,
    Functions,
    Gaussian,
    Laplace,
    Model,
    Normal,
    Subset,
    as_data,
    fit,
    learn,
    load,
    predict,
    save,
    struct,
)
from posterium._struct import replace
from posterium.model.hyper import value
from posterium.model.network import MLP
from posterium.posterior import container
from posterium.posterior.fit import Seen
from posterium.posterior.store import ExternalError, FileError

RNG = np.random.default_rng(3)
X = RNG.uniform(10, 11, size=(12, 2))
Y = X.sum(axis=1)
KEY = jax.random.key(0)
SHORT = MAP(steps=3)


def start(key, x, width=3):
    first, last = jax.random.split(key)
    kernel = jax.random.normal(first, (x.shape[1], width))
    return {"kernel": kernel, "out": jax.random.normal(last, (width, 1))}


def wider(key, x):
    return start(key, x, width=4)


def forward(params, x):
    return jnp.tanh(0.1 * x @ params["kernel"]) @ params["out"]


def forward_in_other_words(params, x):
    return ((params["out"].T * 3) @ jnp.tanh((params["kernel"] * 0.1).T @ x.T)).T / 3


def forward_with_a_slip(params, x):
    return jnp.tanh(0.1 * x @ params["kernel"] + 1e-3) @ params["out"]


def forward_transposed(params, x):
    return forward(params, x).T


def renamed(key, x):
    made = start(key, x)
    return {"first": made["kernel"], "out": made["out"]}


NETWORK = Functions(start, forward)


@struct
class Laplacian:
    """A prior of one's own: a double exponential."""

    scale: Any = 1.0

    def log_prob(self, params):
        leaves = jax.tree.leaves(params)
        return sum(
            jnp.sum(-jnp.abs(w) / value(self.scale) - jnp.log(2 * value(self.scale)))
            for w in leaves
        )


@struct
class Halved(Laplacian):
    """The same with a factor forgotten."""

    def log_prob(self, params):
        return 0.5 * super().log_prob(params)


@struct
class Student:
    """A likelihood of one's own: Student's t with 5 degrees of freedom."""

    scale: Any = 1.0
    task: ClassVar[str] = "regression"
    linear_mean: ClassVar[bool] = False
    power: ClassVar[float] = 3.0

    def outputs(self, targets):
        return targets

    def log_prob(self, f, y):
        z = (y - f) / value(self.scale)
        return jnp.sum(-self.power * jnp.log1p(z**2 / 5) - jnp.log(value(self.scale)), axis=-1)

    def moments(self, f):
        return f, jnp.broadcast_to(value(self.scale) ** 2 * 5 / 3, f.shape)

    def sample(self, key, f):
        return f + value(self.scale) * jax.random.t(key, 5.0, f.shape, f.dtype)


@struct
class StudentOfAnotherPower(Student):
    """The same with another density."""

    power: ClassVar[float] = 3.5


@struct
class StudentOfAnotherVariance(Student):
    """The same with other predictions."""

    def moments(self, f):
        return f, jnp.broadcast_to(value(self.scale) ** 2 * 2, f.shape)


def fitted(network=NETWORK, prior=None, likelihood=None, method=SHORT, x=X, **options):
    model = Model(network, prior or Normal(), likelihood or Gaussian(0.5))
    return fit(KEY, model, as_data(x, Y), method, **options)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "own.posterium"
    save(fitted(), path)
    return path


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Return a file of a built-in network with a prior and a likelihood of one's own."""
    path = tmp_path_factory.mktemp("parts") / "parts.posterium"
    save(fitted(MLP(hidden=(3,)), Laplacian(0.7), Student(0.7)), path)
    return path


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_an_own_network_comes_back_and_predicts_the_same_bits(precision, tmp_path):
    found = fitted(precision=precision)
    save(found, tmp_path / "a")
    back = load(tmp_path / "a", network=Functions(start, forward))
    assert np.array_equal(predict(KEY, back, X).mean, predict(KEY, found, X).mean)
    save(back, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_same_function_in_other_words_is_taken(file):
    load(file, network=Functions(start, forward_in_other_words))


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (Functions(start, forward_with_a_slip), r"its outputs differ by up to \S+, where rounding"),
        (Functions(start, forward_transposed), r"its outputs have shape \(1, 4\), not \(4, 1\)"),
        (Functions(wider, forward), r"kernel \(2, 4\), was \(2, 3\); out \(4, 1\), was \(3, 1\)"),
        (Functions(renamed, forward), r"it has no kernel \(2, 3\); first \(2, 3\), which was not"),
        (Functions(start, None), "its outputs cannot be computed: TypeError"),
        (Functions(None, forward), r"it makes no weights for inputs \(4, 2\): TypeError"),
        (MLP(hidden=(3,)), "it has no kernel"),
        (None, "it makes no weights"),
    ],
    ids=["slip", "shape", "width", "paths", "broken", "no start", "another kind", "nothing"],
)
def test_another_network_is_refused_with_the_call_to_make(network, said, file):
    with pytest.raises(ExternalError, match=rf"network given is not the one .*{said}") as caught:
        load(file, network=network)
    assert str(caught.value).endswith(f"load({str(file)!r}, network=Functions(...)).")


def test_without_the_network_the_error_shows_the_call(file):
    with pytest.raises(ExternalError, match=r"load\('.*', network=Functions\(\.\.\.\)\)"):
        load(file)


def test_the_inputs_of_a_probe_lie_within_the_data_and_are_no_rows_of_them(file):
    arrays, _ = container.read(file)
    probe = arrays["probe/x"]
    assert probe.shape == (4, 2)
    assert (probe >= X.min(axis=0).astype(np.float32)).all()
    assert (probe <= X.max(axis=0).astype(np.float32)).all()
    rows = {row.tobytes() for row in X.astype(np.float32)}
    for array in arrays.values():
        if array.ndim == 2 and array.shape[1] == 2:
            assert not rows & {row.astype(np.float32).tobytes() for row in array}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"prior": Halved()}, "prior given is not .* its log density differ"),
        ({"prior": Student()}, "prior .* its log density cannot be computed: TypeError"),
        ({"likelihood": StudentOfAnotherPower()}, "likelihood .* its log density differ"),
        ({"likelihood": StudentOfAnotherVariance()}, "likelihood .* its variances differ"),
    ],
    ids=["factor", "another kind", "density", "moments"],
)
def test_another_prior_or_likelihood_is_refused(given, said, parts):
    with pytest.raises(ExternalError, match=said):
        load(parts, **{"prior": Laplacian(), "likelihood": Student()} | given)


def test_an_own_prior_and_likelihood_come_back_with_their_numbers(parts):
    model = load(parts, prior=Laplacian(2.0), likelihood=Student(3.0)).model
    assert model.prior == Laplacian(np.float32(0.7))
    assert model.likelihood == Student(np.float32(0.7))


def test_members_keep_the_numbers_of_their_own_parts(tmp_path):
    found = fitted(MLP(hidden=(3,)), Laplacian(0.7), Student(learn(0.5)), method=Ensemble(SHORT, 2))
    save(found, tmp_path / "a")
    back = load(tmp_path / "a", prior=Laplacian(), likelihood=Student(learn(1.0)))
    assert same(back.posterior, found.posterior)
    with pytest.raises(ExternalError, match="must have the numbers"):
        load(tmp_path / "a", prior=Laplacian(np.ones(2)), likelihood=Student(learn(1.0)))


def test_of_a_subset_the_whole_network_is_given(tmp_path):
    found = fitted(method=Subset(Laplace(at=None), "out", rest=SHORT))
    save(found, tmp_path / "a")
    back = load(tmp_path / "a", network=NETWORK)
    assert np.array_equal(predict(KEY, back, X).sd, predict(KEY, found, X).sd)
    with pytest.raises(ExternalError, match=r"kernel \(2, 4\), was \(2, 3\)"):
        load(tmp_path / "a", network=Functions(wider, forward))
    with pytest.raises(ExternalError, match="outputs differ"):
        load(tmp_path / "a", network=Functions(start, forward_with_a_slip))


def words(key, x):
    return {"table": jax.random.normal(key, (9, 1))}


def look_up(params, x):
    return params["table"][x].sum(axis=1)


def look_up_otherwise(params, x):
    return params["table"][x].mean(axis=1)


def test_a_network_on_whole_numbers_is_asked_at_whole_numbers_it_knows(tmp_path):
    save(fitted(Functions(words, look_up), x=RNG.integers(2, 9, size=(12, 5))), tmp_path / "a")
    probe = container.read(tmp_path / "a")[0]["probe/x"]
    assert np.issubdtype(probe.dtype, np.integer)
    assert 2 <= probe.min() < probe.max() <= 8
    load(tmp_path / "a", network=Functions(words, look_up))
    with pytest.raises(ExternalError, match="outputs differ"):
        load(tmp_path / "a", network=Functions(words, look_up_otherwise))


def test_made_up_inputs_have_the_type_and_ranges_that_were_seen():
    truth = Seen(9, np.array([False, True, False]), np.array([True, True, False])).inputs(50)
    assert truth.dtype == bool
    assert truth.mean(axis=0)[1:].tolist() == [1, 0]
    assert 0 < truth[:, 0].mean() < 1
    whole = Seen(9, np.array([-2, 5], np.int8), np.array([0, 5], np.int8)).inputs(50)
    assert whole.dtype == np.int8
    assert [set(column) for column in whole.T.tolist()] == [{-2, -1, 0}, {5}]


def test_a_fit_that_saw_no_data_is_compared_by_the_density_of_its_prior_alone(parts, tmp_path):
    blind = replace(load(parts, prior=Laplacian(), likelihood=Student()), seen=None)
    save(blind, tmp_path / "a")
    load(tmp_path / "a", prior=Laplacian(), likelihood=StudentOfAnotherPower())
    with pytest.raises(ExternalError, match="log density"):
        load(tmp_path / "a", prior=Halved(), likelihood=Student())


def test_a_probe_that_was_tampered_with_is_a_bad_file(file, tmp_path):
    arrays, meta = container.read(file)
    meta["value"]["probe"] = {"tuple": []}
    container.write(tmp_path / "a", arrays, meta)
    with pytest.raises(FileError, match="do not fit together"):
        load(tmp_path / "a", network=NETWORK)
