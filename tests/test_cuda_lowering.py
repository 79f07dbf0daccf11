"""Every program of a public function can be lowered for CUDA, on a machine without a GPU.

There it calls no function of the host and no LAPACK, and it has no loop over items or small chunks of them.
"""

import re

import jax
import numpy as np
import pytest
from ase.build import molecule

import jaxfeat
from jaxfeat.geometry.structure import species_present
from jaxfeat.spectrum.blocks import RAW_AND_EQUILIBRATED
from jaxfeat.spectrum.driver import compute_spectra
from jaxfeat.spectrum.plan import make_plan

N_ITEMS = 100_003
"""Items of a batch that is lowered, of which only the shape is needed."""

MOST_STEPS = 100
"""Steps of the longest loop: a thousand items in each, if it is one over items. Bisection has 53, one for each bit."""

F = jaxfeat.PowerSpectrum(("H", "C"), n_max=2, l_max=2)
BISPECTRUM = jaxfeat.Bispectrum(("H", "C"), n_max=2, l_max=1)


@pytest.fixture
def on_cuda(monkeypatch):
    """Let the package choose the sizes of chunks as on a machine with a GPU."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")


def environment(n_neighbors):
    positions = np.random.default_rng(0).normal(size=(n_neighbors, 3))
    return jax.tree.map(np.asarray, jaxfeat.Environment.from_neighbors(positions, ["H"] * n_neighbors, "C"))


def structure(name):
    return jax.tree.map(np.asarray, jaxfeat.structures(molecule(name), F))


def many(item, n_items=N_ITEMS):
    """Return the shape of a batch of items."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct((n_items, *x.shape), x.dtype), item)


def text_for_cuda(function, *arguments):
    """Lower a function of batches for CUDA. Arrays of featurizers are constants of the program."""
    return jax.export.export(jax.jit(function), platforms=["cuda"])(*arguments).mlir_module()


def list_targets(text):
    """List the functions outside the program that it calls."""
    return set(re.findall(r"custom_call @([\w.]+)", text))


def count_steps(text):
    """Return the numbers of steps of all loops, apart from those that depend on data."""
    constants, bounds, open_loops, in_condition = {}, [], [], False
    for line in map(str.strip, text.splitlines()):
        if "func.func" in line:
            constants = {}
        if constant := re.match(r"(%\w+) = stablehlo\.constant dense<(\d+)> : tensor<u?i\d+>", line):
            constants[constant[1]] = int(constant[2])
        if "stablehlo.while(" in line:
            bounds.append(None)
            open_loops.append(len(bounds) - 1)
        if line == "cond {":
            in_condition = True
        if line == "} do {":
            in_condition = False
            open_loops.pop()
        compared = re.match(r"%\w+ = stablehlo\.compare +LT, %\w+, (%\w+)", line)
        if in_condition and compared:
            bounds[open_loops[-1]] = constants.get(compared[1])
    assert len(bounds) == text.count("stablehlo.while(") and not open_loops
    return [bound for bound in bounds if bound is not None]


def spectra(f, item, scalings=(False,), **options):
    """Return the program of `singular_spectrum`, or of a sweep with two scalings, and its arguments."""
    items = jax.tree.map(lambda x: np.stack([x] * 2), item)
    plan = make_plan(f.prepared(), items, scalings, **options)
    present = None
    if plan.route == "refined" or len(scalings) > 1:
        present = many(species_present(f.environment_featurizer.species, item))
    return lambda present, at: compute_spectra(f.prepared(), present, at, plan), present, many(item)


SMALL, LARGE, METHANE, ETHANE = environment(4), environment(12), structure("CH4"), structure("C2H6")
STACKED, SUMMED = jaxfeat.stacked(F), jaxfeat.summed(F)
PROGRAMS = {
    "features": lambda: (F, many(LARGE)),
    "features of a bispectrum": lambda: (BISPECTRUM, many(LARGE)),
    "features of a structure": lambda: (SUMMED, many(ETHANE)),
    "Jacobian": lambda: (lambda at: jaxfeat.jacobian(F, at), many(SMALL)),
    "Jacobian of a bispectrum": lambda: (lambda at: jaxfeat.jacobian(BISPECTRUM, at), many(LARGE)),
    "Jacobian of a small structure": lambda: (lambda at: jaxfeat.jacobian(STACKED, at), many(METHANE)),
    "Jacobian of a structure": lambda: (lambda at: jaxfeat.jacobian(STACKED, at), many(ETHANE)),
    "values and directions": lambda: (lambda at: jaxfeat.singular_spectrum(F, at), many(LARGE)),
    "certified values": lambda: spectra(F, LARGE),
    "screened values": lambda: spectra(F, SMALL, screened=True),
    "screened values of a small structure": lambda: spectra(STACKED, METHANE, screened=True),
    "values of a structure": lambda: spectra(STACKED, ETHANE),
    "values of a sum": lambda: spectra(SUMMED, ETHANE),
    "sweep": lambda: spectra(F, LARGE, RAW_AND_EQUILIBRATED, screened=True),
    "log_sensitivity": lambda: (
        jax.grad(lambda at: jaxfeat.log_sensitivity(F, at).sum(), allow_int=True),
        many(SMALL),
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_for_cuda_run_on_the_device_and_loop_over_no_small_chunks(name, on_cuda):
    text = text_for_cuda(*PROGRAMS[name]())
    assert all(target.startswith(("cusolver_", "cublas_")) for target in list_targets(text)), list_targets(text)
    assert max(count_steps(text), default=0) <= MOST_STEPS


def test_the_loops_of_cpus_would_be_found():
    # Another number of items, because JAX keeps what it has traced.
    text = text_for_cuda(lambda at: jaxfeat.jacobian(STACKED, at), many(ETHANE, N_ITEMS + 1))
    assert {N_ITEMS + 1, ETHANE.center.shape[0]} <= set(count_steps(text))


def test_results_do_not_depend_on_the_sizes_of_chunks(monkeypatch):
    rng = np.random.default_rng(0)
    molecules = [molecule("C2H6") for _ in range(3)]
    for atoms in molecules:
        atoms.positions += rng.normal(0, 0.1, atoms.positions.shape)
    found = []
    # Batches of different sizes are different programs, so that neither is taken for the other.
    for backend, n in (("cpu", 2), ("gpu", 3)):
        monkeypatch.setattr(jax, "default_backend", lambda backend=backend: backend)
        batch = jaxfeat.structures(molecules[:n], F)
        assert make_plan(STACKED, batch, (False,)).route == "refined"
        spectrum = jaxfeat.singular_spectrum(STACKED, batch, directions=False)
        assert spectrum.certified.all()
        found.append((spectrum.values[:2], jaxfeat.jacobian(STACKED, batch)[:2]))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-13 * np.abs(one).max())
