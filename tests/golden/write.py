"""Write the golden files of the present format: run by hand when the format changes, never else.

python tests/golden/write.py
"""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas

from posterium import (
    MAP,
    MLP,
    NUTS,
    BayesianClassifier,
    Categorical,
    Ensemble,
    Fourier,
    Functions,
    Gaussian,
    HalfNormal,
    HeteroscedasticGaussian,
    Laplace,
    Linear,
    Model,
    Normal,
    Subset,
    as_data,
    fit,
    learn,
    load,
    predict,
    save,
)
from posterium.posterior.container import FORMAT

HERE = Path(__file__).parent
X = np.linspace(-2, 2, 24).reshape(12, 2)
Y = np.sin(X[:, 0]) + 0.3 * X[:, 1]
PROBE = np.linspace(-3, 3, 10).reshape(5, 2)
NOISE = Gaussian(learn(0.3, floor=0.01))


def start(key, x):
    """Draw the weights of a network of one's own."""
    return {"w": jax.random.normal(key, (x.shape[1], 1)), "b": jnp.zeros(1)}


def forward(params, x):
    """Return its outputs."""
    return jnp.tanh(x @ params["w"]) + params["b"][None, :]


OWN = Functions(start, forward)


def fits():
    """Return a fit of every kind of posterior, none of which predicts by random numbers."""
    sampled = Gaussian(learn(0.3, prior=HalfNormal(1.0)))
    cases = {
        "ensemble": (MLP(hidden=(3,)), NOISE, Ensemble(MAP(steps=50), 3), Y),
        "heteroscedastic": (MLP(2, (3,), "tanh"), HeteroscedasticGaussian(), MAP(steps=50), Y),
        "laplace": (Linear(Fourier(4)), Gaussian(0.3), Laplace(at=MAP(steps=50)), Y),
        "last layer": (
            MLP(hidden=(3,), layer_norm=True),
            Gaussian(0.3),
            Subset(Laplace(at=None), rest=MAP(steps=50)),
            Y,
        ),
        "sampler": (Linear(), sampled, NUTS(warmup=50, draws=20, chains=2), Y),
        "classes": (MLP(3, (3,), "silu"), Categorical(), MAP(steps=50), np.arange(12) % 3),
        "own": (OWN, NOISE, MAP(steps=50), Y),
    }
    key = jax.random.key(5)
    return {
        name: fit(key, Model(network, Normal(2.0), likelihood), as_data(X, y), method)
        for name, (network, likelihood, method, y) in cases.items()
    }


def frame():
    """Return a table with a text and a truth column, and the class of each row."""
    table = pandas.DataFrame(
        {
            "length": np.linspace(0, 3, 24),
            "colour": ["red", "green", "blue"] * 8,
            "new": [True, False] * 12,
        }
    )
    return table, np.where(np.arange(24) % 5 < 2, "yes", "no")


def estimator():
    """Return a classifier fitted on a table."""
    return BayesianClassifier(method=MAP(steps=50)).fit(*frame())


def predictions(found):
    """Return what fits predict at fixed inputs, as JSON."""
    told = {}
    for name, result in found.items():
        predictive = predict(jax.random.key(0), result, PROBE)
        names = ("probs",) if name == "classes" else ("mean", "sd", "epistemic_var")
        told[name] = {n: np.ravel(getattr(predictive, n)).tolist() for n in names}
        told[name]["verdict"] = result.verdict.status
    return told


def files(version):
    """Return a file of fits, one of a fitted estimator, and that of what they predict."""
    names = (f"format-{version}{end}" for end in (".posterium", "-table.posterium", ".json"))
    return tuple(HERE / name for name in names)


if __name__ == "__main__":
    model, table, told = files(FORMAT)
    save(fits(), model, overwrite=True)
    estimator().save(table, overwrite=True)
    known = predictions(load(model, network=OWN))
    known["table"] = BayesianClassifier.load(table).predict_proba(frame()[0]).ravel().tolist()
    with open(told, "w") as file:
        json.dump(known, file, indent=1)
        file.write("\n")
