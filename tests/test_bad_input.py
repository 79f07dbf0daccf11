"""Wrong input is an error of one sentence, before anything is computed."""

import numpy as np
import pytest
from ase import Atoms

import jaxfeat
from jaxfeat import Bispectrum, Correlations, Environment, PowerSpectrum, RadialSpectrum, cutoffs
from jaxfeat.errors import BasisError, GeometryError, SpeciesError
from jaxfeat.nulls import scan as scanning

TRIANGLE = np.asarray([[0, 0, 1.0], [0, 1.1, 0], [0.9, 0, 0]])
HYDROGENS = ["H"] * 3


def at(row, value):
    positions = TRIANGLE.copy()
    positions[row] = value
    return positions


ENVIRONMENTS = [
    ((at(1, np.nan), HYDROGENS), GeometryError, r"neighbor 1 is at \[nan, nan, nan\], which is not finite"),
    ((at(2, [np.inf, 0, 0]), HYDROGENS), GeometryError, "neighbor 2 .* not finite"),
    ((at(2, TRIANGLE[0]), HYDROGENS), GeometryError, "neighbors 0 and 2 are at the same point"),
    ((at(2, TRIANGLE[0] + 1e-9), HYDROGENS), GeometryError, "neighbors 0 and 2 are at the same point"),
    ((at(1, 0.0), HYDROGENS), GeometryError, "neighbor 1 sits on the center"),
    ((TRIANGLE[0], ["H"]), GeometryError, r"shape \(3,\); give one row of x, y, z"),
    ((TRIANGLE[:, :2], HYDROGENS), GeometryError, r"shape \(3, 2\)"),
    ((TRIANGLE, ["H", "H"]), SpeciesError, "2 species were given for 3 neighbors"),
    ((TRIANGLE, ["H", "H", "Q"]), SpeciesError, "'Q' is not a chemical element"),
    ((TRIANGLE, ["H", "H", 0]), SpeciesError, "0 is not a chemical element"),
    ((TRIANGLE, ["H", "H", 119]), SpeciesError, "119 is not a chemical element"),
    ((TRIANGLE, "HHH"), SpeciesError, "the one string 'HHH'"),
    ((TRIANGLE, HYDROGENS, "Zz"), SpeciesError, "'Zz' is not a chemical element"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), ENVIRONMENTS)
def test_environments(arguments, error, message):
    with pytest.raises(error, match=message):
        Environment.from_neighbors(*arguments)


FEATURIZERS = [
    ({"r_cut": 0.0}, BasisError, "r_cut is 0.0; it must be a positive distance"),
    ({"r_cut": -1.0}, BasisError, "r_cut is -1.0"),
    ({"r_cut": float("nan")}, BasisError, "r_cut is nan"),
    ({"r_cut": 0.9}, BasisError, "r_cut is 0.9 Å; .* exceed 1 Å"),
    ({"n_max": 0}, BasisError, "n_max is 0; .* at least 1"),
    ({"n_max": 2.5}, BasisError, "n_max is 2.5; it must be an integer"),
    ({"l_max": -1}, BasisError, "l_max is -1; .* at least 0"),
    ({"l_max": 500}, BasisError, "l_max is 500; float64 holds up to l_max = 30"),
    ({"n_max": 20, "l_max": 1}, BasisError, "20 radial functions are linearly dependent"),
    ({"sigma": 0.0}, BasisError, "sigma is 0.0; .* only radial='laplacian' takes the delta density"),
    ({"sigma": -0.3, "radial": "laplacian"}, BasisError, "sigma is -0.3; radial='laplacian' needs a positive"),
    ({"sigma": float("inf"), "radial": "gto-rascal"}, BasisError, "sigma is inf"),
    ({"radial": "chebyshev"}, BasisError, "radial is 'chebyshev'; choose one of 'gto', 'gto-rascal', 'laplacian'"),
    ({"cutoff": cutoffs.Smoothstep(5.0)}, BasisError, "width is 5 Å; it must lie above 0 and within r_cut = 4 Å"),
    ({"cutoff": cutoffs.ShiftedCosine(0.0)}, BasisError, "width is 0 Å"),
    ({"cutoff": "smooth"}, BasisError, "cutoff is 'smooth'; give a window such as jaxfeat.cutoffs.Smoothstep"),
    ({"cutoff": cutoffs.Smoothstep}, BasisError, "cutoff is <class .*Smoothstep'>; give a window"),
    ({"radial_scaling": 2.0}, BasisError, "radial_scaling is 2.0; give a jaxfeat.cutoffs.Willatt2018"),
    ({"species": ()}, SpeciesError, "name at least one species, and each only once"),
    ({"species": ("H", "H")}, SpeciesError, "name at least one species, and each only once"),
    ({"species": ("H", "Xx")}, SpeciesError, "'Xx' is not a chemical element"),
]


