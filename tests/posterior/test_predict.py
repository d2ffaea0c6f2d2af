import jax
import numpy as np
import pytest
from scipy.special import softmax

from posterium import (
    MLP,
    Categorical,
    Fit,
    Gaussian,
    HeteroscedasticGaussian,
    Linear,
    Model,
    Normal,
    Verdict,
    Weights,
    predict,
)
from posterium._struct import replace
from posterium.numerics.covariances.dense import Diagonal, Full
from posterium.posterior import predict as predict_module
from posterium.posterior.posterior import Draw, GaussianPosterior, Mixture, Point, Samples
from posterium.posterior.predict import ApproximationWarning, predict_by_draws

RNG = np.random.default_rng(2)
KEY = jax.random.key(7)
X = RNG.normal(size=(700, 2)).astype(np.float32)
NETWORK = MLP(hidden=(3,), activation="tanh")
LINEAR = Model(Linear(), Normal(), Gaussian(np.float32(0.4)))
FACTOR = np.tril(RNG.normal(size=(3, 3))).astype(np.float32)
MEAN = RNG.normal(size=(3, 1)).astype(np.float32)


def fitted(posterior, model):
    return Fit(posterior, model, {}, Verdict())


def stacked(network, count):
    """Return weights with a leading axis, away from where the network starts."""
    weights = jax.vmap(lambda key: network.init(key, X))(jax.random.split(KEY, count))
    return jax.tree.map(lambda leaf: np.asarray(leaf) * 3, weights)


GAUSSIAN = fitted(
    GaussianPosterior(Weights({"coefficients": MEAN}), Full(FACTOR), "linear"), LINEAR
)
MANY = fitted(
    Samples(Draw(jax.tree.map(lambda a: a.reshape(2, 20, *a.shape[1:]), stacked(NETWORK, 40)))),
    Model(NETWORK, Normal(), Gaussian(np.float32(0.3))),
)
CLASSES = fitted(
    GaussianPosterior(Weights({"coefficients": RNG.normal(size=(3, 3)).astype(np.float32)}),
                      Diagonal(np.full(9, 0.5, np.float32)), "linear"),
    Model(Linear(outputs=3), Normal(), Categorical()),
)  # fmt: skip
MIXED = fitted(
    Mixture(
        Point(stacked(NETWORK, 3)),
        Model(
            NETWORK, Normal(np.ones(3, np.float32)), Gaussian(np.array([0.1, 0.5, 2.0], np.float32))
        ),
    ),
    Model(NETWORK, Normal(), Gaussian(np.float32(0.1))),
)
FITS = {"gaussian": GAUSSIAN, "samples": MANY, "classes": CLASSES, "mixture": MIXED}
every = pytest.mark.parametrize("name", FITS)


def answer(name, x, **settings):
    said = predict(KEY, FITS[name], x, **settings)
    if name == "classes":
        return np.concatenate([said.probs, said.mutual_information[:, None]], 1)
    return np.concatenate([said.mean, said.sd, said.epistemic_var, said.quantile(0.9)], 1)


@every
def test_a_row_is_answered_alike_alone_and_in_any_company(name):
    whole = answer(name, X)
    assert np.array_equal(answer(name, X[300:301]), whole[300:301])
    assert np.array_equal(answer(name, X[::-1])[::-1], whole)
    assert np.array_equal(answer(name, X[100:400]), whole[100:400])


@pytest.mark.parametrize("how", ["probit", "bridge"])
def test_without_draws_too_a_row_does_not_depend_on_its_company(how):
    whole = predict(KEY, CLASSES, X, how=how)
    alone = predict(KEY, CLASSES, X[300:301], how=how)
    assert np.array_equal(alone.probs, whole.probs[300:301])
    if how == "bridge":
        assert np.array_equal(alone.aleatoric_entropy, whole.aleatoric_entropy[300:301])


@every
def test_the_byte_budget_changes_no_bit(name):
    whole = answer(name, X)
    for budget in (2**21, 2**22 + 12345, 2**30):
        assert np.array_equal(answer(name, X, max_bytes=budget), whole)


@every
def test_no_rows_have_no_answers(name):
    assert answer(name, X[:0]).shape == (0, answer(name, X[:1]).shape[1])


