"""How the draws behind a predictive came about: what the error of an average over them rests on."""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from posterium.posterior.functions import members
from posterium.posterior.posterior import Mixture, Point, Samples


@dataclass(frozen=True)
class Sampling:
    """How draws came about; they are in order of members.

    Parameters
    ----------
    members
        Members of a mixture, 1 where there is none. Draws of one member stand together.
    chains
        Chains that a sampler ran for each member; their draws take turns. 0 where the draws of a
        member are independent.
    exact
        Nothing is drawn within a member: it is known in closed form, or is one set of weights.
    """

    members: int = 1
    chains: int = 0
    exact: bool = False

    @classmethod
    def of(cls, posterior: Any, *, closed: bool) -> "Sampling":
        """Return how draws of a posterior come about, or a prediction in `closed` form."""
        count, inner, depth = members(posterior), posterior, 0
        while isinstance(inner, Mixture):
            inner, depth = inner.parts, depth + 1
        if isinstance(inner, Samples):
            return cls(count, np.shape(jax.tree.leaves(inner.draws)[0])[depth])
        return cls(count, exact=closed or isinstance(inner, Point))

    def __str__(self) -> str:
        whole = "1 member" if self.members == 1 else f"{self.members} members"
        if self.exact:
            return "exact" if self.members == 1 else f"{whole}, each exact"
        each = "independent draws"
        if self.chains:
            each = "draws of 1 chain" if self.chains == 1 else f"draws of {self.chains} chains"
        return each if self.members == 1 else f"{whole}, {each}"