@pytest.mark.parametrize("kind", [RadialSpectrum, PowerSpectrum, Bispectrum])
@pytest.mark.parametrize(("options", "error", "message"), FEATURIZERS)
def test_featurizers(kind, options, error, message):
    if kind is RadialSpectrum and options.get("l_max") == 500:
        message = "l_max is 500"
    with pytest.raises(error, match=message):
        kind(**{"species": ("H",), **options})


def test_orders():
    for nu in (0, -1, 2.5):
        with pytest.raises(BasisError, match=f"nu is {nu}; the body order must be a whole number"):
            Correlations(("H",), nu=nu)
    with pytest.raises(BasisError, match="scale must be positive"):
        cutoffs.Willatt2018(0.0, 1.0, 2.0)


def test_atoms_that_the_featurizer_does_not_know():
    f = PowerSpectrum(("C", "H"), n_max=2, l_max=2)
    env = Environment.from_neighbors(TRIANGLE, ["H", "O", "N"], "C")
    for call in (f, lambda env: jaxfeat.jacobian(f, env), lambda env: jaxfeat.singular_spectrum(f, env)):
        with pytest.raises(SpeciesError, match=r"species N, O not among the featurizer's \(C, H\)"):
            call(env)
    with pytest.raises(SpeciesError, match="species O not among"):
        f(Environment.from_neighbors(TRIANGLE, HYDROGENS, "O"))
    with pytest.raises(SpeciesError, match="species O not among"):
        f(Environment.stack([Environment.from_neighbors(TRIANGLE, ["H", "H", "O"]).padded(5)]))


