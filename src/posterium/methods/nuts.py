r"""The no-U-turn sampler: Hamiltonian Monte Carlo whose trajectories find their own length.

.. math:: H(w, m) = -\log p(w, y) + \tfrac12 m^\top M^{-1} m

A trajectory of leapfrog steps doubles, forwards or backwards at random, until it turns back on
itself; the next draw is one of its points, with probability proportional to exp(-H) and a bias to
the far end (Hoffman and Gelman 2014; multinomial choice of Betancourt 2017; iterative form of
Phan, Pradhan and Jankowiak 2019). Step size and mass come from Stan's windows of adaptation.
"""

from typing import Any, ClassVar

from posterium._struct import static, struct
from posterium.driver.protocol import Phase
from posterium.model.data import Data
from posterium.model.model import Model
from posterium.numerics.mcmc.hamiltonian import NoUTurn
from posterium.numerics.mcmc.windows import windows
from posterium.phases.chains import chained
from posterium.phases.checks import check, check_settings
from posterium.phases.modes import check_modes


@struct
class NUTS:
    """Draws from the posterior itself, for up to some thousand weights and rows.

    On accelerators all chains wait for the longest of their trajectories. Free hyper-parameters are
    sampled with the weights and need a prior. Four chains that start apart are what the verdict
    lives on: with one, or with all started at one point, it sees less.

    Parameters
    ----------
    warmup
        Transitions of each chain that adapt and are not kept.
    draws
        Draws kept of each chain.
    chains
        Chains side by side.
    thin
        Transitions between two draws that are kept.
    target_accept
        Acceptance rate that the step size is steered to; raise it against divergences.
    max_depth
        Doublings of a trajectory at most.
    mass
        ``"diagonal"``, ``"dense"`` (correlated posteriors of up to some hundred weights),
        ``"low_rank"`` (a diagonal, and up to ten directions across it), or ``"start"``: that of the
        Gaussian the chains start from, as in ``StartFrom(NUTS(mass="start"), Laplace())``, so that
        50 transitions of warm-up will do; with 150 or more, its scale along each of its own axes
        goes on adapting, which free hyper-parameters need.
    start
        Where chains begin: at draws from the ``"prior"``, or as the ``"network"`` starts its
        training. `StartFrom(NUTS(), Ensemble(MAP(), 4))` begins at fitted members.
    modes
        Draws from the prior from which modes are looked for that the chains missed; 0 for none.
        None takes 32 for small networks under a Gaussian prior, where there may be several, and 0
        for others.
    """

    warmup: int = static(default=1000)
    draws: int = static(default=1000)
    chains: int = static(default=4)
    thin: int = static(default=1)
    target_accept: Any = 0.8
    max_depth: int = static(default=10)
    mass: str = static(default="diagonal")
    start: str = static(default="prior")
    modes: int | None = static(default=None)

    precision: ClassVar[str] = "float64"

    def __post_init__(self) -> None:
        check_settings(self)

    def phases(self, model: Model, data: Data) -> tuple[Phase, ...]:
        check(model, data, self.start)
        kernel = NoUTurn(self.max_depth)
        adaptation = windows(self.target_accept, self.mass)
        return *chained(self, kernel, adaptation), *check_modes(self.modes, model, data)
