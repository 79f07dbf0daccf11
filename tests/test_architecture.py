"""Imports point one way, importing has no side effect, and nothing is traced twice."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxfeat
from jaxfeat import Environment, PowerSpectrum

PACKAGE = Path(jaxfeat.__file__).parent

BELOW = {
    "errors",
    "geometry",
    "linalg",
    "features.base",
    "features.additive",
    "features.joint",
    "features.structure_map",
    "progress",
    "features.host_methods",
    "features.host_work",
}
SHOWN = {"report.displacement", "report.notebook", "report.palette"}
"""Modules of plain values that write results as HTML for notebooks. They import neither JAX nor Matplotlib."""

MAY_SEE = {
    "errors": set(),
    "memory": {"errors"},
    "progress": set(),
    "spelling": set(),
    "version": set(),
    "so3": {"errors"},
    "linalg": {"errors"},
    "geometry": {"errors", "linalg", "progress", "spelling"} | SHOWN,
    "basis": {"errors", "linalg", "so3"},
    "cutoffs": {"errors", "linalg"},
    "features": {"errors", "memory", "geometry", "linalg", "so3", "basis", "cutoffs"},
    "manifolds": {"errors", "geometry"},
    "models": {
        "errors",
        "memory",
        "geometry",
        "linalg",
        "features.base",
        "features.declared",
        "features.host_methods",
        "features.host_work",
        "features.joint",
        "features.structure_map",
    },
    "spectrum": BELOW | SHOWN | {"memory"},
    "nulls": BELOW | SHOWN | {"spectrum"},
    "singular": BELOW | SHOWN | {"spectrum", "nulls", "manifolds"},
    "inverse": BELOW | {"features.higher_order", "features.spec", "spectrum", "nulls", "singular"},
    "choose": BELOW | {"memory", "basis", "cutoffs", "features", "spectrum", "nulls"},
    "store": BELOW | {"memory", "features.spec", "spectrum", "nulls", "singular", "manifolds"},
    "bench": {"errors", "geometry", "basis", "cutoffs", "features", "spectrum", "manifolds", "progress"},
    "report": set(),
    "plot": {"geometry.unpadded", "nulls.scenes", "report"},
}
"""Parts of the package that each room may import beside itself. The command line and the package's own `__init__` are
free."""

HEAVY = {
    "ase",
    "vesin",
    "matplotlib",
    "rich",
    "xarray",
    "zarr",
    "dask",
    "distributed",
    "dscribe",
    "featomic",
    "flint",
    "mace",
    "metatensor",
    "metatomic",
    "quippy",
    "so3krates_torch",
    "spglib",
    "torch",
    "torchani",
}
ALLOWED_IN = {
    "ase": {
        "bench/peers.py",
        "bench/workloads.py",
        "geometry/ase_input.py",
        "geometry/neighbors.py",
        "geometry/species.py",
        "geometry/files/cif.py",
        "geometry/files/trajectory.py",
        "geometry/files/frames.py",
        "geometry/files/read.py",
        "geometry/files/frame_environments.py",
        "geometry/files/lammps.py",
        "geometry/files/parsing.py",
        "geometry/files/pdb.py",
        "geometry/files/poscar.py",
        "geometry/files/options.py",
        "geometry/files/sdf.py",
        "geometry/files/write.py",
        "geometry/files/xyz.py",
        "models/ase_atoms.py",
        "models/featomic.py",
    },
    "dask": {"store/cluster.py"},
    "distributed": {"store/cluster.py"},
    "dscribe": {"bench/peers.py"},
    "featomic": {"bench/peers.py"},
    "flint": {"cli/prove.py", "singular/certificate.py", "singular/factor_lemmas.py"},
    "mace": {"models/mace.py"},
    "metatensor": {"bench/peers.py", "models/featomic.py"},
    "metatomic": {"models/metatomic.py"},
    "quippy": {"bench/peers.py"},
    "so3krates_torch": {"models/so3lr.py"},
    "spglib": {"geometry/crystal_symmetry.py"},
    "torch": {
        "models/mace.py",
        "models/metatomic.py",
        "models/so3lr.py",
        "models/torch.py",
        "models/torch_jacobian.py",
        "models/torchani.py",
    },
    "torchani": {"models/torchani.py"},
    "vesin": {"geometry/neighbors.py", "models/metatomic.py"},
    "matplotlib": {
        "report/alike_plot.py",
        "report/benchmark.py",
        "plot.py",
        "report/convergence_plot.py",
        "report/displacement_plot.py",
        "report/distribution_plot.py",
        "report/figures.py",
        "report/force_plot.py",
        "report/scan_axis.py",
        "report/scan_plot.py",
        "report/spectrum_plot.py",
        "report/sweep_plot.py",
        "report/tuning_plot.py",
    },
    "rich": {
        "progress.py",
        "report/alike_table.py",
        "report/benchmark.py",
        "report/convergence.py",
        "report/families.py",
        "report/force_table.py",
        "report/scan_table.py",
        "report/structure_table.py",
        "report/sweep_table.py",
        "report/tables.py",
        "report/tuning_table.py",
    },
    "xarray": {"store/dataset.py"},
    "zarr": {"store/zarr_arrays.py"},
}


def imports_of(path):
    """Yield the modules that a file imports anywhere, those for type checking included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("name", FILES)
