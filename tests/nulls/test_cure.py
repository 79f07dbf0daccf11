"""Each cure is tried against the featurizer that it names."""

import re

import jax.numpy as jnp
import numpy as np
import pytest
from null_cases import TETRAHEDRON, on_locus, pair_positions

import jaxfeat
from jaxfeat import Cure, Environment, PowerSpectrum, cure, manifolds, null_space
from jaxfeat.errors import BasisError
from jaxfeat.nulls.cure import OWN_SENSITIVITY, describe_cure, describe_cures, describe_near, explain_null_space

POWER = PowerSpectrum(("C", "H"), n_max=2, l_max=5)


def environment(positions, room=4):
    return Environment.from_neighbors(np.asarray(positions, float), ["H"] * len(positions), "C").padded(room)


def test_the_basis_that_lifts_truncation_is_the_smallest_that_does():
    f = PowerSpectrum(("C", "H"), n_max=2, l_max=3)
    directions = np.random.default_rng(7).normal(size=(4, 3))
    env = environment(1.09 * directions / np.linalg.norm(directions, axis=1, keepdims=True))
    assert null_space(f.with_sizes(l_max=4), env).truncation == 1
    assert null_space(f.with_sizes(l_max=5), env).truncation == 0
    assert cure(f, env) == {"truncation": Cure("truncation", 2, sizes={"l_max": 5})}


def test_distances_are_lifted_by_radial_functions_alone():
    f = jaxfeat.RadialSpectrum(("H",), n_max=2, include_center=False)
    positions = np.asarray([(0.9, 0.1, 0), (0, 1.2, 0.2), (0.3, 0, 1.5), (-1.1, -1.0, -1.0)])
    env = Environment.from_neighbors(positions, ["H"] * 4)
    null = null_space(f, env)
    assert null.truncation == 2 and null_space(f.with_sizes(n_max=3), env).truncation == 1
    assert cure(f, env, null)["truncation"] == Cure("truncation", 2, sizes={"n_max": 4})


def test_the_order_that_lifts_incompleteness():
    assert cure(POWER, manifolds.pair_family(*on_locus(6), 1)) == {"incompleteness": Cure("incompleteness", 1, order=3)}
    ring = manifolds.ring_pair(1.2, [0.0, 1.1, -1.1], 0.6, 0.7, 1.3, 1)
    found = cure(POWER, ring)["incompleteness"]
    assert found == Cure("incompleteness", 6, order=4, reason="ν = 3 leaves 1 of 6")


def test_an_order_that_sees_by_rounding_only_is_no_cure():
    """Six neighbors on a sphere, 3e-5 Å from an octahedron: no products coincide, but features hardly see that."""
    f = jaxfeat.RadialSpectrum(("C", "H"), n_max=2)
    directions = np.concatenate([np.eye(3), -np.eye(3)]) + 3e-5 * np.random.default_rng(0).normal(size=(6, 3))
    env = environment(1.3 * directions / np.linalg.norm(directions, axis=1, keepdims=True), room=6)
    null = null_space(f, env)
    assert (null.status, null.symmetry, null.incompleteness, null.nullity) == ("ok", 2, 12, 17)
    assert jaxfeat.complete_kernel(env, 3).nullity == 3
    found = cure(f, env)["incompleteness"]
    assert found.order == 3 and re.fullmatch(r"ν = 2 sees 12 by \de-\d\d only", found.reason)


def test_symmetry_is_named_and_left_alone():
    assert cure(POWER, environment(TETRAHEDRON)) == {"symmetry": Cure("symmetry", 8, symbol="T_d")}
    line = environment([(0, 0, 1.0), (0, 0, -1.2), (0, 0, 1.9)])
    found = cure(POWER, line)["symmetry"]
    assert found.symbol == "C_∞v" and found.directions > 0


def test_reach_weight_and_doubt():
    near = np.random.default_rng(0).normal(size=(3, 3))
    assert cure(POWER, environment([*near, (0, 0, 4.5)])) == {"locality": Cure("locality", 3)}
    (found,) = cure(POWER, environment([*near, (0, 0, 3.98)])).items()
    assert found[0] == "cutoff"
    assert found[1].reason.startswith(
        "a neighbor is within 0.1 Å of r_cut, the farthest within 2e-02 Å; σ_min/σ_max is "
    )
    rough = environment(TETRAHEDRON + 1e-7 * np.eye(4)[:, :3])
    assert cure(POWER, rough) == {"symmetry": Cure("symmetry", 4, symbol="T_d")}
    assert null_space(POWER, rough).symmetry == 4


def test_what_cannot_be_enlarged_says_so():
    f = jaxfeat.function(lambda x, species, mask: (x * x).sum() * jnp.arange(1.0, 13.0), nu=1)
    assert f.sizes == {}
    with pytest.raises(BasisError, match="no basis to enlarge"):
        f.with_sizes(l_max=3)
    found = cure(f, environment(np.random.default_rng(1).normal(size=(4, 3))))
    assert found["truncation"].sizes is None and "larger basis of the same order" in found["truncation"].reason


