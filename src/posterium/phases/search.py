"""Search: a descent with settings that will do where none are given."""

from typing import Any

from posterium._struct import static, struct
from posterium.driver.protocol import Phase
from posterium.model.data import Data, Stream
from posterium.model.model import Model
from posterium.phases.descent import Descent, Optimiser


@struct
class Search:
    """Weights by Adam, as far as its steps get.

    Parameters
    ----------
    steps
        Steps of Adam; the learning rate decays to 0 over them.
    learning_rate
        The highest rate.
    batch_size
        Rows a step; None for all.
    """

    steps: int = static(default=2000)
    learning_rate: Any = 1e-2
    batch_size: int | None = static(default=None)

    def phases(self, model: Model, data: Data | Stream) -> tuple[Phase, ...]:
        optimiser = Optimiser("adam", self.learning_rate, "cosine")
        return (Descent(optimiser, self.steps, self.batch_size),)