def test_imports_point_one_way(name):
    room = name.split("/")[0].removesuffix(".py")
    for module in imports_of(PACKAGE / name):
        top, *inner = module.split(".")
        if top in HEAVY:
            assert name in ALLOWED_IN.get(top, set()), f"{name} imports {module}"
        if top != "jaxfeat" or room in ("cli", "__init__", "__main__"):
            continue
        assert inner, f"{name} imports the façade"
        seen = ".".join(inner)
        allowed = MAY_SEE[room] | {room}
        assert any(seen == a or seen.startswith(f"{a}.") for a in allowed), f"{name} imports {module}"
        if room == "report":
            assert inner[0] == "report", f"{name} imports {module}"


@pytest.mark.parametrize("name", FILES)
def test_lapack_is_called_in_one_place(name):
    """A call for a whole batch may crash the program, for the reason that `jaxfeat.linalg.lapack` gives."""
    text = (PACKAGE / name).read_text()
    direct = re.findall(r"jnp\.linalg\.(?!norm\b)\w+|lax\.linalg|jax\.scipy\.linalg", text)
    assert not direct or name == "linalg/lapack.py", direct


@pytest.mark.parametrize("name", FILES)
def test_jax_internals_are_used_in_one_place(name):
    """JAX changes its internals from version to version."""
    below = ("jax.core", "jax.extend", "jax.interpreters", "jax._src")
    text = (PACKAGE / name).read_text()
    used = {module for module in imports_of(PACKAGE / name) if module.startswith(below)}
    used |= {module for module in below if re.search(rf"\b{re.escape(module)}\.", text)}
    assert not used or name == "linalg/lanes.py", used


def test_no_module_imports_itself_through_others():
    """Imports for type checking and imports inside a room count as well."""
    names = {name.removesuffix(".py").removesuffix("/__init__").replace("/", "."): name for name in FILES}
    sees = {
        name: {
            found
            for module in imports_of(PACKAGE / file)
            if module.startswith("jaxfeat.") and (found := module.removeprefix("jaxfeat.")) in names
        }
        for name, file in names.items()
    }
    # Whatever is left when modules that import nothing else are taken away, again and again, goes in circles.
    while free := [name for name, seen in sees.items() if not seen & sees.keys()]:
        for name in free:
            del sees[name]
    circles = {name: sorted(seen & sees.keys()) for name, seen in sees.items()}
    assert not circles, circles


def test_rooms_are_all_known():
    assert {name.split("/")[0].removesuffix(".py") for name in FILES} <= {*MAY_SEE, "cli", "__init__", "__main__"}


def test_the_stub_renames_nothing():
    """Type checkers export a name that is imported as itself. `lazy_loader` takes the name and ignores what follows."""
    imports = ast.parse((PACKAGE / "__init__.pyi").read_text()).body[1:]
    assert all(alias.asname == alias.name for node in imports for alias in node.names)


