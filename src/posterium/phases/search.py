"""Search: the descent to a mode from which methods go on when no other is named."""

from typing import Any

from posterium._struct import static, struct
from posterium.driver.protocol import Phase
from posterium.model.data import Data, Stream
from posterium.model.model import Model
from posterium.phases.descent import Descent, Optimiser


@struct
class Search:
    """Where a method looks for a mode when not told: by gradients, as far as they get.

    What is left to gain `Laplace` judges where it takes the curvature. With kinked activations
    (relu) a mode may lie on a kink, where the gradient never vanishes.

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
