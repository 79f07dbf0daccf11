"""The contract of a JAX toolkit: each featurizer under each transformation, values against plain ones, derivatives
against finite differences.

The full product would take hours. Each featurizer meets each transformation, with one of the quantities in turn;
numbers of neighbors go from 1 to 9, so that both sides of every size at which another way is taken are met. That types
and ranks never mix holds for all tests (conftest).
"""

import os
import subprocess
import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from references import richardson_derivative

import jaxfeat
from jaxfeat.errors import DerivativeError

R_CUT = 4.0
BASIS = {"r_cut": R_CUT, "n_max": 2, "l_max": 1, "sigma": 0.5}


class Moments(eqx.Module):
    """A function of the user's own, with a parameter."""

    width: np.ndarray

    def __call__(self, positions, species, mask):
        s = jnp.sum(positions**2, -1)
        weights = jnp.where(mask, jnp.exp(-s / (2 * jnp.asarray(self.width, s.dtype) ** 2)), 0)
        moments = [weights * s**k * jnp.where(species == 1, 1, 2).astype(s.dtype) for k in range(3)]
        dots = jnp.matmul(positions, positions.T, precision="highest")
        pairs = [weights @ dots**k @ weights for k in (1, 2, 3, 4)]
        return jnp.stack([*(jnp.sum(m) for m in moments), *pairs])


FEATURIZERS = {
    "radial spectrum": lambda: jaxfeat.RadialSpectrum(("C", "H"), **BASIS),
    "power spectrum": lambda: jaxfeat.PowerSpectrum(("C", "H"), **BASIS),
    "bispectrum": lambda: jaxfeat.Bispectrum(("H",), **BASIS),
    "bispectrum with pseudoscalars": lambda: jaxfeat.Bispectrum(("H",), pseudoscalars=True, **BASIS),
    "correlations of four": lambda: jaxfeat.Correlations(("H",), nu=4, **BASIS),
    "function": lambda: jaxfeat.function(Moments(np.asarray(1.5)), species=("C", "H")),
    "stacked": lambda: jaxfeat.stacked(jaxfeat.PowerSpectrum(("C", "H"), **BASIS)),
    "summed": lambda: jaxfeat.summed(jaxfeat.PowerSpectrum(("C", "H"), **BASIS)),
}
NAMES = list(FEATURIZERS)

QUANTITIES = {
    "features": lambda f, at: f(at),
    "jacobian": jaxfeat.jacobian,
    "singular_spectrum": lambda f, at: jaxfeat.singular_spectrum(f, at).values,
}


def place(name, n, seed=0):
    """A center with n neighbors, as an environment or as a molecule."""
    rng = np.random.default_rng([n, seed])
    directions = rng.normal(size=(n, 3))
    radii = np.linspace(0.8, 1.8, n) + 0.1 * rng.random(n)
    positions = radii[:, None] * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    both = name in ("radial spectrum", "power spectrum", "function", "stacked", "summed")
    symbols = [("H", "C")[k % 2 if both else 0] for k in range(n)]
    if name in ("stacked", "summed"):
        return jaxfeat.structures(Atoms(["C", *symbols], np.vstack([np.zeros(3), positions])), R_CUT)
    return jaxfeat.Environment.from_neighbors(positions, symbols, "H")


