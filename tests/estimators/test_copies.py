"""Copies and files of every named method: the same bits, before and after the first prediction."""

import copy
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest

from posterium import (
    HMC,
    IVON,
    MAP,
    MCLMC,
    MLE,
    MLP,
    NUTS,
    PBP,
    SWA,
    SWAG,
    VI,
    AdjustedMCLMC,
    BayesianRegressor,
    Bootstrap,
    ChEES,
    Ensemble,
    Evidence,
    Exact,
    Laplace,
    MCDropout,
    ParallelTempering,
    RandomisedPrior,
    Snapshot,
    StartFrom,
    Subset,
)
from posterium.combinators import catalogue

RNG = np.random.default_rng(6)
X = RNG.normal(size=(24, 2))
Y = X @ [1.0, -2.0] + 0.3 * RNG.normal(size=24)
MODE = MAP(steps=20)

METHODS = {
    "exact": Evidence(Exact()),
    "map": MODE,
    "laplace": Laplace(at=MODE),
    "nuts": StartFrom(NUTS(warmup=60, draws=60), Ensemble(MODE, 4)),
    "default": Ensemble(MAP(steps=20, validation=0.1), 6),
    "ensemble": Ensemble(MODE, 2),
    "mle": MLE(steps=20),
    "laplace-kronecker": Laplace("kronecker", at=MODE),
    "laplace-last-layer": Subset(Laplace(at=MODE), rest=MODE),
    "laplace-ensemble": Ensemble(Laplace(at=MODE), 2),
    "vi": VI(steps=20),
    "ivon": IVON(steps=20),
    "pbp": PBP(epochs=2),
    "hmc": StartFrom(HMC(warmup=150, draws=150), Ensemble(MODE, 4)),
    "mclmc": StartFrom(MCLMC(warmup=60, draws=60, chains=4, apart=True), Ensemble(MODE, 4)),
    "chees": StartFrom(ChEES(warmup=200, draws=100, chains=4), Ensemble(MODE, 4)),
    "mc-dropout": MCDropout(MODE),
    "swag": SWAG(rank=2, steps=40, every=10, at=MODE),
    "multi-swag": Ensemble(SWAG(rank=2, steps=40, every=10, at=MODE), 2),
    "swa": SWA(steps=40, every=10, at=MODE),
    "bootstrap": Ensemble(Bootstrap(MAP(steps=20, validation=0.1)), 2),
    "randomised-prior": Ensemble(
        RandomisedPrior(Bootstrap(MAP(steps=20, validation=0.1)), targets=False), 2
    ),
    "adjusted-mclmc": StartFrom(AdjustedMCLMC(warmup=100, draws=100), Ensemble(MODE, 4)),
    "snapshot": Snapshot(cycles=2, steps=20),
    "tempering": ParallelTempering(warmup=20, draws=40, chains=4, rungs=6, leapfrog=4),
}
SETTINGS = {name: {"network": MLP(hidden=(3,), activation="tanh")} for name in METHODS}
SETTINGS["exact"] = {}
SETTINGS["pbp"] = {"network": MLP(hidden=(3,), activation="relu")}
for name in ("nuts", "hmc", "chees", "adjusted-mclmc", "tempering"):
    SETTINGS[name] = {"network": "linear"}
SETTINGS["laplace-last-layer"]["likelihood"] = "heteroscedastic"
SETTINGS["mc-dropout"] = {"network": MLP(hidden=(3,), activation="tanh", dropout=0.1)}
QUICK = ("exact", "map")

ASK = """
import pickle
import numpy as np, joblib
from posterium import BayesianRegressor
x = np.load("x.npy")
read = (
    pickle.load(open("pickle", "rb")),
    joblib.load("joblib"),
    BayesianRegressor.load("model.posterium"),
)
np.save("answers.npy", np.stack([model.predict(x, return_std=True) for model in read]))
"""


def said(model):
    return np.stack(model.predict(X, return_std=True))


def copies(model, folder):
    joblib.dump(model, folder / "joblib")
    (folder / "pickle").write_bytes(pickle.dumps(model))
    return [
        copy.deepcopy(model),
        joblib.load(folder / "joblib"),
        pickle.loads((folder / "pickle").read_bytes()),
    ]


def check_copies(name, folder):
    model = BayesianRegressor(method=METHODS[name], draws=8, **SETTINGS[name]).fit(X, Y)
    twins = copies(model, folder)
    expected = said(model)
    twins += copies(model, folder)
    model.save(folder / "model.posterium")
    twins.append(BayesianRegressor.load(folder / "model.posterium"))
    for twin in twins:
        assert said(twin).tobytes() == expected.tobytes()
    np.save(folder / "x.npy", X)
    run = subprocess.run([sys.executable, "-c", ASK], cwd=folder, capture_output=True, timeout=120)
    assert run.returncode == 0, run.stderr.decode()
    for answer in np.load(folder / "answers.npy"):
        assert answer.tobytes() == expected.tobytes()


doubtful = pytest.mark.filterwarnings("ignore::posterium.estimators.ConvergenceWarning")


@doubtful
@pytest.mark.parametrize("name", QUICK)
def test_copies_and_files_give_the_same_bits(name, tmp_path):
    check_copies(name, tmp_path)


@doubtful
@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(METHODS.keys() - set(QUICK)))
def test_copies_and_files_of_other_methods_give_the_same_bits(name, tmp_path):
    check_copies(name, tmp_path)


def test_every_named_method_is_copied_here():
    assert METHODS.keys() == catalogue.ENTRIES.keys()
