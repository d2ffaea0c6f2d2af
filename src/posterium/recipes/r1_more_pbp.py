"""R1.more.pbp: probabilistic back-propagation, its evidence against closed form and the prior."""

import itertools
from typing import Any

import jax
import numpy as np
from scipy.special import logsumexp

import posterium as ps
from posterium.datasets.reference import four_clusters, nonlinear8
from posterium.plots import style
from posterium.plots.regression import regression_band
from posterium.recipes.runner import Drawing, Outcome, close, recipe

SUMMARY = "probabilistic back-propagation, its evidence against closed form and prior draws"
NETWORKS, FEW = ((), (2,), (5,), (20,)), ((), (5,))
BELIEF, NOISE = 6.0, 0.5
"""Shape of the Gamma beliefs about both precisions; noise sd where it is taken as known."""
NATS_A_ROW = 0.2
"""How far the evidence may be from that by draws from the prior."""
CHUNK = 20_000


def model(hidden: tuple[int, ...]) -> ps.Model:
    """Return a network of these widths with relu; prior precision and noise are free."""
    return ps.Model(ps.MLP(hidden=hidden), ps.Normal(ps.learn(1.0)), ps.Gaussian(ps.learn(1.0)))


def by_prior_draws(
    hidden: tuple[int, ...], x: np.ndarray, y: np.ndarray, draws: int
) -> tuple[float, float]:
    """Return the log evidence of `model` in nats, and its standard error, by plain Monte Carlo."""
    rng, found = np.random.default_rng(0), []
    widths = (x.shape[1], *hidden, 1)
    for _ in range(draws // CHUNK):
        precision, noise = rng.gamma(BELIEF, 1 / BELIEF, (2, CHUNK, 1, 1))
        f = np.broadcast_to(x, (CHUNK, *x.shape))
        for layer, (inputs, out) in enumerate(itertools.pairwise(widths)):
            kernel = rng.normal(size=(CHUNK, inputs, out)) / np.sqrt(precision * inputs)
            bias = rng.normal(size=(CHUNK, 1, out)) / np.sqrt(precision)
            f = (f if layer == 0 else np.maximum(f, 0)) @ kernel + bias
        square = np.sum((f - y[:, None]) ** 2, axis=1, keepdims=True)
        log_likelihood = 0.5 * (len(y) * np.log(noise / (2 * np.pi)) - noise * square)
        found.append(log_likelihood.ravel())
    values = np.concatenate(found)
    weight = np.exp(values - values.max())
    error = weight.std() / weight.mean() / np.sqrt(len(values))
    return float(logsumexp(values) - np.log(len(values))), float(error)


def one_weight(key: jax.Array, x: np.ndarray, y: np.ndarray) -> float:
    """Return the largest gap between one pass and the exact posterior of one weight, and evidence.

    The line through the origin, at known prior and noise: the only model that a pass solves.
    """
    line = ps.Model(ps.MLP(hidden=(), bias=False), ps.Normal(1.0, "none"), ps.Gaussian(NOISE))
    found = ps.fit(key, line, ps.as_data(x, y), ps.PBP(epochs=1))
    precision = 1 + np.sum(x**2) / NOISE**2
    mean = np.sum(x[:, 0] * y) / NOISE**2 / precision
    rest = np.sum(y**2) / NOISE**2 - mean**2 * precision
    log_evidence = -0.5 * (np.log(precision) + rest + len(y) * np.log(2 * np.pi * NOISE**2))
    params = found.posterior.mean.params["layers"][0]["kernel"].item()
    spread = found.posterior.covariance.sd.item()
    gaps = params - mean, spread - precision**-0.5, found.log_evidence - log_evidence
    return float(np.max(np.abs(gaps)))


def standardised(x: np.ndarray, y: np.ndarray, of: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return rows in units of the sd of some others."""
    return (x - of[0].mean(axis=0)) / of[0].std(axis=0), (y - of[1].mean()) / of[1].std()


def compared(networks: Any, told: dict[str, list[float]], title: str, label: str) -> Drawing:
    """Return what draws one line over the networks for each quantity."""

    def draw(ax: Any) -> Any:
        names = ["-".join(map(str, hidden)) or "linear" for hidden in networks]
        for number, (name, values) in enumerate(told.items()):
            ax.plot(names, values, marker="o", label=name, **style.line(number))
        ax.legend()
        return style.finish(ax, title=title, xlabel="widths of the hidden layers", ylabel=label)

    return draw


@recipe("R1.more.pbp", SUMMARY, fast="two networks instead of four, 3 members instead of 6")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Fit every network on eight rows and on 400, and look at the held-out rows afterwards."""
    networks, members = (FEW, 3) if fast else (NETWORKS, 6)
    x, y = standardised(*nonlinear8(), nonlinear8())
    rows, held = four_clusters(), four_clusters(seed=1)
    many, test = ps.as_data(*standardised(*rows, rows)), standardised(*held, rows)
    few = ps.as_data(x, y)
    method = ps.Ensemble(ps.PBP(shape=BELIEF), members)
    eight = [ps.fit(key, model(h), few, method) for h in networks]
    clusters = [ps.fit(key, model(h), many, method) for h in networks]
    truth = [by_prior_draws(h, x, y, 200_000) for h in networks]
    evidence = [fit.log_evidence for fit in eight]
    gaps = [found - value for found, (value, _) in zip(evidence, truth, strict=True)]
    many_evidence = [fit.log_evidence for fit in clusters]
    scores = [ps.predict(key, f, test[0]).log_prob(test[1][:, None]).mean() for f in clusters]
    once, last = (
        ps.fit(key, model(networks[-1]), few, ps.PBP(epochs=epochs)) for epochs in (1, 40)
    )
    band = np.linspace(-3, 3, 121)[:, None]
    spread = ps.predict(key, last, band).epistemic_sd[:, 0]
    inside = np.abs(band[:, 0]) <= np.abs(x).max()
    exact = one_weight(key, x, y)
    return Outcome(
        {
            "networks": ["-".join(map(str, hidden)) or "linear" for hidden in networks],
            "gap_of_one_weight": exact,
            "log_evidence_nonlinear8": evidence,
            "log_evidence_nonlinear8_by_prior_draws": [value for value, _ in truth],
            "largest_error_by_prior_draws": max(error for _, error in truth),
            "log_evidence_four_clusters": many_evidence,
            "held_out_four_clusters": scores,
            "verdicts": [fit.verdict.status for fit in (*eight, *clusters)],
        },
        {
            "one_weight_is_exact": close(exact, 0, 1e-10),
            "evidence_near_that_by_prior_draws": close(gaps, 0, NATS_A_ROW * len(y)),
            "evidence_of_many_rows_prefers_every_network_to_a_line": (
                min(many_evidence[1:]) > many_evidence[0]
            ),
            "so_do_held_out_rows": min(scores[1:]) > scores[0],
            "surer_inside_the_data_than_beyond": spread[inside].mean() < spread[~inside].mean(),
        },
        {
            "evidence": [
                compared(
                    networks,
                    {"first pass": evidence, "draws from the prior": [v for v, _ in truth]},
                    "nonlinear8", "log evidence (nats)",
                ),
                compared(
                    networks, {"held-out rows": scores}, "four clusters",
                    "log density (nats a row)",
                ),
            ],
            "band": [
                lambda ax: regression_band(
                    band, ps.predict(key, once, band), data=(x, y), ax=ax, title="one pass"
                ),
                lambda ax: regression_band(
                    band, ps.predict(key, last, band), data=(x, y), ax=ax, title="40 passes"
                ),
            ],
        },
    )  # fmt: skip