def test_every_public_name_is_there():
    assert dir(jaxfeat) == sorted(jaxfeat.__all__) and {"PowerSpectrum", "cutoffs", "__version__"} <= {*dir(jaxfeat)}
    assert all(hasattr(jaxfeat, name) for name in jaxfeat.__all__)
    with pytest.raises(AttributeError, match=r"jaxfeat.* attribute .*PowerSpectra"):
        _ = jaxfeat.PowerSpectra


@pytest.mark.parametrize(
    "words, status", [(None, None), (["--help"], 0), (["scan", "--help"], 0), (["--version"], 0), (["scan"], 2)]
)
def test_neither_import_nor_help_nor_wrong_arguments_load_jax(words, status):
    script = f"""
import sys
import jaxfeat
try:
    if {words!r} is not None:
        from jaxfeat.cli import main
        main({words!r})
        raise AssertionError("the command went on")
except SystemExit as end:
    assert end.code == {status!r}, end.code
heavy = {{"jax", "numpy", "ase", "rich", "xarray"}} & set(sys.modules)
assert not heavy, heavy
"""
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr


def test_importing_does_nothing():
    """No device is touched, no configuration is set, and neither ASE nor a plotting library is loaded."""
    script = """
import sys, jax
before = {name: getattr(jax.config, name) for name in ("jax_enable_x64", "jax_numpy_dtype_promotion")}
import jaxfeat
for name in jaxfeat.__all__:
    getattr(jaxfeat, name)
assert {name: getattr(jax.config, name) for name in before} == before
heavy = {"ase", "vesin", "spglib", "matplotlib", "rich", "zarr", "dask", "distributed"} & set(sys.modules)
assert not heavy, heavy
from jax._src import xla_bridge  # there is no public way to ask
assert not xla_bridge.backends_are_initialized()
"""
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr


def test_the_package_works_without_x64():
    script = """
import numpy as np, jax, jaxfeat
f = jaxfeat.PowerSpectrum(("H",), n_max=2, l_max=2)
env = jaxfeat.Environment.from_neighbors(np.asarray([[0, 0, 1.0], [0, 1.1, 0], [0, 0.3, 0.9]]), ["H"] * 3)
spectrum = jaxfeat.singular_spectrum(f, env)
assert spectrum.values.dtype == np.float32, spectrum.values.dtype
assert str(spectrum.status) == "float32-floor", spectrum.status
"""
    finished = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr


class Counting(eqx.Module):
    """A function for `jaxfeat.function` that counts its traces."""

    calls: list = eqx.field(static=True)
    factor: np.ndarray

    def __call__(self, positions, species, mask):
        self.calls.append(1)
        return jnp.asarray(self.factor) * jnp.sum(positions**2, -1)


class Tally(list):
    __hash__ = object.__hash__


def test_repeated_calls_trace_once():
    tally = Tally()
    for k in range(4):
        f = jaxfeat.function(Counting(tally, np.asarray(1.0 + k)))
        env = Environment.from_neighbors(np.random.default_rng(k).normal(size=(3, 3)), ["H"] * 3)
        jaxfeat.singular_spectrum(f, env)
    assert len(tally) == 1


def test_quantities_are_traced_and_sizes_are_not():
    """Featurizers that differ in distances, widths or species share a program; those that differ in sizes do not."""
    env = Environment.from_neighbors(np.random.default_rng(0).normal(size=(3, 3)), ["H"] * 3)
    traces = []

    @eqx.filter_jit
    def features(f, env):
        traces.append(1)
        return f(env)

    for r_cut, sigma, species in ((4.0, 0.3, ("H",)), (4.5, 0.4, ("H",)), (5.0, 0.3, ("H",))):
        features(PowerSpectrum(species, r_cut=r_cut, sigma=sigma, n_max=2, l_max=2), env)
    assert len(traces) == 1
    features(PowerSpectrum(("H",), n_max=3, l_max=2), env)
    assert len(traces) == 2


def test_a_featurizer_is_a_function_to_jax():
    f = PowerSpectrum(("H",), n_max=2, l_max=2)
    env = Environment.from_neighbors(np.random.default_rng(0).normal(size=(3, 3)), ["H"] * 3)
    batch = Environment.stack([env, env])
    np.testing.assert_allclose(jax.jit(f)(env), f(env), rtol=1e-14)
    np.testing.assert_allclose(jax.vmap(f)(batch), f(batch), rtol=1e-14)
