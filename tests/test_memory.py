import time

import equinox as eqx
import numpy as np
import pytest

import jaxfeat
from jaxfeat import Bispectrum, Correlations, Environment, PowerSpectrum, Structure, memory
from jaxfeat.cli import main
from jaxfeat.errors import SizeError
from jaxfeat.features.couplings import count_features, coupling_schemes
from jaxfeat.nulls import scan as scanning


def random_environments(b, n, species=(1,)):
    """Make environments without coinciding atoms. No test here computes anything from them."""
    positions = np.random.default_rng(0).normal(size=(b, n, 3))
    codes = np.resize(np.asarray(species, np.int32), (b, n)), np.ones((b, n), bool)
    return Environment(positions, *codes, *(np.zeros(b, np.int32) for _ in range(3)))


def large_structure(n, k):
    """Make a structure of `n` atoms with `k` neighbors each."""
    each = np.arange(n, dtype=np.int32)
    return Structure(
        positions=np.random.default_rng(0).normal(size=(n, 3)),
        cell=np.zeros((3, 3)),
        species=np.ones(n, np.int32),
        mask=np.ones(n, bool),
        center=each,
        center_mask=np.ones(n, bool),
        neighbor=(each[:, None] + np.arange(1, k + 1)) % n,
        shift=np.zeros((n, k, 3)),
        neighbor_mask=np.ones((n, k), bool),
        periodic=False,
    )


@pytest.fixture
def sixteen_gigabytes(monkeypatch):
    """Pretend that 16 GB are free, and fail if features are traced or listed."""

    def never(*_, **__):
        raise AssertionError("work was started")

    monkeypatch.setattr(memory, "free_bytes", lambda: 16e9)
    monkeypatch.setattr("jaxfeat.features.correlations.coupling_schemes", never)
    monkeypatch.setattr(PowerSpectrum, "contract", never)
    monkeypatch.setattr("jaxfeat.features.power_spectrum.featurizer.compact_power_spectrum_jacobian", never)
    monkeypatch.setattr("jaxfeat.features.power_spectrum.featurizer.power_spectrum_gram", never)


POWER = PowerSpectrum(("H",))
LARGE = Bispectrum(("H", "C", "O"), n_max=10)
WORKS = {
    "a stacked spectrum": (
        lambda: jaxfeat.singular_spectrum(jaxfeat.stacked(POWER), large_structure(22_000, 6), directions=False),
        r"spectra in 66,000 coordinates, 1 at a time, take about 209 GB of memory, and 16 GB are free; take a smaller",
    ),
    "by QR": (
        lambda: jaxfeat.singular_spectrum(jaxfeat.stacked(POWER), large_structure(9_000, 6)),
        r"spectra, by way of Jacobians of 162,000 rows by 27,000 coordinates, 1 at a time, take about 52.5 GB",
    ),
    "a summed spectrum": (
        lambda: jaxfeat.singular_spectrum(jaxfeat.summed(POWER), large_structure(3_000, 6), screened=True),
        r"Jacobians of 756,000 rows by 9,000 coordinates, 1 at a time, take about 81.6 GB",
    ),
    "a null space": (
        lambda: jaxfeat.null_space(jaxfeat.stacked(POWER), large_structure(1_000, 6)),
        r"null spaces of 252,000 rows by 3,000 coordinates, 1 at a time, take about 36.3 GB",
    ),
    "features": (
        lambda: LARGE(random_environments(4_000, 2)),
        r"486,940 features of 4,000 environments take about 31.2 GB .* take fewer environments at a time, or lower",
    ),
    "Jacobians": (
        lambda: jaxfeat.jacobian(LARGE, random_environments(10, 100)),
        r"Jacobians of 486,940 rows by 300 coordinates, 10 at a time, take about 17.5 GB .* lower n_max, l_max, ν or",
    ),
    "a bispectrum's spectrum": (
        lambda: jaxfeat.singular_spectrum(LARGE, random_environments(1, 1_000)),
        r"spectra, by way of Jacobians of 486,940 rows by 3,000 coordinates, 1 at a time, take about 17.5 GB",
    ),
    "a scan": (
        lambda: scanning.scan(LARGE, random_environments(1, 1_000, (1, 6, 8))),
        r"spectra, by way of Jacobians of 486,940 rows by 3,000 coordinates",
    ),
    "many directions": (
        lambda: jaxfeat.singular_spectrum(POWER, random_environments(30_000, 100)),
        r"spectra in 300 coordinates with directions of 30,000 items take about 21.6 GB .*; or directions=False",
    ),
    "ν = 5": (
        lambda: jaxfeat.jacobian(Correlations(("C", "H"), nu=5), random_environments(1, 4)),
        r"tables of the 959,\d+,\d+ features of ν = 5 take about 384 GB .* lower ν, n_max, l_max or the number of spec",
    ),
    "ν = 9": (
        lambda: Correlations(("C", "H"), nu=9)(random_environments(1, 4)),
        r"the 16 channels of each of ν = 9 factors take about 4.95e\+03 GB .* lower ν",
    ),
    "ν = 30 of one channel": (
        lambda: Correlations(("H",), nu=30, n_max=1)(random_environments(1, 4)),
        r"tables of the more than [\d,]+ features of ν = 30 take about",
    ),
}


