r"""Adjusted microcanonical Monte Carlo: trajectories of constant speed, accepted or not.

.. math:: \min(1, e^{-\Delta}), \qquad
   \Delta = (d - 1) \log \left( \cosh\delta + e \cdot u \sinh\delta \right) - \Delta \log p(w, y)

Directions u are drawn afresh, a random number of steps of the dynamics of `MCLMC` follows without
its noise, and the end is accepted with the probability above, whose first term is summed over the
turns e, delta of the trajectory (Robnik, Cohn-Gordon and Seljak 2025).
"""

from typing import Any, ClassVar

from posterium._struct import static, struct
from posterium.driver.protocol import Phase
from posterium.model.data import Data
from posterium.model.model import Model
from posterium.numerics.mcmc.microcanonical import Isokinetic
from posterium.numerics.mcmc.tuning import Acceptance, Tuning
from posterium.phases.chains import chained
from posterium.phases.checks import check, check_directions, check_settings


@struct
class AdjustedMCLMC:
    """Draws from the posterior itself, by microcanonical trajectories.

    Free hyper-parameters are sampled with the weights and need a prior.

    Parameters
    ----------
    warmup
        Transitions of each chain that tune and are not kept.
    draws
        Draws kept of each chain.
    chains
        Chains side by side.
    thin
        Transitions between two draws that are kept.
    target_accept
        Acceptance rate that the step size is steered to; raise it against divergences.
    mass
        ``"diagonal"``, or ``"start"``: that of the Gaussian the chains start from, as in
        ``StartFrom(AdjustedMCLMC(mass="start"), Laplace())``.
    start
        Where chains begin: at draws from the ``"prior"``, or as the ``"network"`` starts its
        training. `StartFrom(AdjustedMCLMC(), Ensemble(MAP(), 4))` begins at fitted members.
    """

    warmup: int = static(default=1000)
    draws: int = static(default=1000)
    chains: int = static(default=4)
    thin: int = static(default=1)
    target_accept: Any = 0.9
    mass: str = static(default="diagonal")
    start: str = static(default="prior")

    precision: ClassVar[str] = "float64"

    def __post_init__(self) -> None:
        check_settings(self, ("diagonal", "start"))

    def phases(self, model: Model, data: Data) -> tuple[Phase, ...]:
        if not 0 < float(self.target_accept) < 1:
            raise ValueError(f"target_accept must be between 0 and 1; got {self.target_accept}.")
        check(model, data, self.start)
        check_directions(model, data)
        return chained(self, Isokinetic(), Tuning(Acceptance(self.target_accept)))
