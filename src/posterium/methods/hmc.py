r"""Hamiltonian Monte Carlo with a random number of leapfrog steps.

.. math:: H(w, m) = -\log p(w, y) + \tfrac12 m^\top M^{-1} m

Momenta are drawn afresh, 1 to `leapfrog` steps of the leapfrog rule follow (each number equally
likely), and the end is accepted with probability min(1, exp(H_start - H_end)) (Neal 2011). Step
size and mass come from Stan's windows of adaptation.
"""

from typing import Any, ClassVar

from posterium._struct import static, struct
from posterium.driver.protocol import Phase
from posterium.model.data import Data
from posterium.model.model import Model
from posterium.numerics.mcmc.hamiltonian import Trajectory
from posterium.numerics.mcmc.windows import windows
from posterium.phases.chains import chained
from posterium.phases.checks import check, check_settings
from posterium.phases.modes import check_modes


@struct
class HMC:
    """Draws from the posterior itself, at a known cost a draw.

    The length of trajectories is up to you: with the mass adapted, about 1.5 divided by the step
    size is a good mean number of leapfrog steps. Free hyper-parameters need a prior.

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
    leapfrog
        Leapfrog steps of a trajectory at most; the mean is half of that.
    mass
        ``"diagonal"``, ``"dense"`` (correlated posteriors of up to some hundred weights),
        ``"low_rank"`` (a diagonal, and up to ten directions across it), or ``"start"``: that of the
        Gaussian the chains start from, as in ``StartFrom(HMC(mass="start"), Laplace())``, so that
        50 transitions of warm-up will do; with 150 or more, its scale along each of its own axes
        goes on adapting, which free hyper-parameters need.
    start
        Where chains begin: at draws from the ``"prior"``, or as the ``"network"`` starts its
        training. `StartFrom(HMC(), Ensemble(MAP(), 4))` begins at fitted members.
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
    leapfrog: int = static(default=16)
    mass: str = static(default="diagonal")
    start: str = static(default="prior")
    modes: int | None = static(default=None)

    precision: ClassVar[str] = "float64"

    def __post_init__(self) -> None:
        check_settings(self)

    def phases(self, model: Model, data: Data) -> tuple[Phase, ...]:
        check(model, data, self.start)
        kernel = Trajectory(self.leapfrog)
        adaptation = windows(self.target_accept, self.mass)
        return *chained(self, kernel, adaptation), *check_modes(self.modes, model, data)
