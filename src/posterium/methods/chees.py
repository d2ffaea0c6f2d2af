r"""ChEES-HMC: Hamiltonian Monte Carlo whose many chains agree on one length of trajectories.

.. math:: \max_L \; \tfrac14 E\bigl[(|w' - \bar w'|^2 - |w - \bar w|^2)^2\bigr]

with w' the end of a trajectory that begins at w: the change in the estimator of the expected square
(Hoffman, Radul and Sountsov 2021). All chains take the same number of leapfrog steps, a share of L
that differs from one transition to the next; step size, mass and L come from all chains together.
"""

from typing import Any, ClassVar

from posterium._struct import static, struct
from posterium.driver.protocol import Phase
from posterium.model.data import Data
from posterium.model.model import Model
from posterium.numerics.mcmc.chees import CrossChain, Dynamic
from posterium.phases.chains import chained
from posterium.phases.checks import check, check_counts, check_settings
from posterium.phases.modes import check_modes


@struct
class ChEES:
    """Draws from the posterior itself, by many short chains side by side.

    For accelerators, where chains of `NUTS` wait for the longest of their trajectories and these do
    not; and for `HMC` without a length to choose. One step size and mass serve all chains, so they
    should be in one mode, or in modes of one scale. Free hyper-parameters are sampled with the
    weights and need a prior.

    Parameters
    ----------
    warmup
        Transitions of each chain that adapt and are not kept.
    draws
        Draws kept of each chain.
    chains
        Chains side by side, at least 2; what they learn together is noisy with fewer than 16.
    thin
        Transitions between two draws that are kept.
    target_accept
        Harmonic mean of acceptance rates that the step size is steered to; raise it against
        divergences.
    mass
        ``"diagonal"``, or ``"start"``: that of the Gaussian the chains start from, as in
        ``StartFrom(ChEES(mass="start"), Laplace())``.
    start
        Where chains begin: at draws from the ``"prior"``, or as the ``"network"`` starts its
        training. `StartFrom(ChEES(), Ensemble(MAP(), 4))` begins at fitted members.
    modes
        Draws from the prior from which modes are looked for that the chains missed; 0 for none.
        None takes 32 for small networks under a Gaussian prior, where there may be several, and 0
        for others.
    """

    warmup: int = static(default=500)
    draws: int = static(default=250)
    chains: int = static(default=32)
    thin: int = static(default=1)
    target_accept: Any = 0.651
    mass: str = static(default="diagonal")
    start: str = static(default="prior")
    modes: int | None = static(default=None)

    precision: ClassVar[str] = "float64"

    def __post_init__(self) -> None:
        check_settings(self, ("diagonal", "start"))
        check_counts(2, chains=self.chains)

    def phases(self, model: Model, data: Data) -> tuple[Phase, ...]:
        check(model, data, self.start)
        sampling = chained(self, Dynamic(), CrossChain(self.target_accept))
        return *sampling, *check_modes(self.modes, model, data)