def of_positions(name, quantity, n):
    """A quantity as a function of positions, and two sets of these."""
    f, at = FEATURIZERS[name](), place(name, n)
    xs = jnp.stack([jnp.asarray(place(name, n, seed).positions) for seed in (0, 1)])
    # A structure's cell is of the type of its positions.
    cast = lambda leaf, x: leaf.astype(x.dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf  # noqa: E731
    return lambda x: quantity(f, jax.tree.map(lambda leaf: cast(leaf, x), at).with_positions(x)), xs


def neighbors(name, shift):
    """One of 1 to 9, another one for each featurizer and shift."""
    return (NAMES.index(name) + 4 * shift) % 9 + 1


# --- values ----------------------------------------------------------------------------------------------------------

OUTSIDE = {
    "jit": lambda g, xs: jnp.stack(list(map(jax.jit(g), xs))),
    "vmap": lambda g, xs: jax.vmap(g)(xs),
    "vmap of jit": lambda g, xs: jax.vmap(jax.jit(g))(xs),
    "checkpoint": lambda g, xs: jnp.stack(list(map(jax.checkpoint(g), xs))),
}
INSIDE = {
    "jit of vmap": lambda g, xs: jax.vmap(g)(xs),
    "jit of jit": lambda g, xs: jnp.stack([jax.jit(g)(x) for x in xs]),
    "scan": lambda g, xs: jax.lax.scan(lambda carry, x: (carry, g(x)), None, xs)[1],
    "map": lambda g, xs: jax.lax.map(g, xs),
    "jit of checkpoint": lambda g, xs: jax.checkpoint(jax.vmap(g))(xs),
}


@pytest.mark.parametrize("name", NAMES)
def test_values_are_the_same_under_each_transformation(name):
    """Inside jit all transformations of one quantity make one program. Outside, quantities take turns."""
    turn = NAMES.index(name)
    for number, (which, quantity) in enumerate(QUANTITIES.items()):
        g, xs = of_positions(name, quantity, neighbors(name, number))
        plain = [np.asarray(g(x)) for x in xs]
        found = {key: OUTSIDE[key](g, xs) for k, key in enumerate(OUTSIDE) if (k + turn) % 3 == number}
        if turn % 3 == number:
            found |= jax.jit(lambda xs, g=g: {key: transformed(g, xs) for key, transformed in INSIDE.items()})(xs)
        for transformation, values in found.items():
            for one, wanted in zip(np.asarray(values), plain, strict=True):
                assert_close(one[: len(wanted)], wanted, 1e-12, f"{which} under {transformation}")


def assert_close(found, wanted, tolerance, what):
    assert np.isfinite(wanted).all(), what
    error, scale = np.abs(found - wanted).max(initial=0), np.abs(wanted).max(initial=0)
    assert error <= tolerance * scale, f"{what}: {error} of {scale}"


# --- derivatives -----------------------------------------------------------------------------------------------------


def along(derivative, direction):
    return jnp.tensordot(derivative, direction, direction.ndim)


FIRST = {
    "grad": lambda g, x, u, w: along(jax.grad(lambda x: along(g(x), w))(x), u),
    "jacrev": lambda g, x, u, w: along(along(jax.jacrev(g)(x), u), w),
    "jacfwd": lambda g, x, u, w: along(along(jax.jacfwd(g)(x), u), w),
    "jvp": lambda g, x, u, w: along(jax.jvp(g, (x,), (u,))[1], w),
    "vjp": lambda g, x, u, w: along(jax.vjp(g, x)[1](w)[0], u),
    "jit of grad": lambda g, x, u, w: along(jax.jit(jax.grad(lambda x: along(g(x), w)))(x), u),
    "grad of jit": lambda g, x, u, w: along(jax.grad(jax.jit(lambda x: along(g(x), w)))(x), u),
    "vmap of grad": lambda g, x, u, w: along(jax.vmap(jax.grad(lambda x: along(g(x), w)))(jnp.stack([x, x]))[1], u),
    "grad of vmap": lambda g, x, u, w: along(
        jax.grad(lambda xs: along(jax.vmap(g)(xs), jnp.stack([0 * w, w])))(jnp.stack([x + u, x]))[1], u
    ),
    "grad of scan": lambda g, x, u, w: along(
        jax.grad(lambda x: jax.lax.scan(lambda sums, x: (sums + along(g(x), w), None), 0 * x[0, 0], x[None])[0])(x), u
    ),
    "grad of map": lambda g, x, u, w: along(jax.grad(lambda x: along(jax.lax.map(g, x[None])[0], w))(x), u),
    "grad of checkpoint": lambda g, x, u, w: along(jax.grad(lambda x: along(jax.checkpoint(g)(x), w))(x), u),
}


def hessian(g, x, u, w):
    return along(along(jax.hessian(lambda x: along(g(x), w))(x), u), u)


def compared(name, quantity, n, derivatives, *, second=False):
    """Derivatives along one direction, of one weighted sum of results, with finite differences."""
    g, (x, _) = of_positions(name, quantity, n)
    values = jax.jit(g)
    rng = np.random.default_rng(n)
    u = jnp.asarray(rng.normal(size=x.shape))
    u = u / jnp.linalg.norm(u)
    shape = jax.eval_shape(g, x).shape
    w = jnp.asarray(rng.normal(size=shape))
    slopes = richardson_derivative(lambda x: values(jnp.asarray(x)), np.asarray(x), np.asarray(u), step=0.02)
    wanted, scale = float(along(jnp.asarray(slopes), w)), float(np.linalg.norm(slopes) * np.linalg.norm(w))
    # One program of all: what they have in common is compiled once.
    found = jax.jit(lambda x: {which: derivative(g, x, u, w) for which, derivative in derivatives.items()})(x)
    for which, derivative in found.items():
        assert abs(float(derivative) - wanted) <= 1e-8 * scale, f"{which} with {n} neighbors"
    if second:
        curved = richardson_derivative(lambda x: values(jnp.asarray(x)), np.asarray(x), np.asarray(u), 2, step=0.05)
        wanted, scale = float(along(jnp.asarray(curved), w)), float(np.linalg.norm(curved) * np.linalg.norm(w))
        assert abs(float(jax.jit(lambda x: hessian(g, x, u, w))(x)) - wanted) <= 1e-7 * scale, (
            f"hessian with {n} neighbors"
        )


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_of_features_and_jacobians_are_finite_differences(name):
    """Every other transformation with features, the others with Jacobians: the other way round for the next one."""
    turn = NAMES.index(name)
    half = [dict(list(FIRST.items())[k::2]) for k in (turn % 2, 1 - turn % 2)]
    compared(name, QUANTITIES["features"], neighbors(name, 1), half[0], second=True)
    compared(name, QUANTITIES["jacobian"], neighbors(name, 2), half[1])


@pytest.mark.parametrize("name", ["power spectrum", "stacked"])
def test_derivatives_need_no_jit(name):
    g, (x, _) = of_positions(name, QUANTITIES["jacobian"], 2)
    total = lambda x: jnp.sum(g(x) ** 2)  # noqa: E731
    found = {"grad": jax.grad(total)(x), "vmap": jax.vmap(jax.grad(total))(x[None])[0], "jacfwd": jax.jacfwd(total)(x)}
    wanted = np.asarray(jax.jit(jax.grad(total))(x))
    for which, gradient in found.items():
        assert_close(np.asarray(gradient), wanted, 1e-12, which)


@pytest.mark.parametrize("n", [2, 5, 6])
def test_jacobians_of_structures_have_second_derivatives(n):
    """Up to five neighbors centers go side by side, and one by one from there on."""
    compared("stacked", QUANTITIES["jacobian"], n, {}, second=True)


def test_derivatives_by_strain_are_finite_differences():
    crystal = Atoms("CH", [[0.1, 0, 0], [1.2, 0.8, 1.1]], cell=[[2.2, 0.1, 0], [0, 2.4, 0.2], [0.3, 0, 2.6]], pbc=True)
    structure = jaxfeat.structures(crystal, 2.5)
    f = jaxfeat.stacked(jaxfeat.PowerSpectrum(("C", "H"), **{**BASIS, "r_cut": 2.5}))
    direction = np.asarray([[0.5, 0.2, -0.3], [0.2, -0.4, 0.1], [-0.3, 0.1, 0.7]])

    def strained(quantity):
        def of_strain(t):
            stretch = np.eye(3) + t * direction
            moved = eqx.tree_at(
                lambda s: (s.positions, s.cell), structure, (structure.positions @ stretch, structure.cell @ stretch)
            )
            return quantity(f, moved)

        return of_strain

    for quantity in (lambda f, at: jnp.sum(f(at) ** 2), jaxfeat.log_sensitivity):
        g = jax.jit(strained(quantity))
        exact = richardson_derivative(lambda t, g=g: g(jnp.asarray(t)), np.asarray(0.0), np.asarray(1.0), step=0.01)
        np.testing.assert_allclose(jax.jit(jax.grad(g))(jnp.asarray(0.0)), exact, rtol=1e-7)
        np.testing.assert_allclose(jax.jit(jax.jacfwd(g))(jnp.asarray(0.0)), exact, rtol=1e-7)


# --- what has no derivative, and what has one ------------------------------------------------------------------------


@pytest.mark.parametrize("turn, mode", list(enumerate(["grad", "jacrev", "jacfwd", "jvp", "vjp"])))
def test_spectra_refuse_derivatives(turn, mode):
    name, n = ("power spectrum", "stacked")[turn % 2], (4, 7)[turn // 2 % 2]
    for how in ({}, {"screened": True}, {"equilibrated": True, "directions": False}):
        quantity = lambda f, at, how=how: jaxfeat.singular_spectrum(f, at, **how).values  # noqa: E731
        g, (x, _) = of_positions(name, quantity, n)
        with pytest.raises(DerivativeError, match="log_sensitivity"):
            FIRST[mode](g, x, x, jnp.ones(jax.eval_shape(g, x).shape))


def test_spectra_of_held_positions_are_constants():
    f, env = FEATURIZERS["power spectrum"](), place("power spectrum", 2)

    def weighed(x):
        spectrum = jaxfeat.singular_spectrum(f, env.with_positions(jax.lax.stop_gradient(x)))
        return jnp.sum(f(env.with_positions(x))) * spectrum.values[0]

    plain = jax.grad(lambda x: jnp.sum(f(env.with_positions(x))))(env.positions)
    largest = float(jaxfeat.singular_spectrum(f, env).values[0])
    assert_close(np.asarray(jax.grad(weighed)(env.positions)), largest * np.asarray(plain), 1e-12, "held")


SENSITIVE = ["power spectrum", "bispectrum with pseudoscalars", "function", "stacked"]


@pytest.mark.parametrize("name", SENSITIVE)
def test_log_sensitivity_is_that_of_the_spectrum_and_has_derivatives(name):
    equilibrated = SENSITIVE.index(name) % 2 == 0
    turn = SENSITIVE.index(name)
    quantity = lambda f, at: jaxfeat.log_sensitivity(f, at, equilibrated)  # noqa: E731
    f, at = FEATURIZERS[name](), place(name, 2)
    value = quantity(f, at)
    np.testing.assert_allclose(value, np.log(jaxfeat.singular_spectrum(f, at, equilibrated).ratio), rtol=1e-10)
    some = {which: FIRST[which] for k, which in enumerate(FIRST) if (k + turn) % 4 == 0}
    compared(name, quantity, 2, some)
    with pytest.raises(DerivativeError):
        jax.hessian(lambda x: quantity(f, at.with_positions(x)))(at.positions)


def test_log_sensitivity_has_derivatives_by_the_featurizer():
    env = place("function", 2)

    def closed(width):
        return jaxfeat.log_sensitivity(jaxfeat.function(lambda *at: Moments(width)(*at)), env)

    def own(width):
        return jaxfeat.log_sensitivity(jaxfeat.function(Moments(width)), env)

    width = jnp.asarray(1.5)
    exact = richardson_derivative(lambda w: own(jnp.asarray(w)), np.asarray(1.5), np.asarray(1.0), step=0.02)
    for which in (closed, own):
        np.testing.assert_allclose(jax.grad(which)(width), exact, rtol=1e-8)
        np.testing.assert_allclose(jax.jacfwd(jax.jit(which))(width), exact, rtol=1e-8)


def test_log_sensitivity_of_a_batch_and_of_what_has_no_derivative():
    f = FEATURIZERS["power spectrum"]()
    symmetric = jaxfeat.Environment.from_neighbors([[0, 0, 1.1], [0, 0, -1.1]], ["H", "C"], "C")
    batch = jaxfeat.Environment.stack([place("power spectrum", 2), symmetric, place("power spectrum", 1)])
    total = lambda x: jaxfeat.log_sensitivity(f, batch.with_positions(x))  # noqa: E731
    values, gradients = np.asarray(total(batch.positions)), jax.jacrev(total)(batch.positions)
    # Atoms on a line: displacements across it change no feature.
    assert values[1] == -np.inf and not np.asarray(gradients[1]).any()
    assert values[2] == 0 and np.abs(gradients[2]).max() < 1e-15
    one = batch[0]
    alone = jax.grad(lambda x: jaxfeat.log_sensitivity(f, one.with_positions(x)))(one.positions)
    np.testing.assert_allclose(gradients[0, 0], alone, rtol=1e-9)
    empty = jaxfeat.Environment.from_neighbors(np.zeros((0, 3)), [], "C")
    assert np.isnan(jaxfeat.log_sensitivity(f, empty))
    assert jax.grad(lambda x: jaxfeat.log_sensitivity(f, empty.with_positions(x)))(empty.positions).shape == (0, 3)


# --- what is traced --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_featurizers_may_be_traced_and_environments_closed_over(name):
    f, at = FEATURIZERS[name](), place(name, neighbors(name, 3))

    def every(f, at):
        return {which: quantity(f, at) for which, quantity in QUANTITIES.items()}

    plain = eqx.filter_jit(lambda at: every(f, at))(at)
    by_featurizer = eqx.filter_jit(lambda f: every(f, at))(f)
    for which, wanted in plain.items():
        assert_close(np.asarray(by_featurizer[which]), np.asarray(wanted), 1e-12, which)
    if name in ("function", "stacked"):
        neither = jax.jit(lambda: every(f, at))()
        for which, wanted in plain.items():
            assert_close(np.asarray(neither[which]), np.asarray(wanted), 1e-12, which)


def test_functions_may_close_over_what_is_traced():
    env = place("function", 3)

    def total(quantity):
        return lambda width: jnp.sum(quantity(jaxfeat.function(lambda *at: Moments(width)(*at)), env))

    for quantity in (QUANTITIES["features"], QUANTITIES["jacobian"]):
        g = total(quantity)
        # Without jit each call would compile anew, for a function that closes over another number.
        compiled = jax.jit(g)
        exact = richardson_derivative(
            lambda w, compiled=compiled: compiled(jnp.asarray(w)), np.asarray(1.5), np.asarray(1.0), step=0.02
        )
        np.testing.assert_allclose(jax.grad(g)(jnp.asarray(1.5)), exact, rtol=1e-8)
    widths = jnp.asarray([1.4, 1.5])
    g = total(QUANTITIES["singular_spectrum"])
    np.testing.assert_allclose(jax.vmap(g)(widths), [g(width) for width in widths], rtol=1e-12)


# --- precision and modes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_float32_stays_float32_with_64_bits_and_without(name):
    n = neighbors(name, 4)
    quantity = QUANTITIES["jacobian" if name in ("power spectrum", "stacked") else "features"]

    def both():
        # Anew for each mode: JAX refuses a NumPy array that it has met with another number of bits.
        g, (x, _) = of_positions(name, quantity, n)
        return jax.jit(lambda x: (g(x), jax.grad(lambda x: jnp.sum(g(x) ** 2))(x))), x

    double, x = both()
    wanted, x32 = double(x), np.asarray(x, np.float32)

    def single(function):
        for one, exact in zip(function(jnp.asarray(x32)), wanted, strict=True):
            assert one.dtype == np.float32
            assert_close(np.asarray(one, float), np.asarray(exact), 1e-4, f"float32 with {n} neighbors")

    single(double)
    jax.config.update("jax_enable_x64", False)
    try:
        single(both()[0])
    finally:
        jax.config.update("jax_enable_x64", True)
    np.testing.assert_array_equal(both()[0](x)[0], wanted[0])


@pytest.mark.parametrize("name", NAMES)
def test_no_nan_appears_on_the_way(name):
    g, (x, _) = of_positions(name, QUANTITIES["features"], neighbors(name, 5))
    spectrum, (y, _) = of_positions(name, QUANTITIES["singular_spectrum"], 3)
    with jax.debug_nans(True):
        assert np.isfinite(jax.grad(lambda x: jnp.sum(g(x) ** 2))(x)).all()
        # Outside jit there is room for the direction more that collinear atoms have, and NaN where it is not taken.
        assert np.isfinite(jax.jit(spectrum)(y)).all()


@pytest.mark.parametrize("name", NAMES)
def test_nothing_hangs_on_jit(name):
    g, (x, _) = of_positions(name, QUANTITIES["features"], 2)
    plain = np.asarray(g(x))
    with jax.disable_jit():
        assert_close(np.asarray(g(x)), plain, 1e-12, "features without jit")


def test_jacobians_and_spectra_do_not_hang_on_jit_either():
    for name, which in (("stacked", "jacobian"), ("power spectrum", "singular_spectrum")):
        g, (x, _) = of_positions(name, QUANTITIES[which], 2)
        plain = np.asarray(g(x))
        with jax.disable_jit():
            assert_close(np.asarray(g(x)), plain, 1e-12, f"{which} without jit")


# --- two devices -----------------------------------------------------------------------------------------------------


def gradient(quantity):
    return lambda f, at: jax.grad(lambda x: quantity(f, at.with_positions(x)))(at.positions)


def on_two_devices():
    """Run in a process of its own, which has two devices: quantities of several featurizers, under shard_map."""
    assert jax.device_count() == 2
    axis = jax.sharding.PartitionSpec("i")
    mesh = jax.sharding.Mesh(np.asarray(jax.devices()), ("i",))
    more = {
        "its gradient": gradient(jaxfeat.log_sensitivity),
        "a gradient of the jacobian": gradient(lambda f, at: jnp.sum(jaxfeat.jacobian(f, at) ** 2)),
    }
    cases = {
        "power spectrum": ("singular_spectrum", "its gradient"),
        "bispectrum": ("jacobian",),
        "function": ("features",),
        "stacked": ("singular_spectrum", "a gradient of the jacobian"),
    }
    for name, quantities in cases.items():
        for which in quantities:
            g, xs = of_positions(name, {**QUANTITIES, **more}[which], 6 if name == "stacked" else 2)
            together = jax.jit(jax.shard_map(jax.vmap(g), mesh=mesh, in_specs=axis, out_specs=axis))(xs)
            # Plain calls need no second program.
            alone = [g(x) for x in xs] if which in QUANTITIES else jax.jit(jax.vmap(g))(xs)
            for one, wanted in zip(np.asarray(together), map(np.asarray, alone), strict=True):
                assert_close(one[: len(wanted)], wanted, 1e-12, (name, which))


def test_two_devices_share_a_batch():
    environment = {
        **os.environ,
        "JAX_NUM_CPU_DEVICES": "2",
        "JAX_ENABLE_X64": "1",
        "JAX_NUMPY_DTYPE_PROMOTION": "strict",
        "JAX_NUMPY_RANK_PROMOTION": "raise",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]),
    }
    script = "import test_composability; test_composability.on_two_devices()"
    finished = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
