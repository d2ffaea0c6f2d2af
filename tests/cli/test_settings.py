"""`--set`: fields by path, kinds of values, and what is refused."""

import pytest

from posterium.cli.settings import apply_settings, names
from posterium.combinators.ensemble import Ensemble
from posterium.combinators.evidence import Evidence
from posterium.methods.exact import Exact
from posterium.methods.map import MAP
from posterium.methods.vi import VI
from posterium.tables.errors import UserError


def test_a_setting_is_found_by_path_or_in_what_a_method_wraps():
    method = Ensemble(MAP(), 5)
    expected = Ensemble(MAP(steps=7), 3)
    assert apply_settings(method, ["of.steps=7", "members=3"]) == expected
    assert apply_settings(method, ["steps=7", "members=3"]) == expected
    assert apply_settings(Ensemble(method, 2), ["of.of.steps=7"]).of.of.steps == 7
    assert apply_settings(Ensemble(method, 2), ["steps=7", "of.members=4"]).of.of.steps == 7


def test_the_method_given_is_left_as_it_was():
    method = MAP()
    apply_settings(method, ["steps=7"])
    assert method == MAP()


@pytest.mark.parametrize(
    ("setting", "field", "value"),
    [
        ("learning_rate=1e-3", "learning_rate", 1e-3),
        ("learning_rate=1", "learning_rate", 1),
        ("optimiser=sgd", "optimiser", "sgd"),
        ('optimiser="sgd"', "optimiser", "sgd"),
        ("batch_size=null", "batch_size", None),
        ("batch_size = 8", "batch_size", 8),
        ("clip=2.5", "clip", 2.5),
        ("clip=null", "clip", None),
        ("use_prior=false", "use_prior", False),
        ("betas=[0.5, 0.9]", "betas", (0.5, 0.9)),
        ("polish=lbfgs", "polish", "lbfgs"),
    ],
)
def test_a_value_is_json_or_a_word(setting, field, value):
    changed = getattr(apply_settings(MAP(batch_size=4), [setting]), field)
    assert changed == value
    assert type(changed) is type(value)


def test_a_field_of_several_kinds_takes_each():
    assert apply_settings(VI(), ["means=zero"]).means == "zero"
    assert apply_settings(VI(), ["means=0.5"]).means == 0.5


@pytest.mark.parametrize(
    "setting",
    [
        "steps=ten", "steps=1.5", "steps=true", "steps=-1", "steps=", "steps=[1]", "steps={}",
        "learning_rate=fast", "learning_rate=NaN", "learning_rate=Infinity", "learning_rate=-1",
        "optimiser=3", "use_prior=1", "betas=[1]", "betas=0.5", "batch_size=0.5",
        f"steps={2**31}", f"steps={10**400}", f"learning_rate={10**400}",
    ],
)  # fmt: skip
def test_a_value_of_another_kind_is_refused_with_the_one_there_is(setting):
    with pytest.raises(UserError) as caught:
        apply_settings(MAP(), [setting])
    what, fix = caught.value.args
    assert setting.partition("=")[0] in what
    assert " now." in fix


@pytest.mark.parametrize("setting", ["bogus=1", "of.bogus=1", "of=1", "steps.of=1", "=1", "steps"])
def test_an_unknown_key_is_refused_with_the_keys_there_are(setting):
    with pytest.raises(UserError) as caught:
        apply_settings(Ensemble(MAP(), 5), [setting])
    assert "of.steps" in caught.value.args[1]
    assert "members" in caught.value.args[1]


def test_a_value_the_method_refuses_is_told_with_its_reason():
    with pytest.raises(UserError, match="members must be at least 1"):
        apply_settings(Ensemble(MAP(), 5), ["members=0"])


def test_a_wrapped_method_without_settings_is_none_itself():
    assert names(Evidence(Exact())) == ["rounds", "steps", "by"]
    with pytest.raises(UserError, match="no such setting"):
        apply_settings(Evidence(Exact()), ["of=1"])


def test_names_are_all_paths():
    assert names(Ensemble(MAP(), 5)) == [*(f"of.{name}" for name in names(MAP())), "members"]
