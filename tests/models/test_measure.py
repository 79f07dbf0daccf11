"""The probe of a model names each invariance that it lacks, finds its floor, and refuses a wrong Jacobian."""

from functools import cache

import jax
import numpy as np
import pytest
from ase import Atoms
from model_cases import LITMUS, evaluate_with, model_of

import jaxfeat
from jaxfeat.errors import GeometryError, ModelError

POWER = jaxfeat.PowerSpectrum(("C", "H"), r_cut=4.0, n_max=4, l_max=4)
GENERIC = LITMUS + 0.05 * np.random.default_rng(3).normal(size=LITMUS.shape)


@cache
def methane():
    return jax.tree.map(np.asarray, jaxfeat.structures(Atoms("CH4", GENERIC), POWER))


def with_term(term):
    """Add a function of positions `(n, 3)` and of the index of a center to all features."""
    term, slope = jax.jit(term), jax.jit(jax.jacfwd(term))

    def evaluate(structure):
        x, slopes = evaluate_with(POWER)(structure)
        added = [np.asarray(term(structure.positions, int(c))) for c in structure.center]
        steeper = [np.asarray(slope(structure.positions, int(c))) for c in structure.center]
        return x + np.asarray(added)[:, None], slopes + np.asarray(steeper)[:, None]

    return evaluate


def from_centroid(positions, c):
    return positions[c] - positions.mean(0)


def handed(positions, c):
    a, b, d = ((p - positions[c]) / 4 for p in (positions[(c + 1) % 5], positions[(c + 2) % 5], positions[(c + 3) % 5]))
    return 1e-2 * a @ jax.numpy.cross(b, d)


BROKEN = {
    "translations": lambda x, c: 1e-2 * x[c, 0] ** 2,
    "rotations": lambda x, c: 1e-2 * from_centroid(x, c)[0] ** 2,
    "exchanges of like atoms": lambda x, c: 1e-2 * ((x[1] - x[2]) ** 2).sum(),
}


@pytest.mark.parametrize("motion", BROKEN)
def test_a_model_that_lacks_an_invariance_is_told_so_with_the_number(motion):
    m = jaxfeat.external(with_term(BROKEN[motion]), reach=4.0, nu=2)
    found = jaxfeat.null_space(m, methane(), center=0)
    probe = m.model.probe
    assert not probe.invariant and motion in probe.defect
    response = {"translations": probe.translation, "rotations": probe.rotation}.get(motion, probe.exchange)
    assert 1e-3 < response < 1 and f"{response:.1e}" in found.reason and motion in found.reason
    assert found.status == "ambiguous"
    assert found.counts == {**dict.fromkeys(found.counts, 0), "rigid": 6, "other": found.other}
    assert found.near == ()


def test_a_planar_molecule_has_no_symmetry_classes_if_the_model_is_not_invariant():
    planar = [[0, 0, 0], [1.0, 0, 0], [-0.4, 0.95, 0], [-0.6, -0.9, 0]]
    ammonia = jaxfeat.structures(Atoms("NH3", planar), r_cut=4.0)
    f = jaxfeat.PowerSpectrum(("H", "N"), r_cut=4.0, n_max=4, l_max=4)

    def evaluate(structure):
        x, slopes = evaluate_with(f)(structure)
        # The height over the plane is a null direction of a function that is even in it.
        z = structure.positions[:, 2] - structure.positions[:, 2].mean()
        return x + 0.1 * (z**2).sum(), slopes + 0.2 * z[:, None] * np.array([0.0, 0, 1])

    sound = jaxfeat.null_space(model_of(f), ammonia, center=0)
    broken = jaxfeat.null_space(jaxfeat.external(evaluate, reach=4.0, nu=2), ammonia, center=0)
    assert (sound.rigid, sound.symmetry, sound.other) == (6, 1, 0)
    assert (broken.rigid, broken.symmetry, broken.other) == (6, 0, 1)


def test_mirror_images_tell_the_groups_apart():
    plain, chiral = (jaxfeat.external(evaluate, reach=4.0) for evaluate in (evaluate_with(POWER), with_term(handed)))
    # Indices of neighbors are exchanged with like atoms, so only the carbon's handed term is kept invariant.
    for m, group in ((plain, "O3"), (chiral, "SO3")):
        probe = jaxfeat.probe(m, methane())
        assert probe.group == m.group == group
        assert (probe.reflection > 1e-5) == (group == "SO3")
        assert f"reflection = {probe.reflection:.0e}" in repr(probe)
    declared = jaxfeat.external(with_term(handed), reach=4.0, group="O3")
    assert "reflections" in jaxfeat.probe(declared, methane()).defect


