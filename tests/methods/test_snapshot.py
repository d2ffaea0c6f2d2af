import jax
import numpy as np
import pytest
from tests.contracts.cases import DATA, KEY, LINEAR
from tests.driver.problems import MODEL

from posterium import Ensemble, Gaussian, Normal, Snapshot, fit, learn, predict
from posterium._struct import replace
from posterium.numerics import trees
from posterium.posterior.posterior import Samples

SHORT = Snapshot(cycles=3, steps=40, batch_size=5)


@pytest.mark.slow
def test_members_are_the_weights_at_the_end_of_each_cycle():
    found = fit(KEY, MODEL, DATA, SHORT)
    assert isinstance(found.posterior, Samples)
    assert found.posterior.size() == 3
    first = replace(SHORT, cycles=1)
    one = fit(KEY, MODEL, DATA, first).posterior.flat().weights
    several = found.posterior.flat().weights
    assert all(
        np.array_equal(a[0], b[0])
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(several), strict=True)
    )
    vectors = jax.vmap(trees.vector)(several.params)
    assert len(np.unique(np.asarray(vectors), axis=0)) == 3


def test_cycles_that_are_not_over_stand_where_the_descent_does():
    seen = {}

    def stop(report):
        seen[report.step] = trees.vector(report.state.of.params)
        return report.step == 60

    stop.every = 20
    found = fit(KEY, MODEL, DATA, SHORT, callbacks=[stop]).posterior.flat().weights
    members = np.asarray(jax.vmap(trees.vector)(found.params))
    assert np.array_equal(members, np.stack([seen[40], seen[60], seen[60]]))


def test_predictions_weigh_the_members_equally():
    found = fit(KEY, MODEL, DATA, SHORT)
    each = jax.vmap(lambda w: MODEL.network.apply(w, DATA.x.astype(np.float32))[0])
    functions = np.asarray(each(found.posterior.flat().weights))
    said = predict(KEY, found, DATA.x)
    assert np.allclose(said.mean, functions.mean(axis=0), atol=1e-5)
    assert np.allclose(said.epistemic_var, functions.var(axis=0), atol=1e-5)


@pytest.mark.slow
def test_every_member_has_the_noise_that_it_learned():
    free = replace(MODEL, likelihood=Gaussian(learn(1.0)))
    found = fit(KEY, free, DATA, SHORT)
    draws = [found.posterior.draw(KEY, i, 3).model(found.model) for i in range(3)]
    scales = [float(model.likelihood.scale.value) for model in draws]
    assert len(set(scales)) == 3
    assert np.isclose(scales[-1], found.model.likelihood.scale.value)


@pytest.mark.slow
def test_the_cycles_of_a_convex_problem_end_at_its_mode():
    found = fit(KEY, LINEAR, DATA, replace(SHORT, steps=600, batch_size=None))
    coefficients = found.posterior.flat().weights.params["coefficients"]
    assert np.ptp(coefficients, axis=0).max() < 1e-3


@pytest.mark.slow
def test_members_of_an_ensemble_hold_their_own_snapshots():
    found = fit(KEY, MODEL, DATA, Ensemble(SHORT, 2))
    assert found.posterior.default_draws() == 6


def test_no_cycles_and_a_free_precision_are_refused():
    with pytest.raises(ValueError, match="cycles must be at least 1; got 0"):
        Snapshot(cycles=0)
    with pytest.raises(ValueError, match=r"cycles must be a whole number; got 2\.5"):
        Snapshot(cycles=2.5)
    with pytest.raises(ValueError, match="Snapshot expects a fixed prior precision"):
        fit(KEY, replace(MODEL, prior=Normal(learn(1.0))), DATA, SHORT)
