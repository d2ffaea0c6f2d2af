"""Methods by name: what `method="..."` means in an estimator and on the command line.

A name stands for a method with settings that suit a standardised table of a given size, and for
what parts of the model that are not given are then; `resolve` puts them together.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from posterium._struct import replace
from posterium.combinators.bootstrap import Bootstrap
from posterium.combinators.ensemble import Ensemble
from posterium.combinators.evidence import Evidence
from posterium.combinators.likelihoods import (
    Target,
    gaussian,
    heavy_tailed,
    heteroscedastic,
)
from posterium.combinators.randomised_prior import RandomisedPrior
from posterium.combinators.start import StartFrom
from posterium.combinators.subset import Subset
from posterium.methods.adjusted_mclmc import AdjustedMCLMC
from posterium.methods.chees import ChEES
from posterium.methods.exact import Exact
from posterium.methods.hmc import HMC
from posterium.methods.ivon import IVON
from posterium.methods.laplace import Laplace
from posterium.methods.map import MAP
from posterium.methods.mc_dropout import MCDropout
from posterium.methods.mclmc import MCLMC
from posterium.methods.nuts import NUTS
from posterium.methods.parallel_tempering import ParallelTempering
from posterium.methods.pbp import PBP
from posterium.methods.snapshot import Snapshot
from posterium.methods.swag import SWAG
from posterium.methods.vi import VI
from posterium.model.hyper import learn

DEEP = (32, 32, 32)
"""Hidden layers where a mode is all that is sought."""

SHALLOW = (50,)
"""Hidden layer where a whole posterior is sought."""

NARROW = (16,)
"""Hidden layer where every step goes over all rows many times."""

PAIR = (16, 16)
"""Hidden layers where chains explore the modes of an ensemble."""

SMALL = 4000
"""Up to so many rows, a table gets small batches."""

WEAK = 1 / 16
"""Prior precision of methods that find modes, times the fan-in."""


@dataclass(frozen=True)
class Entry:
    """A method by name.

    Parameters
    ----------
    summary
        What it does, in a line.
    make
        Called with the number of rows; returns the method.
    tasks
        What it can be used for.
    noise
        Called with what is known of the target; returns the default likelihood of a regression.
    sampled
        Whether free hyper-parameters are drawn with the weights, and need densities.
    precision
        Called for the default prior precision.
    hidden
        Widths of the hidden layers of the default network; None for a model that is linear in
        its weights.
    activation
        That of the default network.
    dropout
        Rate at which its hidden units are dropped; None for never.
    """

    summary: str
    make: Callable[[int], Any]
    tasks: tuple[str, ...] = ("regression", "classification")
    noise: Callable[[Target], Any] = heteroscedastic
    sampled: bool = False
    precision: Callable[[], Any] = lambda: 1.0
    hidden: tuple[int, ...] | None = SHALLOW
    activation: str = "silu"
    dropout: float | None = None


def weak() -> float:
    """Return a prior precision that only keeps weights from running away."""
    return WEAK


def tuned() -> Any:
    """Return a prior precision that is put at maximum evidence."""
    return learn(1.0)


def descent(rows: int, **settings: Any) -> MAP:
    """Return the descent that suits a table of so many rows, stopped early on a tenth of them."""
    small = rows <= SMALL
    given: dict[str, Any] = {
        "steps": 4000 if small else 8000,
        "batch_size": 64 if small else 256,
        "warmup": 0.05,
        "validation": 0.1,
        "patience": None,
    }
    return MAP(**given | settings)


def _mode(rows: int) -> MAP:
    """Return a descent that comes near a mode of all rows."""
    small = rows <= SMALL
    return MAP(steps=5000, batch_size=None if small else 512, warmup=0.05)


def _laplace(rows: int, structure: str = "full") -> Evidence:
    return Evidence(Laplace(structure, at=_mode(rows)), rounds=2)


def _last_layer(rows: int) -> Subset:
    return Subset(Evidence(Laplace(at=_mode(rows)), rounds=2), rest=descent(rows))


def _starts(rows: int) -> Ensemble:
    """Return modes for chains to start from."""
    return Ensemble(MAP(steps=2000, batch_size=64 if rows <= SMALL else 256, warmup=0.05), 4)


def _langevin_ensemble(rows: int) -> StartFrom:
    chains = MCLMC(warmup=1000, draws=100, thin=10, chains=8, energy_variance=0.02, apart=True)
    return StartFrom(chains, Ensemble(descent(rows, steps=2000), 8))


def _ivon(rows: int) -> IVON:
    small = rows <= SMALL
    return IVON(steps=20_000 if small else 30_000, batch_size=64 if small else 256)


def _vi(rows: int) -> VI:
    small = rows <= SMALL
    return VI(steps=20_000 if small else 30_000, batch_size=64 if small else 256, init_scale=0.01)


def _swag(rows: int) -> SWAG:
    # By Adam: a rate of plain descent that suits one table diverges where the noise is small.
    return SWAG(
        steps=4000, optimiser="adam", learning_rate=1e-3, batch_size=32 if rows <= SMALL else 256,
        at=_mode(rows),
    )  # fmt: skip


def _snapshot(rows: int) -> Snapshot:
    return Snapshot(cycles=6, steps=1000, batch_size=64 if rows <= SMALL else 256)


ENTRIES: dict[str, Entry] = {
    "default": Entry(
        "the default: an ensemble of six networks, each stopped early on rows of its own",
        lambda rows: Ensemble(descent(rows), 6),
        noise=heavy_tailed,
        precision=weak,
        hidden=DEEP,
    ),
    "ensemble": Entry(
        "a deep ensemble of five networks, each stopped early on rows of its own",
        lambda rows: Ensemble(descent(rows), 5),
        precision=weak,
        hidden=DEEP,
    ),
    "exact": Entry(
        "exact Bayesian linear regression at maximum evidence",
        lambda rows: Evidence(Exact()),
        tasks=("regression",),
        noise=gaussian,
        precision=tuned,
        hidden=None,
    ),
    "map": Entry(
        "one network at the mode of the posterior, stopped early on held-out rows",
        descent,
        precision=weak,
        hidden=DEEP,
    ),
    "mle": Entry(
        "one network at maximum likelihood, stopped early on held-out rows",
        lambda rows: descent(rows, use_prior=False),
        hidden=DEEP,
    ),
    "laplace": Entry(
        "a Gaussian at a mode, prior precision and noise at maximum evidence",
        _laplace,
        noise=gaussian,
        precision=tuned,
    ),
    "laplace-kronecker": Entry(
        "a Gaussian at a mode of a deeper network, by Kronecker factors, at maximum evidence",
        lambda rows: _laplace(rows, "kronecker"),
        noise=gaussian,
        precision=tuned,
        hidden=DEEP,
    ),
    "laplace-last-layer": Entry(
        "a Gaussian over the last layer of a network, the rest at its mode",
        _last_layer,
        precision=tuned,
        hidden=DEEP,
    ),
    "laplace-ensemble": Entry(
        "five Laplace approximations from different starts",
        lambda rows: Ensemble(_laplace(rows), 5),
        noise=gaussian,
        precision=tuned,
    ),
    "mc-dropout": Entry(
        "one network trained and predicted under random masks that drop its units",
        lambda rows: MCDropout(descent(rows)),
        precision=weak,
        hidden=DEEP,
        dropout=0.05,
    ),
    "vi": Entry(
        "a Gaussian with independent weights, fitted to the evidence lower bound",
        _vi,
        noise=gaussian,
    ),
    "ivon": Entry(
        "the same Gaussian as vi, by natural gradients (IVON)",
        _ivon,
        noise=gaussian,
    ),
    "swag": Entry(
        "a Gaussian with the moments of the iterates of a descent (SWAG)",
        _swag,
        noise=gaussian,
    ),
    "multi-swag": Entry(
        "five such Gaussians from different starts",
        lambda rows: Ensemble(_swag(rows), 5),
        noise=gaussian,
    ),
    "swa": Entry(
        "one network, the average of the iterates of a descent (SWA)",
        lambda rows: replace(_swag(rows), rank=None),
        noise=gaussian,
    ),
    "bootstrap": Entry(
        "six networks, each on rows drawn again, and stopped early on rows that were not drawn",
        lambda rows: Ensemble(Bootstrap(descent(rows)), 6),
        precision=weak,
        hidden=DEEP,
    ),
    "randomised-prior": Entry(
        "six such networks, each drawn to a draw from the prior: far from each other without data",
        lambda rows: Ensemble(RandomisedPrior(Bootstrap(descent(rows)), targets=False), 6),
        hidden=DEEP,
    ),
    "snapshot": Entry(
        "six networks from one training in cycles",
        _snapshot,
        noise=gaussian,
    ),
    "pbp": Entry(
        "probabilistic back-propagation: rows taken in one by one, no learning rate",
        lambda rows: PBP(),
        tasks=("regression",),
        noise=gaussian,
        precision=tuned,
        activation="relu",
    ),
    "hmc": Entry(
        "draws from the posterior by Hamiltonian Monte Carlo, four chains",
        lambda rows: StartFrom(HMC(), _starts(rows)),
        noise=gaussian,
        sampled=True,
        hidden=NARROW,
    ),
    "nuts": Entry(
        "draws from the posterior by the no-U-turn sampler, four chains",
        lambda rows: StartFrom(NUTS(warmup=500, draws=500), _starts(rows)),
        noise=gaussian,
        sampled=True,
        hidden=NARROW,
    ),
    "chees": Entry(
        "draws from the posterior by many short chains of equal cost, for accelerators (ChEES-HMC)",
        lambda rows: StartFrom(ChEES(), _starts(rows)),
        noise=gaussian,
        sampled=True,
        hidden=NARROW,
    ),
    "adjusted-mclmc": Entry(
        "draws from the posterior by microcanonical trajectories, four chains",
        lambda rows: StartFrom(AdjustedMCLMC(), _starts(rows)),
        noise=gaussian,
        sampled=True,
        hidden=NARROW,
    ),
    "mclmc": Entry(
        "an ensemble of eight chains, each from a network stopped early (microcanonical Langevin)",
        _langevin_ensemble,
        sampled=True,
        hidden=PAIR,
    ),
    "tempering": Entry(
        "draws from a posterior with separated modes, by parallel tempering from the prior",
        lambda rows: ParallelTempering(chains=8, rungs=24),
        noise=gaussian,
        sampled=True,
        hidden=NARROW,
    ),
}
