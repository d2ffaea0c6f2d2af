r"""Microcanonical Langevin Monte Carlo: walks at a speed that never changes, without acceptance.

.. math:: \dot z = u, \qquad
   \dot u = (I - u u^\top) \left( \frac{\nabla_z \log p(w, y)}{d - 1} + \eta \dot W \right),
   \qquad w = M^{-1/2} z

The direction u, of unit length in d dimensions, is turned by the gradient, and by noise so that it
is forgotten over a length L (Robnik, De Luca, Silverstein and Seljak 2023). Step size, mass and
length are tuned in three stages.
"""

from typing import Any, ClassVar

import numpy as np

from posterium._struct import static, struct
from posterium.driver.protocol import Phase
from posterium.model.data import Data
from posterium.model.model import Model
from posterium.numerics.mcmc.microcanonical import Langevin
from posterium.numerics.mcmc.tuning import EnergyError, Tuning
from posterium.phases.chains import chained
from posterium.phases.checks import check, check_directions, check_settings


@struct
class MCLMC:
    """Draws close to the posterior, two gradients a step, for up to some ten thousand weights.

    No step is refused: what the integrator errs, the draws err. The bias is small where the error
    of the energy is, and `energy_variance` bounds that; `AdjustedMCLMC` has none. float32 will do,
    since its rounding is far below the error that is allowed. Free hyper-parameters are sampled
    with the weights and need a prior.

    ``StartFrom(MCLMC(chains=8, apart=True), Ensemble(MAP(), 8))`` is a microcanonical Langevin
    ensemble (Sommer et al. 2025): each chain explores the mode of one member.

    Parameters
    ----------
    warmup
        Steps of each chain that tune and are not kept.
    draws
        Draws kept of each chain.
    chains
        Chains side by side.
    thin
        Steps between two draws that are kept; a step is a small one.
    energy_variance
        Variance of the energy's error in a step, per dimension, that the step size is steered to;
        the bias falls with it.
    mass
        ``"diagonal"``, or ``"start"``: that of the Gaussian the chains start from, as in
        ``StartFrom(MCLMC(mass="start"), Laplace())``.
    start
        Where chains begin: at draws from the ``"prior"``, or as the ``"network"`` starts its
        training.
    apart
        Whether chains may hold modes of their own, as members of an ensemble do: that they disagree
        is then a warning, and no failure.
    """

    warmup: int = static(default=2000)
    draws: int = static(default=1000)
    chains: int = static(default=4)
    thin: int = static(default=10)
    energy_variance: Any = 5e-4
    mass: str = static(default="diagonal")
    start: str = static(default="prior")
    apart: bool = static(default=False)

    precision: ClassVar[str] = "float32"

    def __post_init__(self) -> None:
        check_settings(self, ("diagonal", "start"))

    def phases(self, model: Model, data: Data) -> tuple[Phase, ...]:
        if not 0 < float(self.energy_variance) < np.inf:
            raise ValueError(
                "energy_variance must be positive and finite, such as 5e-4; got "
                f"{self.energy_variance}."
            )
        check(model, data, self.start)
        check_directions(model, data)
        return chained(self, Langevin(), Tuning(EnergyError(self.energy_variance)))
