"""Subjects of reports made by hand: no fit, no compiler; what is predicted is known."""

import numpy as np

from posterium.model.likelihoods.classes import Bernoulli, Categorical
from posterium.model.likelihoods.gaussian import HeteroscedasticGaussian
from posterium.model.model import Model
from posterium.model.network import MLP
from posterium.model.priors.normal import Normal
from posterium.model.weights import Weights
from posterium.posterior.components.classes import ClassComponents
from posterium.posterior.components.gaussian import GaussianComponents
from posterium.posterior.fit import Fit, Verdict
from posterium.posterior.posterior import Point
from posterium.posterior.predictive import ClassPredictive, RegressionPredictive
from posterium.report.columns import InputColumn
from posterium.report.page import contents, render
from posterium.report.subject import Subject

SLOPES = np.array([1.0, 1.2, 0.8, 1.0])
"""Of the functions that a made posterior holds."""


def made_fit(likelihood, *, verdict=None, steps=40, members=2):
    ramp = -1 / (1 + np.arange(steps * members, dtype=float).reshape(steps, members))
    info = {"descent": {"objective": ramp, "log_likelihood": 90 * ramp, "log_prior": 3 - ramp}}
    model = Model(MLP(2, (3,)), Normal(), likelihood)
    point = Point(Weights({"w": np.zeros(11)}, None, None))
    return Fit(point, model, info, verdict or Verdict(), "MAP")


def numbers(x, targets=1, noise=0.5):
    """Predict s * (x0 + k) for target k under each slope s."""
    mean = SLOPES[:, None, None] * (x[:, :1] + np.arange(targets))[None]
    components = GaussianComponents(mean, noise**2)
    return RegressionPredictive(lambda: [components], (len(x), targets), squeeze=targets == 1)


def labels(x, classes):
    """Predict softmax(s * x0 * c) for class c under each slope s."""
    logits = SLOPES[:, None, None] * x[None, :, :1] * np.arange(classes) / classes
    probs = np.exp(logits - logits.max(axis=2, keepdims=True))
    components = ClassComponents.from_probs(probs / probs.sum(axis=2, keepdims=True))
    return ClassPredictive(lambda: [components], (len(x), classes))


def subject(rows=60, features=2, *, targets=1, classes=0, names=None, held=0.5, **more):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, features))
    if classes:
        y = rng.integers(0, classes, rows)
        likelihood = Bernoulli() if classes == 2 else Categorical()
    else:
        y = x[:, :1] + np.arange(targets) + 0.5 * rng.normal(size=(rows, targets))
        likelihood = HeteroscedasticGaussian()
    names = names or [f"column {i}" for i in range(features)]
    given = {
        "fit": made_fit(likelihood, verdict=more.pop("verdict", None)),
        "predict": (lambda x: labels(x, classes)) if classes else lambda x: numbers(x, targets),
        "columns": tuple(InputColumn(name, "number", (i,)) for i, name in enumerate(names)),
        "targets": ("y",) if targets == 1 else tuple(f"y{i}" for i in range(targets)),
        "classes": tuple(f"class {i}" for i in range(classes)),
        "x": x,
        "y": y,
        "held": None if held is None else np.arange(rows) < held * rows,
        "rows": np.arange(2, rows + 2),
        "row_word": "line",
        "source": "table.csv",
        "seed": 3,
        "draws": None,
        "scales": (np.zeros(features), np.ones(features)),
        "target_scale": np.ones(targets),
    }
    return Subject(**given | more)


def page(found, record=None, seconds=None, command=None):
    return render(contents(found, record or {}, seconds, command))