def test_too_small_a_budget_is_refused_before_anything_is_held():
    with pytest.raises(ValueError, match=r"256 rows of 40 draws need .* Raise max_bytes"):
        predict(KEY, MANY, X, max_bytes=1000)


def test_raw_draws_over_the_limit_are_refused_with_the_option_that_raises_it():
    said = predict(KEY, MANY, X)
    with pytest.raises(ValueError, match=r"need 5600000000 bytes.*max_bytes=5600000000"):
        said.sample(KEY, 10**6)


def test_the_variances_add_up_by_the_law_of_total_variance():
    said = predict(KEY, MIXED, X)
    weights = MIXED.posterior.parts.weights
    f = np.asarray(jax.vmap(lambda w: NETWORK.apply(w, X)[0])(weights), float)
    noise = np.array([0.1, 0.5, 2.0])
    assert np.allclose(said.mean, f.mean(0), atol=1e-5)
    assert np.allclose(said.epistemic_var, f.var(0), rtol=1e-4, atol=1e-6)
    assert np.allclose(said.aleatoric_var, np.mean(noise**2), rtol=1e-6)
    assert np.allclose(said.sd**2, said.aleatoric_var + said.epistemic_var, rtol=1e-12)


def over_components(said):
    """Return what a predictive averages over draws, from its components in float64."""
    blocks = list(said.components())
    if hasattr(said, "probs"):
        return [np.concatenate([block.probs() for block in blocks])]
    return np.concatenate([np.stack(block.moments()) for block in blocks], axis=1)


@pytest.mark.parametrize(
    ("name", "settings"),
    [("samples", {"draws": 21}), ("mixture", {"draws": 51}), ("classes", {"how": "draws"})],
)
def test_averages_taken_without_keeping_draws_are_those_of_the_components(name, settings):
    said = predict(KEY, FITS[name], X, **settings)
    averages = [said.probs] if name == "classes" else [
        said.mean, said.aleatoric_var, said.epistemic_var
    ]  # fmt: skip
    for mine, theirs in zip(averages, over_components(said), strict=True):
        assert np.allclose(mine, theirs, rtol=2e-6, atol=2e-6)


def test_draws_that_are_all_alike_have_no_epistemic_variance():
    alike = jax.tree.map(lambda leaf: np.repeat(leaf[:, :1], 20, axis=1), MANY.posterior.draws)
    alike = jax.tree.map(lambda leaf: np.repeat(leaf[:1], 2, axis=0), alike)
    said = predict(KEY, fitted(Samples(alike), MANY.model), X, draws=37)
    assert (said.epistemic_var == 0).all()


def test_members_stand_in_their_order_each_with_its_own_noise():
    for draws in (None, 3, 6):
        (block,) = predict(KEY, MIXED, X[:4], draws=draws).components()
        each = block.shape[0] // 3
        assert np.allclose(block.variance[:, 0, 0], np.repeat([0.01, 0.25, 4.0], each), rtol=1e-5)


def test_a_linear_model_is_predicted_in_closed_form():
    said = predict(KEY, GAUSSIAN, X[:50])
    design = np.column_stack([np.ones(50), X[:50]])
    assert np.allclose(said.mean, design @ MEAN, atol=1e-5)
    assert np.allclose(said.epistemic_var[:, 0], np.sum((design @ FACTOR) ** 2, 1), rtol=1e-5)


def test_draws_agree_with_the_closed_form():
    exact, drawn = (
        predict(KEY, GAUSSIAN, X[:50], how=how, draws=4000) for how in ("linear", "draws")
    )
    se = np.sqrt(exact.epistemic_var / 4000)
    assert (np.abs(drawn.mean - exact.mean) < 5 * se).all()
    assert (np.abs(drawn.epistemic_var / exact.epistemic_var - 1) < 5 * np.sqrt(2 / 4000)).all()


def test_the_noise_of_a_row_comes_through_a_linearised_prediction():
    model = Model(Linear(outputs=2), Normal(), HeteroscedasticGaussian(np.float32(0.1)))
    mean = Weights({"coefficients": RNG.normal(size=(3, 2)).astype(np.float32)})
    sure = GaussianPosterior(mean, Diagonal(np.zeros(6, np.float32)), "linear")
    said = predict(KEY, fitted(sure, model), X[:20])
    f = np.column_stack([np.ones(20), X[:20]]) @ mean.params["coefficients"]
    assert np.allclose(said.mean, f[:, :1], atol=1e-5)
    assert np.allclose(said.aleatoric_var[:, 0], (0.1 + np.logaddexp(0, f[:, 1])) ** 2, rtol=1e-4)
    assert np.allclose(said.epistemic_var, 0, atol=1e-10)


