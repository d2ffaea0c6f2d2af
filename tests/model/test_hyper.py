"""Free hyper-parameters between two bounds."""

import jax
import numpy as np
import pytest
from scipy import stats

from posterium.model.hyper import learn


class Beta:
    """A density between the bounds, of SciPy's own."""

    def log_prob(self, value):
        return jax.scipy.stats.beta.logpdf(value, 2.0, 3.0, 0.5, 1.5)


def test_a_value_between_bounds_starts_there_and_stays_there():
    free = learn(0.7, floor=0.5, ceiling=2.0)
    assert np.isclose(free.value, 0.7)
    for raw in (-1e3, -3.0, 5.0, 1e3):
        assert 0.5 <= type(free)(np.float64(raw), 0.5, None, 2.0).value <= 2.0
    assert repr(free) == "learn(0.7, floor=0.5, ceiling=2)"


def test_the_density_of_raw_integrates_to_1():
    free = learn(0.7, floor=0.5, prior=Beta(), ceiling=2.0)
    raw = np.linspace(-30, 30, 4001)
    with jax.enable_x64(True):
        log_density = jax.vmap(lambda r: type(free)(r, 0.5, Beta(), 2.0).log_prior())(raw)
    np.testing.assert_allclose(np.trapezoid(np.exp(log_density), raw), 1, rtol=1e-6)
    assert stats.beta(2, 3, 0.5, 1.5).cdf(2.0) == 1


def test_a_start_at_or_above_the_ceiling_is_refused():
    with pytest.raises(ValueError, match="below its ceiling"):
        learn(1.0, ceiling=1.0)
