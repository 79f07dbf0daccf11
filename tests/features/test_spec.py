"""A featurizer comes back from a file bit for bit."""

import json
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from cases import CASES, REPRESENTATIVES, environments, parametrized

import jaxfeat
from jaxfeat import cutoffs
from jaxfeat.basis.radial import RADIAL_BASES
from jaxfeat.errors import BasisError, SpeciesError
from jaxfeat.features import spec as module
from jaxfeat.features.base import AbstractFeaturizer


def through_json(f):
    return jaxfeat.from_spec(json.loads(json.dumps(jaxfeat.spec(f), allow_nan=False)))


@parametrized()
def test_every_featurizer_comes_back(case):
    f = case.build()
    g = through_json(f)
    assert type(g) is type(f)
    assert g.labels == f.labels
    # What features are computed from, arrays bit for bit, and all that is static.
    assert eqx.tree_equal(f, g)
    assert jaxfeat.spec(g) == jaxfeat.spec(f)


@parametrized(REPRESENTATIVES)
def test_its_features_are_the_same_bit_for_bit(case):
    f, batch = case.build(), environments(case.species)
    np.testing.assert_array_equal(through_json(f)(batch), f(batch))


@pytest.mark.parametrize("lift", [jaxfeat.stacked, jaxfeat.summed])
def test_structure_maps_come_back(lift):
    f = lift(CASES[2].build())
    g = through_json(f)
    assert eqx.tree_equal(f, g)
    assert jaxfeat.spec(f) == {"kind": type(f).__name__, "featurizer": jaxfeat.spec(f.featurizer)}


def test_a_spec_says_what_the_constructor_was_given_with_all_digits():
    third = 1 / 3
    f = jaxfeat.Correlations(
        ("H", 6), np.float32(4.1), np.int64(2), 1, third, "laplacian", cutoffs.ShiftedCosine(0.1 + 0.2),
        cutoffs.Willatt2018(scale=1.6, rate=0, exponent=third), include_center=third, nu=4, pseudoscalars=True,
    )  # fmt: skip
    assert jaxfeat.spec(f) == {
        "kind": "Correlations",
        "species": ["H", "C"],
        "r_cut": float(np.float32(4.1)),
        "n_max": 2,
        "l_max": 1,
        "sigma": third,
        "radial": "laplacian",
        "cutoff": {"kind": "ShiftedCosine", "width": 0.1 + 0.2},
        "radial_scaling": {"kind": "Willatt2018", "scale": 1.6, "rate": 0.0, "exponent": third},
        "include_center": third,
        "weights": [1.0, 1.0],
        "nu": 4,
        "pseudoscalars": True,
    }


def test_a_spec_may_leave_out_what_has_a_default():
    assert eqx.tree_equal(jaxfeat.from_spec({"kind": "PowerSpectrum", "species": ["C"]}), jaxfeat.PowerSpectrum(("C",)))


def test_enlarged_featurizers_have_specs():
    f = CASES[2].build().with_sizes(n_max=3)
    assert jaxfeat.spec(f)["n_max"] == 3
    assert eqx.tree_equal(f, through_json(f))


def test_all_public_classes_and_options_have_a_kind():
    names = set(jaxfeat.__all__) - {"AbstractFeaturizer"}
    public = [
        cls
        for cls in (getattr(jaxfeat, name) for name in names)
        if isinstance(cls, type) and issubclass(cls, AbstractFeaturizer)
    ]
    windows = [cls for cls in vars(cutoffs).values() if isinstance(cls, type) and issubclass(cls, module.SPEC_BASES)]
    concrete = [cls for cls in windows if not cls.__name__.startswith(("Abstract", "_"))]
    assert len(public) == 7
    assert {*public, *concrete} < set(module.KINDS.values())
    for radial in RADIAL_BASES:
        assert jaxfeat.spec(jaxfeat.PowerSpectrum(("H",), n_max=1, l_max=0, radial=radial))["radial"] == radial


class Moments(AbstractFeaturizer):
    """A class of a user: sums of powers of distance."""

    exponents: tuple[int, ...] = eqx.field(static=True)
    scale: np.ndarray = eqx.field(default=1.0, converter=lambda scale: np.asarray(scale, float))
    nu: ClassVar[int] = 1
    group: ClassVar[str] = "O3"
    species: ClassVar[None] = None

    @property
    def labels(self):
        return tuple((p,) for p in self.exponents)

    def features(self, env):
        r = jnp.linalg.norm(env.positions, axis=-1) / jnp.asarray(self.scale)
        return jnp.stack([jnp.sum(jnp.where(env.mask, r**p, 0)) for p in self.exponents])


class Forgetful(Moments):
    def __init__(self, largest: int) -> None:
        self.exponents, self.scale = tuple(range(largest)), np.asarray(1.0)


