"""MAP takes a free width of the prior where the joint density is bounded in it, and only there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import posterium as ps
from posterium._struct import replace
from posterium.model import hyper

WIDTHS = [
    (ps.Normal, "precision"),
    (ps.LaplacePrior, "scale"),
    (ps.StudentTPrior, "scale"),
    (ps.SpikeAndSlab, "spike"),
    (ps.SpikeAndSlab, "slab"),
    (ps.Horseshoe, "scale"),
]
ITS_PRIORS = [ps.HalfNormal(), ps.HalfCauchy(), ps.Gamma(), ps.InverseGamma(), ps.LogNormal()]
DATA = ps.as_data(np.ones((2, 1)), np.ones(2))


def asked(prior):
    return ps.MAP().phases(ps.Model(ps.Linear(), prior, ps.Gaussian(0.5)), DATA)


def is_unbounded(prior):
    """Say whether the joint density of 10 weights at 0 still grows where its width runs off."""

    def density(raw):
        here = hyper.fill(prior, (jnp.asarray(raw),))
        return float(here.log_prob({"w": jnp.zeros(10)}) + hyper.log_prior(here))

    with jax.enable_x64(True):
        return any(density(300.0 * end) > density(200.0 * end) for end in (-1, 1))


@pytest.mark.parametrize("its_prior", ITS_PRIORS, ids=str)
@pytest.mark.parametrize(("kind", "name"), WIDTHS)
def test_a_width_is_refused_where_and_only_where_the_joint_density_grows(kind, name, its_prior):
    prior = kind(**{name: ps.learn(1.0, prior=its_prior)})
    if is_unbounded(prior):
        with pytest.raises(ValueError, match=f"prior of a free {name} that bounds"):
            asked(prior)
    else:
        asked(prior)


def test_a_floor_bounds_the_density_from_a_scale():
    free = ps.learn(1.0, floor=0.1, prior=ps.HalfCauchy())
    prior = ps.LaplacePrior(free)
    assert not is_unbounded(prior)
    asked(prior)
    with pytest.raises(ValueError, match=r"goes to infinity\. Use Gamma, HalfNormal or LogNormal"):
        asked(ps.Normal(free))


def test_a_width_is_found_in_a_part_and_in_a_tree():
    half = ps.learn(1.0, prior=ps.HalfCauchy())
    parts = ps.ByPath({"kernel": ps.Centred(ps.Horseshoe(half), {"w": np.ones(1)}), "*": ps.Flat()})
    with pytest.raises(ValueError, match="that of Horseshoe is HalfCauchy"):
        asked(parts)
    with pytest.raises(ValueError, match="that of Normal is HalfCauchy"):
        asked(ps.Normal({"kernel": ps.learn(1.0, prior=ps.Gamma()), "bias": half}))


def test_a_width_without_a_prior_is_refused_and_maximum_likelihood_asks_for_none():
    model = ps.Model(ps.Linear(), ps.Normal(ps.learn(1.0)), ps.Gaussian(0.5))
    with pytest.raises(ValueError, match="a free one with a prior of its own"):
        ps.MAP().phases(model, DATA)
    ps.MLE().phases(model, DATA)


def test_other_numbers_of_a_prior_and_priors_of_ones_own_are_taken():
    asked(ps.StudentTPrior(ps.learn(4.0, prior=ps.HalfCauchy())))

    class Own:
        def log_prob(self, value):
            return -value

    asked(ps.Normal(replace(ps.learn(1.0), prior=Own())))