SMALL = PowerSpectrum(("H",), n_max=2, l_max=1)
HERE = Environment.from_neighbors(TRIANGLE, HYDROGENS)
WATER = Atoms("H3", TRIANGLE)
MOLECULE = jaxfeat.structures([WATER], 2.0)[0]
CALLS = {
    "features": lambda f, at: f(at),
    "jacobian": jaxfeat.jacobian,
    "singular_spectrum": jaxfeat.singular_spectrum,
    "null_space": jaxfeat.null_space,
    "cure": jaxfeat.cure,
}
MISMATCHES = [
    (
        SMALL,
        MOLECULE,
        "PowerSpectrum describes environments, and the input is of type Structure; take .*stacked or .*summed",
    ),
    (
        SMALL,
        WATER,
        "PowerSpectrum describes environments, and the input is of type Atoms; make .* with jaxfeat.environments",
    ),
    (SMALL, TRIANGLE, "PowerSpectrum describes environments, and the input is of type ndarray; make"),
    (
        SMALL,
        [HERE, HERE],
        "PowerSpectrum describes environments, and the input is of type list; make .*Environment.stack",
    ),
    (
        jaxfeat.stacked(SMALL),
        HERE,
        "Stacked describes structures, and the input is of type Environment; .* the map.s featurizer",
    ),
    (
        jaxfeat.summed(SMALL),
        WATER,
        "Summed describes structures, and the input is of type Atoms; make .* with jaxfeat.structures",
    ),
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(("f", "at", "message"), MISMATCHES)
def test_maps_and_inputs_that_do_not_go_together(call, f, at, message):
    with pytest.raises(GeometryError, match=message):
        CALLS[call](f, at)


@pytest.mark.parametrize("call", [name for name in CALLS if name != "features"])
def test_objects_that_are_no_featurizer(call):
    with pytest.raises(BasisError, match=r"function is no featurizer; .* jaxfeat.function"):
        CALLS[call](lambda env: env.positions[:, 0], HERE)
    with pytest.raises(BasisError, match="PowerSpectrum is a class; make a featurizer of it"):
        CALLS[call](PowerSpectrum, HERE)


SEARCHES = {
    "scan": lambda f, at: scanning.scan(f, at),
    "sweep": jaxfeat.sweep,
    "converge": jaxfeat.converge,
    "find_singular_points": jaxfeat.find_singular_points,
    "invert": lambda f, at: jaxfeat.invert(f, np.zeros((1, 9)), at),
    "trace_singular_set": lambda f, at: jaxfeat.trace_singular_set(f, at[0], length=0.1),
    "trace_quasi_constant": lambda f, at: jaxfeat.trace_quasi_constant(f, at[0], length=0.1),
}


@pytest.mark.parametrize("call", SEARCHES)
def test_searches_take_featurizers(call):
    with pytest.raises(GeometryError, match="Stacked describes structures, and the input is of type Environment"):
        SEARCHES[call](jaxfeat.stacked(SMALL), Environment.stack([HERE]))


@pytest.mark.parametrize("call", ["scan", "converge"])
def test_scans_take_environments(call):
    with pytest.raises(GeometryError, match="PowerSpectrum describes environments, and the input is of type Structure"):
        SEARCHES[call](SMALL, jaxfeat.structures([WATER], 2.0))


def test_cures_and_kernels_take_one_environment():
    with pytest.raises(GeometryError, match="cure takes one item, and got a batch of 2; index it first"):
        jaxfeat.cure(SMALL, Environment.stack([HERE, HERE]))
    with pytest.raises(
        GeometryError, match="complete_kernel takes one environment, and the input is of type Structure"
    ):
        jaxfeat.complete_kernel(MOLECULE, 2)


def test_functions():
    with pytest.raises(BasisError, match="group is 'O2'; choose 'O3' or 'SO3'"):
        jaxfeat.function(lambda r, z, m: r[:, 0], group="O2")
    with pytest.raises(BasisError, match="nu is 0"):
        jaxfeat.function(lambda r, z, m: r[:, 0], nu=0)
    env = Environment.from_neighbors(TRIANGLE, HYDROGENS)
    with pytest.raises(BasisError, match=r"returned shape \(3, 3\); it must return one axis of features"):
        jaxfeat.function(lambda r, z, m: r)(env)
    with pytest.raises(BasisError, match="it must return 2 features, as labelled"):
        jaxfeat.function(lambda r, z, m: r[:, 0], labels=2)(env)
    with pytest.raises(BasisError, match="are not named; pass `labels`"):
        _ = jaxfeat.function(lambda r, z, m: r[:, 0]).labels
    with pytest.raises(SpeciesError, match="declares no species"):
        jaxfeat.summed(jaxfeat.function(lambda r, z, m: r[:, 0]))


def test_batches():
    env = Environment.from_neighbors(TRIANGLE, HYDROGENS)
    with pytest.raises(GeometryError, match="no environments to stack"):
        Environment.stack([])
    with pytest.raises(GeometryError, match="nothing to index"):
        env[0]
    with pytest.raises(GeometryError, match="has no length"):
        len(env)
    with pytest.raises(GeometryError, match="3 neighbors does not fit into 2"):
        env.padded(2)
    assert [int(member.n_neighbors) for member in Environment.stack([env, env])] == [3, 3]


def test_a_center_without_neighbors_has_a_status():
    env = Environment.from_neighbors(np.zeros((0, 3)), [], "H")
    spectrum = jaxfeat.singular_spectrum(PowerSpectrum(("H",), n_max=2, l_max=2), env)
    assert str(spectrum.status) == "empty" and "no neighbors" in spectrum.status.message
    assert spectrum.values.shape == (0,)
