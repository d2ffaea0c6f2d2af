"""Networks of PyTorch in use: fits, estimators, files, and the page on a trained module."""

import re
from pathlib import Path

import jax
import numpy as np
import pytest

from posterium import (
    MAP,
    VI,
    BayesianRegressor,
    Ensemble,
    Gaussian,
    Laplace,
    MCDropout,
    Model,
    Normal,
    Subset,
    as_data,
    fit,
    from_torch,
    load,
    predict,
    save,
)
from posterium.numerics import trees

torch = pytest.importorskip("torch", reason="needs torch: run by `make test-torch`")
from tests.model.adapters.torch_nets import NETS, dense, made  # noqa: E402

torch.set_num_threads(1)

PAGE = Path(__file__).parents[3] / "docs" / "networks" / "pretrained-torch.md"
COMPILED: list[float] = []
jax.monitoring.register_event_duration_secs_listener(
    lambda name, seconds, **_: COMPILED.append(seconds) if "backend_compile" in name else None
)
KEY = jax.random.key(3)
X = NETS["dense"][1]
Y = np.sin(X[:, 0])
DATA = as_data(X, Y)


def test_dropout_of_a_module_stays_on_in_predictions_as_one_function_a_draw():
    model = Model(from_torch(dense()), Normal(1.0), Gaussian(0.3))
    found = fit(KEY, model, DATA, MCDropout(MAP(steps=6)))
    (drawn,) = predict(KEY, found, np.concatenate([X, X]), draws=12).components()
    np.testing.assert_allclose(*np.split(drawn.mean, 2, axis=1), rtol=1e-5)
    assert drawn.mean.std(0).min() > 0
    with pytest.raises(ValueError, match="exactly 0"):
        fit(KEY, Model(from_torch(dense(0.0)), Normal(1.0), Gaussian(0.3)), DATA, MCDropout())


def test_a_trained_module_becomes_bayesian_in_five_lines_with_no_training():
    space = {}
    for block in re.findall(r"^```py\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), space)
    module, found, predictive = space["module"], space["found"], space["predictive"]
    assert set(found.info) == {"begin", "restrict", "curvature", "log_evidence"}
    assert found.verdict.status == "ok"
    assert set(trees.flatten(found.posterior.mode().params)) == {"2/bias", "2/weight"}
    before = module(torch.tensor([[0.0], [4.0]])).detach()
    assert np.allclose(predictive.mean, before, rtol=1e-5, atol=1e-6)

    # The posterior of the last layer is that of Bayesian linear regression on what it sees.
    hidden = module[:2](torch.tensor(space["x"])).detach().double().numpy()
    design = np.c_[np.ones(len(hidden)), hidden]
    precision = 0.8 * np.eye(13) + design.T @ design / 0.01
    there = np.r_[1.0, module[:2](torch.tensor([[4.0]]))[0].detach().double().numpy()]
    sd = np.sqrt(there @ np.linalg.solve(precision, there) + 0.01)
    assert np.isclose(predictive.sd[1, 0], sd, rtol=1e-4)


def test_map_carries_the_running_statistics_and_a_second_fit_compiles_nothing():
    module, method = dense(), MAP(steps=4, learning_rate=0.05)
    first = fit(KEY, Model(module, Normal(), Gaussian(0.5)), DATA, method)
    predict(KEY, first, X)
    state = first.posterior.mode().state["1"]
    assert state["num_batches_tracked"] > 0
    assert not np.allclose(state["running_mean"], 0)
    assert np.isfinite(np.asarray(predict(KEY, first, X).mean)).all()
    COMPILED.clear()
    second = fit(KEY, Model(module, Normal(), Gaussian(0.5)), DATA, method)
    predict(KEY, second, X)
    assert not COMPILED
    assert jax.tree.all(jax.tree.map(np.array_equal, first.posterior, second.posterior))


def test_members_of_an_ensemble_differ_and_pretrained_ones_are_refused():
    found = fit(KEY, Model(dense(), Normal(), Gaussian(0.5)), DATA, Ensemble(MAP(steps=2), 3))
    kernels = np.asarray(found.posterior.parts.mode().params["0"]["weight"])
    assert len(np.unique(kernels[:, 0, 0])) == 3
    kept = Model(from_torch(dense(), pretrained=True), Normal(), Gaussian(0.5))
    with pytest.raises(ValueError, match="would make all members alike"):
        fit(KEY, kept, DATA, Ensemble(MAP(steps=2), 3))


@pytest.mark.parametrize("method", [VI(steps=3), Laplace(at=MAP(steps=3))])
def test_methods_take_a_module_as_it_is(method):
    found = fit(KEY, Model(dense(), Normal(), Gaussian(0.5)), DATA, method)
    assert np.isfinite(np.asarray(predict(KEY, found, X).sd)).all()


@pytest.mark.slow
def test_tokens_go_through_a_transformer():
    x = NETS["transformer"][1]
    data = as_data(x, Y)
    model = Model(made("transformer"), Normal(), Gaussian(0.5))
    method = Subset(Laplace(), rest=MAP(steps=2))
    found = fit(KEY, model, data, method)
    assert set(trees.flatten(found.posterior.mode().params)) == {"head/bias", "head/weight"}
    assert np.isfinite(np.asarray(predict(KEY, found, x).sd)).all()


def test_an_estimator_takes_a_module_and_a_file_asks_for_it_again(tmp_path):
    module = dense()
    given = {"network": module, "likelihood": Gaussian(0.5), "method": MAP(steps=2)}
    assert BayesianRegressor(**given).fit(X, Y).predict(X).shape == Y.shape
    found = fit(KEY, Model(module, Normal(), Gaussian(0.5)), DATA, MAP(steps=2))
    path = tmp_path / "model.safetensors"
    save(found, path)
    with pytest.raises(ValueError, match=r"network=from_torch\(\.\.\.\)"):
        load(path)
    again = load(path, network=from_torch(module))
    means = (np.asarray(predict(KEY, f, X).mean) for f in (found, again))
    assert np.array_equal(*means)