@pytest.mark.parametrize("work", WORKS)
def test_work_that_cannot_fit_is_refused_before_it_starts(work, sixteen_gigabytes):
    call, message = WORKS[work]
    start = time.process_time()
    with pytest.raises(SizeError, match=message):
        call()
    assert time.process_time() - start < 10


@pytest.mark.parametrize("words", [["--nu", "9"], ["--nu", "5"], ["--nu", "5", "--screened"]])
def test_a_command_refuses_large_work_in_a_sentence(words, sixteen_gigabytes, capsys):
    assert main(["scan", "random-methane:2", "--centers", "C", *words]) == 2
    said = capsys.readouterr().err
    assert "of memory, and 16 GB are free; lower ν, n_max, l_max or the number of species." in said


def test_features_are_counted_as_they_are_listed():
    for nu in range(1, 6):
        for n, l_max in ((1, 3), (2, 2), (3, 1), (4, 0)):
            for pseudoscalars in (False, True):
                listed = coupling_schemes(nu, n, l_max, pseudoscalars)
                assert count_features(nu, n, l_max, pseudoscalars) == sum(len(block.channels) for block in listed)


def test_what_fits_is_not_asked_about(monkeypatch):
    def never():
        raise AssertionError("memory was asked for")

    monkeypatch.setattr(memory, "free_bytes", never)
    memory.check_memory(memory.UNCHECKED_BYTES, "a few features", "")
    monkeypatch.setattr(memory, "free_bytes", lambda: 1e9)
    memory.check_memory(1e9, "more features", "")
    with pytest.raises(SizeError, match=r"more features take about 1 GB of memory, and 1 GB are free; take fewer."):
        memory.check_memory(1.001e9, "more features", "take fewer")


def test_limits_of_control_groups_count(tmp_path):
    """Groups of both versions count at each level. Pages of files that the kernel can drop are free."""
    own, inner = tmp_path / "own", tmp_path / "groups" / "jobs" / "mine"
    own.write_text("9:name=systemd:/\n4:memory:/mine\n0::/jobs/mine\n")
    old = tmp_path / "groups" / "memory" / "mine"
    for place, limit, use, cached in (
        (inner, "memory.max", "memory.current", "inactive_file"),
        (inner.parent, "memory.max", "memory.current", "inactive_file"),
        (old, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        place.mkdir(parents=True, exist_ok=True)
        (place / limit).write_text("max" if place == inner else "5000")
        (place / use).write_text("3000" if place == old else "2000")
        (place / "memory.stat").write_text(f"anon 1000\n{cached} 500\n")
    assert memory._free_in_cgroups(tmp_path / "groups", own) == [float("inf"), 2500, 3500]
    assert memory._free_in_cgroups(tmp_path / "groups", tmp_path / "none") == [float("inf")]
    assert 0 < memory.free_bytes() < 1e15


def test_sizes_that_are_not_known_inside_jit_are_not_asked_for(monkeypatch):
    monkeypatch.setattr(memory, "UNCHECKED_BYTES", 0)
    f, env = jaxfeat.RadialSpectrum(("H",), n_max=2), random_environments(1, 2)[0]
    unlabelled = jaxfeat.function(lambda positions, species, mask: (positions**2).sum(-1))
    for g in (f, unlabelled):
        inside = eqx.filter_jit(lambda g, env: (g(env), jaxfeat.singular_spectrum(g, env).values))(g, env)
        np.testing.assert_allclose(inside[0], g(env), rtol=1e-12)
