"""Write the golden files of the present format: run by hand when the format changes, never else.

python tests/golden/write.py
"""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from posterium import (
    MAP,
    MLP,
    NUTS,
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
    """Return the model file of a format version and the file of its predictions."""
    return HERE / f"format-{version}.posterium", HERE / f"format-{version}.json"


if __name__ == "__main__":
    model, told = files(FORMAT)
    save(fits(), model, overwrite=True)
    with open(told, "w") as file:
        json.dump(predictions(load(model, network=OWN)), file, indent=1)
        file.write("\n")