def test_larger_featurizers_are_what_they_would_be_if_built():
    options = {"pseudoscalars": True, "sigma": 0.4, "radial": "laplacian", "r_cut": 3.5}
    f, built = (jaxfeat.Bispectrum(("C", "H"), n_max=n, l_max=2, **options) for n in (1, 2))
    larger = f.with_sizes(n_max=2)
    assert larger.labels == built.labels and larger.sizes == {"n_max": 2, "l_max": 2} and f.sizes["n_max"] == 1
    env = environment(TETRAHEDRON)
    np.testing.assert_array_equal(larger(env), built(env))


# --- in words ---


SENTENCES = {
    "locality: a larger r_cut lifts it": Cure("locality", 3),
    "symmetry (T_d): physics": Cure("symmetry", 8, symbol="T_d"),
    "symmetry: physics": Cure("symmetry", 8),
    "incompleteness: ν = 3 lifts it": Cure("incompleteness", 1, order=3),
    "incompleteness: ν = 4 lifts it (ν = 3 leaves 1 of 6)": Cure(
        "incompleteness", 6, order=4, reason="ν = 3 leaves 1 of 6"
    ),
    "incompleteness: ν = 4 does not lift it": Cure("incompleteness", 1, reason="ν = 4 does not lift it"),
    "truncation: l_max >= 7 lifts it": Cure("truncation", 1, sizes={"l_max": 7}),
    "truncation: l_max >= 7 with n_max >= 5 lifts it": Cure("truncation", 1, sizes={"l_max": 7, "n_max": 5}),
    "ambiguous: why": Cure("ambiguous", reason="why"),
}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_each_cure_is_one_sentence(sentence):
    assert describe_cure(SENTENCES[sentence]) == sentence


def test_several_cures_are_joined_by_semicolons():
    both = {one.cause: one for one in (Cure("symmetry", 2, symbol="C_s"), Cure("truncation", 1, sizes={"n_max": 9}))}
    assert describe_cures(both) == "symmetry (C_s): physics; truncation: n_max >= 9 lifts it"


def test_near_points_are_described_with_their_distance(monkeypatch):
    """Symmetry is physics. Other directions are lifted, at the point as everywhere else."""
    rng = np.random.default_rng(0)
    near = [environment(x + 1e-5 * rng.normal(size=(4, 3))) for x in (TETRAHEDRON, pair_positions(*on_locus(6)))]
    for env, pattern in zip(
        near,
        (r"nearly T_d, within \de-0[56] Å: physics", r"nearly incomplete at ν = 2, within \de-0[56] Å: ν = 3 lifts it"),
        strict=True,
    ):
        (group,) = null_space(POWER, env).near
        assert re.fullmatch(pattern, describe_near(group)) and re.fullmatch(pattern, explain_null_space(POWER, env))
    generic = environment([(0.9, 0.1, 0.2), (-0.3, 1.2, 0.1), (0.2, -0.4, 1.4), (-0.8, -0.7, -0.6)])
    assert explain_null_space(POWER, generic) == ""
    monkeypatch.setattr("jaxfeat.nulls.cure.WORTH_EXPLAINING", 1.0)
    generic_sentence = OWN_SENSITIVITY.format("environment")
    assert explain_null_space(POWER, generic) == generic_sentence
    # Next to the cutoff nothing is said of neighbors that are seen well enough.
    assert explain_null_space(POWER, environment([*np.asarray(generic.positions)[:3], (0, 0, 3.7)])) == generic_sentence


def test_too_many_neighbors_for_a_basis_name_the_changes_that_help(monkeypatch):
    """Each gain is that of the least sensitivity, with all neighbors weighted alike."""
    rng = np.random.default_rng(4)
    directions = rng.normal(size=(14, 3))
    positions = rng.uniform(1.0, 2.6, (14, 1)) * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    f = PowerSpectrum(("C", "H"), n_max=4, l_max=4)
    env = environment(positions, room=14)
    assert cure(f, env) == {}
    monkeypatch.setattr("jaxfeat.nulls.cure.SMALL_SENSITIVITY", 1e-3)
    found = cure(f, env)["resolution"]
    assert "14 neighbors are many for this basis" in found.reason and found.gains
    assert list(found.gains.values()) == sorted(found.gains.values(), reverse=True)
    here = null_space(f, env).sensitivity[1]
    larger = {"n_max = 6": f.with_sizes(n_max=6), "l_max = 6": f.with_sizes(l_max=6)}
    tried = {change: null_space(g, env).sensitivity[1] / here for change, g in larger.items()}
    for change, gain in tried.items():
        assert found.gains.get(change, 0) == (pytest.approx(gain, rel=1e-3) if gain >= 3 else 0), change
    assert describe_cure(found).startswith(f"resolution: {found.reason}; {next(iter(found.gains))} (")


def test_reprs_show_the_numbers():
    assert repr(Cure("truncation", 2, sizes={"l_max": 7})) == "Cure(truncation, 2 directions, lifted by l_max >= 7)"
    assert repr(Cure("symmetry", 1, symbol="T_d")) == "Cure(symmetry, 1 direction, T_d)"
    assert repr(Cure("incompleteness", 1, order=3)) == "Cure(incompleteness, 1 direction, lifted by ν = 3)"