def test_a_class_of_the_users_is_named_by_its_module():
    f = Moments((1, 3), 0.7)
    assert jaxfeat.spec(f) == {"kind": f"{__name__}:Moments", "exponents": [1, 3], "scale": 0.7}
    batch = environments(("H",))
    np.testing.assert_array_equal(through_json(f)(batch), f(batch))
    assert eqx.tree_equal(through_json(jaxfeat.stacked(f)), jaxfeat.stacked(f))


def test_what_no_spec_can_tell_is_said():
    class Local(Moments):
        pass

    # A quantity that was replaced is as good as one that was given, in the type that the constructor makes of it.
    changed = eqx.tree_at(lambda f: f.sigma, CASES[2].build(), np.asarray(0.4))
    assert eqx.tree_equal(jaxfeat.from_spec(jaxfeat.spec(changed)), changed)
    changed = eqx.tree_at(lambda f: f.sigma, changed, np.asarray(0.4, np.float32))
    for f, message in [
        (jaxfeat.function(lambda positions, species, mask: positions[0]), "fn is <function.*; a class of your own"),
        (Local((1,)), "Local cannot be imported"),
        (Forgetful(2), "Forgetful does not keep its argument 'largest'"),
        (Moments((1,), np.inf), "scale is inf, and a spec holds finite numbers"),
        (changed, "this PowerSpectrum was changed after its constructor made it of .*sigma.*, and no spec"),
        (3, "int has no spec"),
    ]:
        with pytest.raises(BasisError, match=message):
            jaxfeat.spec(f)


GOOD = {"kind": "PowerSpectrum", "species": ["H"], "n_max": 1, "l_max": 0}


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ("PowerSpectrum", BasisError, "a spec names a class as its 'kind', .* this is 'PowerSpectrum'"),
        ({"species": ["H"]}, BasisError, "a spec names a class as its 'kind'"),
        ({**GOOD, "kind": "SOAP"}, BasisError, "kind is 'SOAP'; choose one of RadialSpectrum, .*Stacked"),
        ({**GOOD, "kind": "no_such_module:A"}, BasisError, "'no_such_module:A', which cannot be imported here"),
        ({**GOOD, "kind": "json:Nothing"}, BasisError, "cannot be imported here: .*'Nothing'"),
        ({"kind": "os:system", "command": ":"}, BasisError, "'os:system', which is no featurizer"),
        ({"kind": "Smoothstep"}, BasisError, "kind is 'Smoothstep', a part of a featurizer"),
        ({**GOOD, "rcut": 4.0}, BasisError, "no argument 'rcut'; it takes species, r_cut, n_max, .*include_center"),
        ({**GOOD, "nu": 2}, BasisError, "PowerSpectrum has no argument 'nu'"),
        ({"kind": "Correlations", "n_max": 1}, BasisError, "Correlations needs species, nu"),
        ({**GOOD, "species": "H"}, BasisError, "species is 'H'; it must be a list"),
        ({**GOOD, "species": ["Q"]}, SpeciesError, "'Q' is not a chemical element"),
        ({**GOOD, "r_cut": "4"}, BasisError, "r_cut is '4'; it must be a number"),
        ({**GOOD, "r_cut": True}, BasisError, "r_cut is True; it must be a number"),
        ({**GOOD, "n_max": 2.0}, BasisError, "n_max is 2.0; it must be a whole number"),
        ({**GOOD, "radial": "gauss"}, BasisError, "radial is 'gauss'; choose one of 'gto'"),
        ({**GOOD, "radial": 1}, BasisError, "radial is 1; it must be a text"),
        ({**GOOD, "include_center": "no"}, BasisError, "include_center is 'no'; it must be true or false or a number"),
        ({**GOOD, "cutoff": "Smoothstep"}, BasisError, "cutoff is 'Smoothstep'; .* NoCutoff, .*, Zhu2016 or null"),
        ({**GOOD, "cutoff": {"kind": "Cosine"}}, BasisError, "cutoff: kind is 'Cosine'"),
        ({**GOOD, "cutoff": {"kind": "Smoothstep", "wide": 1}}, BasisError, "cutoff: Smoothstep has no .* 'wide'"),
        ({**GOOD, "cutoff": {"kind": "NoCutoff", "width": 1}}, BasisError, "it takes none"),
        ({**GOOD, "cutoff": {"kind": "Smoothstep", "width": "a"}}, BasisError, "cutoff: width is 'a'; .* a number"),
        ({**GOOD, "cutoff": {"kind": "Smoothstep", "width": 9}}, BasisError, "width is 9 Å"),
        ({**GOOD, "cutoff": GOOD}, BasisError, "cutoff is .* one of NoCutoff"),
        ({**GOOD, "radial_scaling": {"kind": "Willatt2018"}}, BasisError, "Willatt2018 needs scale, rate, exp"),
        ({"kind": "Summed", "featurizer": 1}, BasisError, "featurizer is 1; .* one of RadialSpectrum"),
        ({"kind": "Stacked", "featurizer": {**GOOD, "n": 1}}, BasisError, "featurizer: .* no argument 'n'"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_spec_is_said(wrong, error, message):
    with pytest.raises(error, match=message):
        jaxfeat.from_spec(wrong)