def test_all_draws_of_a_sampler_are_used_once():
    (block,) = predict(KEY, MANY, X[:1]).components()
    f = jax.vmap(lambda w: NETWORK.apply(w, X[:1])[0])(stacked(NETWORK, 40))
    assert np.allclose(np.sort(block.mean.ravel()), np.sort(np.asarray(f).ravel()), atol=1e-6)


def test_fewer_draws_are_spread_over_the_chains():
    draws = Draw(Weights({"at": np.arange(12.0).reshape(3, 4)}))
    kept = [float(Samples(draws).draw(KEY, i, 6).weights.params["at"]) for i in range(6)]
    assert len(set(kept)) == 6
    assert {int(k) // 4 for k in kept} == {0, 1, 2}


@pytest.mark.parametrize(
    ("x", "settings", "said"),
    [
        (X[:, 0], {}, r"x\[:, None\]"),
        (np.zeros((3, 5)), {}, r"rows of shape \(5,\)"),
        (np.full((3, 2), np.nan), {}, r"row 0 \(counted from 0\)"),
        (np.full((3, 2), 2**31), {}, "at most 32 bits"),
        (X, {"how": "mean"}, "'linear' or 'probit' or 'bridge' or 'draws'; got 'mean'"),
        (X, {"how": "probit"}, r"by logits, Bernoulli\(\) or Categorical\(\); .* is Gaussian"),
        (X, {"how": "linear"}, "needs a Gaussian posterior"),
        (X, {"draws": 0}, "at least 1; got 0"),
        (X, {"draws": 2.5}, "at least 1; got 2.5"),
        (X, {"draws": True}, "at least 1; got True"),
    ],
)
def test_unusable_arguments_are_refused(x, settings, said):
    with pytest.raises(ValueError, match=said):
        predict(KEY, MANY, x, **settings)


def outputs_of(fitted, x):
    """Return mean (n, c) and covariance (n, c, c) of the logits of `CLASSES`, by hand."""
    design = np.column_stack([np.ones(len(x)), x]).astype(float)
    jacobian = np.einsum("nd,kc->nkdc", design, np.eye(3)).reshape(len(x), 3, 9)
    covariance = jacobian @ fitted.posterior.covariance.dense() @ np.swapaxes(jacobian, 1, 2)
    return design @ fitted.posterior.mean.params["coefficients"], np.asarray(covariance)


def test_the_probit_predictive_shrinks_each_logit_of_the_linearised_network():
    mean, covariance = outputs_of(CLASSES, X[:20])
    said = predict(KEY, CLASSES, X[:20], how="probit")
    variance = np.diagonal(covariance, axis1=1, axis2=2)
    expected = softmax(mean / np.sqrt(1 + np.pi / 8 * variance), axis=1)
    np.testing.assert_allclose(said.probs, expected, rtol=1e-4)
    np.testing.assert_array_equal(said.label, expected.argmax(1))
    with pytest.raises(ValueError, match="Use how='linear' or how='bridge'"):
        said.mutual_information  # noqa: B018


def test_the_bridge_predictive_knows_the_mutual_information_in_closed_form():
    near = replace(CLASSES.posterior, covariance=Diagonal(np.full(9, 0.1, np.float32)))
    fit = fitted(near, CLASSES.model)
    said = predict(KEY, fit, X[:20], how="bridge")
    drawn = predict(KEY, fit, X[:20], draws=4000)
    np.testing.assert_allclose(said.probs, drawn.probs, atol=0.01)
    np.testing.assert_allclose(said.mutual_information, drawn.mutual_information, atol=2e-3)
    assert (drawn.mutual_information > 2e-3).any()


def test_rows_of_a_linearised_classifier_have_their_exact_laws():
    mean, covariance = outputs_of(CLASSES, X[:8])
    root = np.linalg.cholesky(covariance)
    z = np.random.default_rng(0).normal(size=(200_000, 3))
    exact = softmax(mean + np.einsum("nkl,sl->snk", root, z), axis=2)
    (block,) = predict(KEY, CLASSES, X[:8], draws=4000).components()
    found = np.exp(block.log_probs)
    for power in (1, 2):
        error = (exact**power).std(0) * np.sqrt(1 / 4000 + 1 / 200_000)
        assert (np.abs((found**power).mean(0) - (exact**power).mean(0)) < 4.5 * error).all()
    cross, truth = found[..., 0] * found[..., 1], exact[..., 0] * exact[..., 1]
    assert (np.abs(cross.mean(0) - truth.mean(0)) < 4.5 * truth.std(0) / np.sqrt(4000)).all()


def test_draw_number_i_does_not_depend_on_how_many_are_asked_for():
    (few,), (many,) = (predict(KEY, CLASSES, X[:5], draws=s).components() for s in (3, 40))
    np.testing.assert_allclose(few.log_probs, many.log_probs[:3], rtol=1e-5)


def test_what_rows_share_is_kept_as_long_as_the_fit(monkeypatch):
    head = GaussianPosterior(CLASSES.posterior.mean, Full(np.eye(9, dtype=np.float32)), "linear")
    own = fitted(head, CLASSES.model)
    monkeypatch.setattr(predict_module, "PREPARED", {})
    first, again, other = (
        predict(KEY, fit, X[:5], how="probit").probs for fit in (own, own, replace(own))
    )
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, other)
    wide = replace(own, posterior=replace(head, covariance=Full(9 * head.covariance.factor)))
    assert not np.allclose(predict(KEY, wide, X[:5], how="probit").probs, first)
    assert set(predict_module.PREPARED) == {id(own), id(wide)}
    del own
    assert set(predict_module.PREPARED) == {id(wide)}