def test_a_wrong_jacobian_is_refused_with_its_error():
    factors = np.ones((POWER.n_features, 1, 1))
    factors[0] = 1.05  # One feature has a wrong derivative.
    wrong = evaluate_with(POWER, jacobian=lambda s, x, j: j * factors)
    with pytest.raises(ModelError, match=r"differences of the features by \d\.\de-0[2-4] of its length"):
        jaxfeat.jacobian(jaxfeat.external(wrong, reach=4.0), methane())
    m = jaxfeat.external(evaluate_with(POWER, jacobian=lambda s, x, j: j * (1 + 1e-6 * factors)), reach=4.0)
    for _ in range(2):  # A refused model stays refused.
        with pytest.raises(ModelError, match=r"by \d\.\de-06 of its length, in float64"):
            jaxfeat.singular_spectrum(m, methane())


def test_the_floor_of_a_float32_model_is_its_own():
    single, double = (jaxfeat.external(evaluate_with(POWER, dtype=t), reach=4.0, nu=2) for t in (np.float32, float))
    exact, rounded = (jaxfeat.singular_spectrum(m, methane(), center=0) for m in (double, single))
    probe = single.model.probe
    assert probe.dtype == "float32" and 32 * np.finfo(np.float32).eps <= probe.floor < 1e-3
    assert 1 <= float(rounded.floor) / (probe.floor * float(rounded.values[0])) < 2
    assert np.abs(exact.values - rounded.values).max() < float(rounded.floor)
    assert float(exact.floor) < 1e-11
    litmus = jaxfeat.structures(Atoms("CH4", LITMUS), POWER)
    counts = [jaxfeat.null_space(m, litmus, center=0).incompleteness for m in (single, double)]
    assert counts == [1, 1]
    # An environment whose least value is below the floor has one more null direction, and float64 sees it.
    close = LITMUS + np.array([[0.0, 0, 0], [1e-7, 2e-7, 0], [0, 0, 0], [0, 1e-7, 0], [0, 0, 0]])
    near = jaxfeat.structures(Atoms("CH4", close), POWER)
    n_null = [int(jaxfeat.singular_spectrum(m, near, center=0).n_null) for m in (single, double)]
    assert n_null == [1, 0]


def test_errors_that_weak_columns_share_raise_the_floor_of_equilibrated_spectra():
    """Errors of equal size in all columns are large beside the columns of an atom of hardly any weight."""
    far = np.vstack([GENERIC[:4], [[-3.2, 0.3, 0.2]]])
    structure = jaxfeat.structures(Atoms("CH4", far), POWER)
    noise = 1e-7

    def even(structure, x, slopes):
        rng = np.random.default_rng(abs(hash(structure.positions.tobytes())) % 2**32)
        return slopes + noise * rng.normal(size=slopes.shape)

    m = jaxfeat.external(evaluate_with(POWER, lambda s, x, j: x.astype(np.float32), even, np.float32), reach=4.0)
    spectrum = jaxfeat.singular_spectrum(m, structure, True, center=0)
    probe = m.model.probe
    assert probe.share > 0.1
    weight = float(np.min(np.asarray(spectrum.scale)) / np.max(np.asarray(spectrum.scale)))
    assert weight < 0.1
    assert float(spectrum.floor) >= probe.floor * probe.share / weight / np.sqrt(3) * 0.99


def test_probes_by_hand():
    m = model_of(POWER)
    with pytest.raises(GeometryError, match="one structure"):
        jaxfeat.probe(m, jaxfeat.environments(Atoms("CH4", LITMUS), POWER))
    with pytest.raises(ModelError, match="needs no probe"):
        jaxfeat.probe(POWER, methane())
    assert "group unknown" in repr(m)
    probe = jaxfeat.probe(m, methane())
    assert probe.invariant and probe.dtype == "float64" and probe.derivative < 1e-8
    assert max(probe.translation, probe.rotation, probe.reflection, probe.exchange) < 1e-13
    assert probe.floor < 1e-12 and probe.share == 0 and m.model.probe is probe
    assert "56 features" not in repr(m) and f"{POWER.n_features} features, float64" in repr(m)
    alone = jaxfeat.structures(Atoms("C", [[0, 0, 0]]), POWER)
    assert np.isnan(jaxfeat.probe(model_of(POWER), alone).rotation)
