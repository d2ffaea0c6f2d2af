"""R1.more.laplace: depth and width of a network by the log evidence of linearised Laplace."""

from typing import Any

import jax
import numpy as np

import posterium as ps
from posterium.datasets.reference import nonlinear8, scaled_moons
from posterium.plots import style
from posterium.plots.classification import decision_boundary
from posterium.plots.regression import regression_band
from posterium.recipes.r1_evidence import model_of
from posterium.recipes.runner import Drawing, Outcome, close, recipe

SUMMARY = "depth and width by the log evidence of a network, shown against held-out scores"
NETWORKS, FEW = ((), (2,), (5,), (10,), (5, 5)), ((), (5,))
METHOD = ps.Evidence(ps.Laplace(at=ps.MAP(steps=1000, polish="newton")))


def model(hidden: tuple[int, ...], likelihood: Any, precision: float) -> ps.Model:
    """Return the network of these widths; the prior precision of each layer is free."""
    layers = [ps.learn(precision) for _ in range(len(hidden) + 1)]
    network = ps.MLP(hidden=hidden, activation="tanh")
    return ps.Model(network, ps.Normal({"layers": layers}), likelihood)


def best(key: jax.Array, model: ps.Model, data: ps.Data, starts: int) -> ps.Fit:
    """Return the fit of largest log evidence from some random starts."""
    fits = [ps.fit(one, model, data, METHOD) for one in jax.random.split(key, starts)]
    return max(fits, key=lambda fit: fit.log_evidence)


def left_out(key: jax.Array, found: ps.Fit, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the log density of each row by a fit of the others, hyper-parameters included, (n,).

    A row that is left out has weight 0; the search begins at the weights that all rows gave.
    """
    scores = []
    for row in range(len(x)):
        others = ps.as_data(x, y, weight=(np.arange(len(x)) != row).astype(float))
        fit = ps.fit(key, found.model, others, METHOD, start=found.posterior.mode())
        scores.append(ps.predict(key, fit, x[row : row + 1]).log_prob(y[row : row + 1, None]))
    return np.concatenate(scores)


def choose(evidence: list[float]) -> int:
    """Return the number of the network with the largest log evidence."""
    return int(np.argmax(evidence))


def near_the_best(scores: list[np.ndarray], choice: int) -> bool:
    """Say whether no network's score is above the chosen one's by 2 standard errors, in pairs."""
    gaps = np.array(scores) - scores[choice]
    error = gaps.std(axis=1, ddof=1) / np.sqrt(gaps.shape[1])
    return bool(np.all(gaps.mean(axis=1) <= 2 * error))


def compared(networks: Any, evidence: list[float], score: list[float], title: str) -> Drawing:
    """Return what draws log evidence and held-out score of each network, on an axis each."""

    def draw(ax: Any) -> Any:
        names = ["-".join(map(str, hidden)) or "linear" for hidden in networks]
        told = {"log evidence (nats)": evidence, "held-out log density a row (nats)": score}
        for number, (axis, label) in enumerate(zip((ax, ax.twinx()), told, strict=True)):
            look = style.line(number)
            axis.plot(names, told[label], marker=style.MARKERS[number], **look)
            axis.set_ylabel(label, color=look["color"])
        return style.finish(ax, title=title, xlabel="widths of the hidden layers", ylabel=None)

    return draw


@recipe("R1.more.laplace", SUMMARY, fast="two networks instead of five, one start instead of four")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Fit every network on both data sets, and look at held-out rows only afterwards."""
    networks, starts = (FEW, 1) if fast else (NETWORKS, 4)
    x, y = nonlinear8()
    (moons, label), (test, test_label) = scaled_moons()
    curve, classes = ps.as_data(x, y), ps.as_data(moons, label)
    curves = [best(key, model(h, ps.Gaussian(1.0), 0.01), curve, starts) for h in networks]
    planes = [best(key, model(h, ps.Bernoulli(), 0.1), classes, starts) for h in networks]
    scores = {
        "nonlinear8": [left_out(key, fit, x, y) for fit in curves],
        "moons": [ps.predict(key, fit, test).log_prob(test_label) for fit in planes],
    }
    fits = {"nonlinear8": curves, "moons": planes}
    evidence = {name: [fit.log_evidence for fit in found] for name, found in fits.items()}
    means = {name: [float(s.mean()) for s in score] for name, score in scores.items()}
    choice = {name: choose(values) for name, values in evidence.items()}

    alpha = curves[0].model.prior.precision["layers"][0].value
    affine = ps.fit(key, model_of(ps.Affine(), alpha), curve, ps.Exact())
    band, chosen = np.linspace(-4, 7, 111)[:, None], planes[choice["moons"]]
    first = second = np.linspace(-3, 3, 61)
    plane = np.stack(np.meshgrid(first, second), axis=-1).reshape(-1, 2)
    surface = ps.predict(key, chosen, plane).probs[:, 1].reshape(61, 61)
    return Outcome(
        {
            "networks": ["-".join(map(str, hidden)) or "linear" for hidden in networks],
            **{f"log_evidence_{name}": values for name, values in evidence.items()},
            **{f"held_out_{name}": values for name, values in means.items()},
            **{f"chosen_{name}": networks[at] for name, at in choice.items()},
            "verdicts": [fit.verdict.status for found in fits.values() for fit in found],
        },
        {
            "linear_network_has_the_exact_evidence": close(
                evidence["nonlinear8"][0], affine.log_evidence, 1e-6
            ),
            **{
                f"choice_on_{name}_near_the_best_held_out": near_the_best(scores[name], at)
                for name, at in choice.items()
            },
            **{
                f"choice_on_{name}_scores_above_linear": means[name][at] > means[name][0]
                for name, at in choice.items()
            },
        },
        {
            "evidence": [
                compared(networks, evidence[name], means[name], name) for name in fits
            ],
            "chosen": [
                lambda ax: regression_band(
                    band, ps.predict(key, curves[choice["nonlinear8"]], band), data=(x, y), ax=ax,
                    title="nonlinear8, chosen by evidence",
                ),
                lambda ax: decision_boundary(
                    first, second, surface, data=(moons, label), ax=ax,
                    title="moons, chosen by evidence",
                ),
            ],
        },
    )  # fmt: skip
