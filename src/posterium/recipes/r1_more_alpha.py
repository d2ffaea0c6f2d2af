"""R1.more.alpha: alpha-divergences on a line whose posterior is known, and what alpha does.

The posterior of bias and slope is a correlated Gaussian p, so that the best independent Gaussian q
under each objective is known without sampling. The Renyi bound is the log evidence less the
divergence of order alpha; black-box alpha scores each row by E_q[p(y | w)^alpha].
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from scipy.optimize import minimize

import posterium as ps
from posterium.datasets.reference import outlier6
from posterium.plots.weights import landscape
from posterium.recipes import plane
from posterium.recipes.runner import Outcome, close, recipe

SUMMARY = "independent Gaussians by Renyi and black-box alpha bounds, against the exact optima"
PRECISION = 3.0
RENYI, BLACK_BOX = (2.0, 1.0, 0.5, 0.2), (0.1, 0.5, 1.0)
Gaussian = tuple[np.ndarray, np.ndarray]


def divergence(q: Gaussian, p: Gaussian, alpha: float) -> float:
    """Return the Renyi divergence of order alpha of q from p, in nats; infinite where it is.

    Gil, Alajaji and Linder (2013), table 2; at 1 the Kullback-Leibler divergence.
    """
    if alpha == 1:
        return plane.divergence(q, p)
    gap, mixed = q[0] - p[0], alpha * p[1] + (1 - alpha) * q[1]
    if np.linalg.eigvalsh(mixed)[0] <= 0:
        return np.inf
    logs = [np.linalg.slogdet(matrix)[1] for matrix in (mixed, q[1], p[1])]
    spread = (logs[0] - (1 - alpha) * logs[1] - alpha * logs[2]) / (1 - alpha)
    return 0.5 * (alpha * gap @ np.linalg.solve(mixed, gap) + spread)


def energy(q: Gaussian, x: np.ndarray, y: np.ndarray, alpha: float) -> float:
    """Return minus the black-box alpha bound of a line with unit noise, in nats.

    With f ~ N(m, v), E[N(y | f, 1)^alpha] is a Gaussian in y of variance 1 / alpha + v.
    """
    rows = np.column_stack([np.ones(len(x)), x[:, 0]])
    gap, variance = y - rows @ q[0], np.sum((rows @ q[1]) * rows, axis=1)
    total = 1 / alpha + variance
    likelihood = -0.5 * (gap**2 / total + np.log(alpha * total)) / alpha - 0.5 * np.log(2 * np.pi)
    prior = np.zeros(2), np.eye(2) / PRECISION
    return plane.divergence(q, prior) - likelihood.sum()


def best(objective: Callable[[Gaussian], float], start: Gaussian) -> Gaussian:
    """Return the independent Gaussian of least objective."""

    def at(raw: np.ndarray) -> Gaussian:
        return raw[:2], np.diag(np.exp(2 * raw[2:]))

    narrow = 0.5 * np.log(0.5 / np.diag(np.linalg.inv(start[1])))
    options = {"xatol": 1e-7, "fatol": 1e-12, "maxiter": 5000}
    found = minimize(
        lambda raw: objective(at(raw)), np.append(start[0], narrow), method="Nelder-Mead",
        options=options,
    )  # fmt: skip
    return at(found.x)


def fitted(key: jax.Array, model: ps.Model, data: ps.Data, fast: bool, **settings: Any) -> Gaussian:
    """Return what VI finds with 1,000 draws a step."""
    method = ps.VI(
        steps=2000 if fast else 3000, samples=1000, average=0.25, init_scale=0.3, means="zero",
        **settings,
    )  # fmt: skip
    return plane.moments(ps.fit(key, model, data, method))


@recipe("R1.more.alpha", SUMMARY, fast="2,000 steps instead of 3,000, one order of each kind")
def run(key: jax.Array, fast: bool) -> Outcome:
    """Fit one Gaussian for each order and hold it against the exact optimum of its objective."""
    x, y = outlier6(standardise=False)
    model = ps.Model(ps.Linear(ps.Affine()), ps.Normal(PRECISION, scaling="none"), ps.Gaussian(1.0))
    data = ps.as_data(x, y)
    p = plane.moments(ps.fit(key, model, data, ps.Exact()))
    renyi, black_box = ((0.5,), (0.5,)) if fast else (RENYI, BLACK_BOX)

    wanted, came = {}, {}
    for alpha in renyi:
        wanted[f"Renyi {alpha:g}"] = best(lambda q, a=alpha: divergence(q, p, a), p)
        came[f"Renyi {alpha:g}"] = fitted(key, model, data, fast, objective=ps.Renyi(alpha))
    for alpha in black_box:
        wanted[f"black box {alpha:g}"] = best(lambda q, a=alpha: energy(q, x, y, a), p)
        came[f"black box {alpha:g}"] = fitted(
            key, model, data, fast, objective=ps.BlackBoxAlpha(alpha)
        )
    free = fitted(key, model, data, fast, objective=ps.Renyi(0.5), family="full")
    sds = {name: np.sqrt(np.diag(q[1])) for name, q in came.items()}
    gap = {name: sds[name] / np.sqrt(np.diag(q[1])) - 1 for name, q in wanted.items()}

    first, second = np.linspace(-1.5, 1.9, 121), np.linspace(-2.1, 0.6, 121)
    exact_sd = np.sqrt(np.diag(p[1]))
    return Outcome(
        {
            "exact_mean": p[0],
            "exact_sd": exact_sd,
            **{f"mean_{name}": q[0] for name, q in came.items()},
            **{f"sd_{name}": sd for name, sd in sds.items()},
            **{f"relative_gap_of_sd_{name}": value for name, value in gap.items()},
            "divergence_of_full_covariance": plane.divergence(free, p),
        },
        {
            **{f"mean_{n}_within_0.01": close(q[0], wanted[n][0], 0.01) for n, q in came.items()},
            **{f"sd_{n}_within_2_percent": close(gap[n], 0, 0.02) for n in came},
            "full_covariance_finds_the_posterior": plane.divergence(free, p) <= 1e-3,
        },
        {
            "posteriors": [
                lambda ax: landscape(
                    first, second, plane.log_joint(model, data, first, second), ax=ax, sds=(2,),
                    gaussians={"exact": p} | {n: q for n, q in came.items() if "Renyi" in n},
                    title="Renyi bounds: from narrow to the marginal sd", depth=10.0,
                ),
                lambda ax: landscape(
                    first, second, plane.log_joint(model, data, first, second), ax=ax, sds=(2,),
                    gaussians={"exact": p} | {n: q for n, q in came.items() if "black" in n},
                    title="Black-box alpha: wide enough for the outlier", depth=10.0,
                ),
            ]
        },
    )  # fmt: skip
