"""W1 and W2: random methanes, power spectrum, jaxfeat beside DScribe in one run.

    python benchmarks/methane.py [--smoke]

W1 is the environment of the carbon with respect to all 15 coordinates, W2 all five centers stacked. Both packages get
one core and one BLAS thread. Prints configurations per second (median of five, blocked), compile time apart, and the
largest relative difference of the singular values between the two.
"""

import argparse
import os
import statistics
import sys
import time

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import ase  # noqa: E402
import equinox as eqx  # noqa: E402
import jax  # noqa: E402
import numpy as np  # noqa: E402
from dscribe.descriptors import SOAP  # noqa: E402

import jaxfeat  # noqa: E402
from jaxfeat.sensitivity.jacobian import single_jacobian  # noqa: E402
from jaxfeat.sensitivity.spectrum import single_spectrum  # noqa: E402

jax.config.update("jax_enable_x64", True)
SETTINGS = {"species": ("H", "C"), "r_cut": 4.0, "n_max": 8, "l_max": 6, "sigma": 0.3}
CHUNK = 50


def methanes(n, seed=0):
    """C at the origin, 4 H at distances U(0.8, 1.6) Å in random directions."""
    rng = np.random.default_rng(seed)
    v = rng.normal(size=(n, 4, 3))
    v *= rng.uniform(0.8, 1.6, size=(n, 4, 1)) / np.linalg.norm(v, axis=-1, keepdims=True)
    return [ase.Atoms("CH4", np.concatenate([np.zeros((1, 3)), h])) for h in v]


def rate(call, n, repeats):
    """Items per second: median over `repeats` after one call to warm up, and that first call's seconds."""
    start = time.perf_counter()
    call()
    first = time.perf_counter() - start
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return n / statistics.median(times), first


def dscribe(atoms, centers):
    """Features, Jacobian and singular values, one configuration after the other."""
    soap = SOAP(**{**SETTINGS, "species": list(SETTINGS["species"])}, periodic=False)

    def matrix(a):
        # attach: the center moves with its atom.
        d, _ = soap.derivatives(a, centers=list(centers), method="analytical", attach=True)
        return d.transpose(0, 3, 1, 2).reshape(-1, 3 * len(a))

    return (
        lambda: [soap.create(a, centers=list(centers)) for a in atoms],
        lambda: [matrix(a) for a in atoms],
        lambda: [np.linalg.svd(matrix(a), compute_uv=False) for a in atoms],
    )


def dscribe_values(atoms, centers):
    """Singular values of DScribe's Jacobians once its redundant products, stored once, have their weight √2."""
    soap = SOAP(**{**SETTINGS, "species": list(SETTINGS["species"])}, periodic=False)
    weights = np.full(soap.get_number_of_features(), np.sqrt(2))
    n, m = np.triu_indices(SETTINGS["n_max"])
    for symbol in SETTINGS["species"]:
        weights[soap.get_location((symbol, symbol))] = np.tile(np.where(n == m, 1, np.sqrt(2)), SETTINGS["l_max"] + 1)
    found = []
    for a in atoms:
        d, _ = soap.derivatives(a, centers=list(centers), method="analytical", attach=True)
        d = d * weights
        found.append(np.linalg.svd(d.transpose(0, 3, 1, 2).reshape(-1, 15), compute_uv=False)[:9])
    return np.asarray(found)


def ours(atoms, centers):
    """The same, chunk by chunk; values on the non-rigid displacements."""
    # DScribe has no cutoff window and its features carry no multiplicity: only the window changes the work.
    f = jaxfeat.stacked(jaxfeat.PowerSpectrum(**SETTINGS, cutoff=jaxfeat.cutoffs.NoCutoff()))
    batch = jaxfeat.structures(atoms, SETTINGS["r_cut"], list(centers))
    chunks = [jax.tree.map(lambda leaf, k=k: leaf[k : k + CHUNK], batch) for k in range(0, len(atoms), CHUNK)]

    def over(function):
        compiled = eqx.filter_jit(lambda chunk: jax.vmap(function)(chunk))
        return lambda: [jax.block_until_ready(compiled(chunk)) for chunk in chunks]

    return (
        over(f),
        over(lambda s: single_jacobian(f, s)),
        over(lambda s: single_spectrum(f, s, equilibrated=False, every=False).values),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="few configurations, one repeat")
    smoke = parser.parse_args().smoke
    n, repeats = (2 * CHUNK, 1) if smoke else (1000, 5)
    print(f"{'':4}{'':22}{'jaxfeat':>10}{'DScribe':>10}{'ratio':>8}{'first call':>12}")
    for name, centers in (("W1", (0,)), ("W2", (0, 1, 2, 3, 4))):
        atoms = methanes(n)
        mine, theirs = ours(atoms, centers), dscribe(atoms, centers)
        for what, a, b in zip(("features", "Jacobian", "singular values"), mine, theirs, strict=True):
            (fast, first), (peer, _) = rate(a, n, repeats), rate(b, n, repeats)
            print(f"{name:4}{what:22}{fast:10.0f}{peer:10.0f}{fast / peer:8.2f}{first:10.1f} s", flush=True)
        got, reference = np.asarray(mine[2]()[0]), dscribe_values(atoms[:CHUNK], centers)
        print(f"{name:4}largest relative difference of the singular values {np.abs(got / reference - 1).max():.1e}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
