"""Structures as wholes have the records of their null spaces."""

import ase
import numpy as np
import pytest
from ase.build import bulk, molecule

import jaxfeat
from jaxfeat import PowerSpectrum
from jaxfeat.errors import GeometryError, SpeciesError

F = PowerSpectrum(("H", "C", "O", "Si"), n_max=2, l_max=2)
KEYS = ["structure", "n_atoms", "sigma", "sigma_equilibrated", "floor", "floor_equilibrated", "null", "near", "status"]


@pytest.fixture(scope="module")
def singles():
    """Molecules, a lone atom and crystals, of which two are nearly symmetric."""
    methane, silicon = molecule("CH4"), bulk("Si")
    methane.rattle(1e-4, seed=0)
    silicon.rattle(1e-4, seed=0)
    apart = ase.Atoms("H2", [[0, 0, 0], [9.0, 0, 0]])
    all_of_them = [molecule("H2O"), methane, molecule("C"), bulk("Si"), silicon, apart]
    return [jaxfeat.structures(one, 4.0) for one in all_of_them]


@pytest.mark.parametrize("make", [jaxfeat.stacked, jaxfeat.summed])
def test_records_are_those_of_single_structures(singles, make):
    f, calls = make(F), []
    records = jaxfeat.scan(f, singles, lambda done, total: calls.append((done, total)))
    assert calls[-1] == (6, 6) and calls == sorted(calls)
    for i, (one, record) in enumerate(zip(singles, records, strict=True)):
        assert list(record) == KEYS and record["structure"] == i and record["n_atoms"] == one.mask.sum()
        null = jaxfeat.null_space(f, one)
        assert record["null"] == {k: n for k, n in null.counts.items() if n or k not in ("locality", "other", "width")}
        assert record["status"] == null.status
        if record["status"] != "ok":
            assert record["sigma"] == [] and record["floor"] is None
            continue
        for equilibrated, suffix in ((False, ""), (True, "_equilibrated")):
            spectrum = jaxfeat.singular_spectrum(f, one, equilibrated)
            floor = float(spectrum.floor)
            np.testing.assert_allclose(record[f"sigma{suffix}"], spectrum.values, rtol=0, atol=floor)
            np.testing.assert_allclose(record[f"floor{suffix}"], floor, rtol=0.5)
    assert [record["status"] for record in records] == ["ok", "ok", "empty", "no-signal", "ok", "empty"]
    near = [{group["symbol"] for group in record["near"]} for record in records]
    assert "T_d" in near[1] and "Fd-3m (227)" in near[4]


def test_a_batch_of_structures_is_a_list_of_them():
    molecules = [molecule("H2O"), molecule("CH4"), molecule("C2H2")]
    f = jaxfeat.stacked(F)
    batch = jaxfeat.scan(f, jaxfeat.structures(molecules, 4.0))
    single = jaxfeat.scan(f, [jaxfeat.structures(one, 4.0) for one in molecules])
    for one, other in zip(batch, single, strict=True):
        np.testing.assert_allclose(one["sigma"], other["sigma"], rtol=0, atol=other["floor"])
        assert (one["null"], one["n_atoms"]) == (other["null"], other["n_atoms"])
    drawn = jaxfeat.scan(f, jaxfeat.structures(molecules, 4.0), sample=2, seed=1)
    assert len(drawn) == 2 and all(batch[one["structure"]]["null"] == one["null"] for one in drawn)


def test_what_is_no_list_of_structures_is_refused(singles):
    f = jaxfeat.stacked(F)
    with pytest.raises(GeometryError, match="give a batch, or a list"):
        jaxfeat.scan(f, singles[0])
    with pytest.raises(GeometryError, match="describes structures"):
        jaxfeat.scan(f, jaxfeat.environments(molecule("H2O"), 4.0))
    with pytest.raises(SpeciesError, match="structure 1: "):
        jaxfeat.scan(f, [singles[0], jaxfeat.structures(molecule("N2"), 4.0)])
    with pytest.raises(ValueError, match="leave out screened"):
        jaxfeat.scan(f, singles, screened=True)