def test_wide_outputs_are_drawn_by_their_weights(monkeypatch):
    monkeypatch.setattr(predict_module, "WIDE", 2)
    found, drawn = (ask(KEY, CLASSES, X[:9], draws=20) for ask in (predict, predict_by_draws))
    np.testing.assert_array_equal(found.probs, drawn.probs)


def test_members_of_a_mixture_are_each_linearised():
    parts = jax.tree.map(
        lambda a, b: np.stack([a, b]), CLASSES.posterior,
        replace(CLASSES.posterior, mean=Weights({"coefficients": np.ones((3, 3), np.float32)})),
    )  # fmt: skip
    models = jax.tree.map(lambda a: np.stack([a, a]), CLASSES.model)
    mixed = fitted(Mixture(parts, models), CLASSES.model)
    for how in ("probit", "bridge"):
        each = [
            predict(KEY, fitted(part, CLASSES.model), X[:9], how=how).probs
            for part in (mixed.posterior.member(0)[0], mixed.posterior.member(1)[0])
        ]
        said = predict(KEY, mixed, X[:9], how=how)
        np.testing.assert_allclose(said.probs, np.mean(each, 0), rtol=1e-5)
    (block,) = predict(KEY, mixed, X[:9], draws=30).components()
    assert block.shape == (30, 9, 3)
    assert np.abs(block.log_probs[:15] - block.log_probs[15:]).max() > 0.1


def test_weights_drawn_for_the_network_itself_come_with_a_warning():
    network = NETWORK.init(KEY, X)
    weights = jax.tree.map(np.asarray, network)
    size = sum(leaf.size for leaf in jax.tree.leaves(weights))
    part = GaussianPosterior(weights, Diagonal(np.full(size, 0.1, np.float32)), "linear")
    fit = fitted(part, Model(NETWORK, Normal(), Gaussian(np.float32(0.3))))
    with pytest.warns(ApproximationWarning, match="Use how='linear'") as told:
        predict(KEY, fit, X[:5], how="draws", draws=2)
    assert [warning.filename for warning in told] == [__file__]
    predict(KEY, fit, X[:5])
    predict(KEY, fitted(replace(part, how="draws"), fit.model), X[:5], how="draws", draws=2)
    predict(KEY, GAUSSIAN, X[:5], how="draws", draws=2)


@pytest.mark.parametrize("key", [0, jax.random.split(KEY, 2)], ids=["a number", "two keys"])
def test_what_is_not_one_key_is_refused(key):
    with pytest.raises(TypeError, match="key must be one typed key"):
        predict(key, GAUSSIAN, X, how="draws")
