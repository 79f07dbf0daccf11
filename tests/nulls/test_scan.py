"""A scan gives each environment the record that it has alone."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from ase.build import bulk, molecule

import jaxfeat
from jaxfeat import PowerSpectrum
from jaxfeat.nulls import scan as scanning
from jaxfeat.nulls import scan_records
from jaxfeat.nulls.cure import explain_environments
from jaxfeat.spectrum import driver
from jaxfeat.spectrum.plan import MAX_NEIGHBORS_BY_ROWS
from jaxfeat.spectrum.refine import MOST_SMALL

F = PowerSpectrum(("H", "C", "O", "N"), n_max=2, l_max=2)


@pytest.fixture(scope="module")
def batch():
    """Environments of one to eight neighbors and one to three species, a lone atom among them."""
    molecules = [molecule(name) for name in ("H2O", "CH3OH", "H", "CO2")]
    return jaxfeat.environments(molecules, 4.0)


def test_records_are_those_of_single_environments_in_order(batch, monkeypatch):
    monkeypatch.setattr(driver, "HOST_BLOCK_ITEMS", 4)
    calls = []
    records = scanning.scan(F, batch, lambda done, total: calls.append((done, total)))
    assert calls[-1] == (len(batch), len(batch)) and len(calls) >= 2
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    assert [(r["structure"], r["center"]) for r in records] == [
        (int(env.structure_index), int(env.center_index)) for env in batch
    ]
    raw, equilibrated = (jaxfeat.singular_spectrum(F, batch, scaled, directions=False) for scaled in (False, True))
    for k, record in enumerate(records):
        assert record["status"] == str(raw.status.names[k])
        count = int(raw.n_values[k])
        if record["status"] == "empty":
            assert record["sigma"] == [] and record["floor"] is None
            continue
        assert len(record["sigma"]) == len(record["sigma_equilibrated"]) == count
        assert record["null"]["rigid"] == raw.n_rigid[k]
        assert sum(record["null"].values()) - record["null"]["rigid"] == equilibrated.n_null[k]
        np.testing.assert_allclose(record["sigma"], raw.values[k, :count], rtol=0, atol=float(raw.floor[k]))
        np.testing.assert_allclose(
            record["sigma_equilibrated"], equilibrated.values[k, :count], rtol=0, atol=float(equilibrated.floor[k])
        )
        assert record["floor"] <= raw.floor[k] * (1 + 1e-12)
    assert {record["status"] for record in records} == {"ok", "empty"}


def test_progress_waits_for_what_is_classified(batch, monkeypatch):
    monkeypatch.setattr(driver, "HOST_BLOCK_ITEMS", 4)
    monkeypatch.setattr(scanning, "ITEMS_TOGETHER", 2)
    monkeypatch.setattr(scan_records, "CLASSIFY_BELOW", 2.0)
    monkeypatch.setattr(scan_records, "LEAST_SENSITIVE", 0)
    calls = []
    records = scanning.scan(F, batch, lambda done, total: calls.append(done), classify=1)
    n_chosen = 1 + sum(sum(one["null"].values()) > one["null"]["rigid"] for one in records)
    assert 2 < n_chosen < len(batch) - 1
    # The last block of spectra, and then one call for each two environments that are classified.
    expected = [*range(len(batch) - n_chosen, len(batch), 2), len(batch)]
    assert calls == sorted(calls) and calls[-len(expected) :] == expected


@pytest.mark.parametrize("screened", [False, True])
def test_many_neighbors_have_the_values_of_all_rows(screened):
    """From JᵀJ and a few directions; of the perfect crystal, where there are too many, by QR."""
    perfect = bulk("Si") * (2, 2, 2)
    frames = [perfect.copy() for _ in range(3)]
    for seed, atoms in enumerate(frames[1:]):
        atoms.rattle(0.1, seed=seed)
    batch = jaxfeat.environments(frames, 4.6, [0])
    f = PowerSpectrum(("Si",), n_max=8, l_max=8, r_cut=4.6)
    assert batch.max_neighbors > MAX_NEIGHBORS_BY_ROWS[2]
    found = scanning.scan_arrays(f, batch, screened=screened)
    assert found.certified[0] and (screened or found.certified.all())
    assert found.null[0].sum() > MOST_SMALL and (found.null[1:].sum(1) == 3).all()
    for i, jacobian in enumerate(np.asarray(jaxfeat.jacobian(f, batch))):
        n = int(batch.n_neighbors[i])
        columns = jacobian[:, :n]
        scale = np.sqrt((columns**2).sum((0, 2)))
        for values, floor, rows in (
            (found.sigma, found.floor, columns),
            (found.sigma_equilibrated, found.floor_equilibrated, columns / scale[:, None]),
        ):
            exact = np.linalg.svd(np.pad(rows.reshape(len(rows), -1), ((0, 3 * n), (0, 0))), compute_uv=False)
            np.testing.assert_allclose(values[i, : 3 * n - 3], exact[: 3 * n - 3], rtol=0, atol=floor[i])


def test_a_broken_environment_does_not_stop_the_others(batch):
    positions = batch.positions.at[4, 0, 0].set(jnp.nan)
    records = scanning.scan(F, eqx.tree_at(lambda env: env.positions, batch, positions)[:8])
    statuses = [record["status"] for record in records]
    assert statuses.count("non-finite") == 1 and statuses[4] == "non-finite" and statuses.count("ok") == 7


@pytest.mark.parametrize("screened", [False, True])
def test_chunks_of_a_stream_say_which_atoms_are_not_known(screened):
    nitrogen = jaxfeat.environments(molecule("N2"), 4.0)
    found = scanning.scan_arrays(jaxfeat.RadialSpectrum(("H", "C"), n_max=2), nitrogen, screened=screened, chunk=2)
    assert found.status.tolist() == ["unknown-species"] * 2 and np.isnan(found.sigma).all()


def test_what_cannot_be_classified_says_why(monkeypatch):
    f = jaxfeat.function(lambda r, z, mask: jnp.where(mask, jnp.sum(r**2, -1), 0).sum()[None], nu=1)
    positions = [[0, 0, 1], [0, 0.1, 1], [0.9, 0.2, 0.1]], [[0, 0, 1], [0, 1.1, 0], [0.7, 0.8, 0.3]]
    batch = jaxfeat.Environment.stack([jaxfeat.Environment.from_neighbors(at, ["H"] * 3, "C") for at in positions])
    batch = batch.with_positions(batch.positions.at[0, 1, 1].set(3e-6))

    def found():
        return [record["status"] for record in scanning.scan(f, batch)], explain_environments(f, batch, [0, 1])

    statuses, sentences = found()
    assert statuses == ["ok", "ok"] and "ambiguous" not in "".join(sentences)
    # A larger tolerance of exact points makes the two neighbors too close for it.
    monkeypatch.setattr("jaxfeat.nulls.classify.EXACT_TOLERANCE", 1e-5)
    monkeypatch.setattr("jaxfeat.nulls.exact_point.EXACT_TOLERANCE", 1e-5)
    statuses, sentences = found()
    assert statuses == ["ambiguous", "ok"]
    assert sentences[0].startswith("ambiguous: like atoms 0 and 1 are 3e-06 Å apart")
    monkeypatch.setattr("jaxfeat.nulls.kernel.MAX_TUPLES", 2)
    statuses, sentences = found()
    assert statuses == ["ambiguous", "unclassified"]
    assert sentences[1].startswith("unclassified: 3 neighbors and nu = 1 make 3 tuples")


def test_functions_are_scanned_too(batch):
    f = jaxfeat.function(lambda r, z, mask: jnp.where(mask, jnp.sum(r**2, -1), 0).sum()[None], nu=1)
    records = scanning.scan(f, batch[:3])
    assert [sum(record["null"].values()) - record["null"]["rigid"] for record in records] == [2, 2, 2]


def test_the_least_sensitive_without_null_directions_are_classified(monkeypatch):
    heights = (1e-7, 1e-9, 1e-8, 0.3)
    ring = np.asarray([[1.0, 0.2, 0], [-0.7, 0.9, 0], [-0.2, -1.1, 0], [0.8, -0.9, 0]])
    lifted = [ring + np.asarray([[0, 0, 0]] * 3 + [[0, 0, h]]) for h in heights]
    batch = jaxfeat.Environment.stack([jaxfeat.Environment.from_neighbors(p, ["H"] * 4, "C") for p in lifted])
    f, calls = PowerSpectrum(("H", "C"), n_max=2, l_max=3), []
    # Tables list a few in any case, and these are classified then.
    listed = scanning.scan(f, batch, classify=0)
    assert [len(record["near"]) for record in listed] == [1, 1, 1, 0] and scan_records.count_unclassified(
        listed, 0
    ) == 0
    monkeypatch.setattr(scan_records, "LEAST_SENSITIVE", 0)
    found = {n: scanning.scan(f, batch, lambda *call: calls.append(call), classify=n) for n in (0, 1, None)}
    near = {n: [len(record["near"]) for record in records] for n, records in found.items()}
    assert near == {0: [0] * 4, 1: [0, 1, 0, 0], None: [1, 1, 1, 0]}
    assert {record["status"] for records in found.values() for record in records} == {"ok"}
    assert all(record["null"]["symmetry"] == 0 for record in found[None])
    for record, env, height in zip(found[None][:3], batch, heights, strict=False):
        (group,), (expected,) = record["near"], jaxfeat.null_space(f, env).near
        assert group == {
            "cause": "symmetry",
            "symbol": "C_s",
            "distance": pytest.approx(expected.distance),
            "directions": 2,
            "sigma": pytest.approx(expected.sigma[::-1].tolist()),
        }
        assert 0.3 * height < group["distance"] < height
    assert [scan_records.count_unclassified(records, n) for n, records in found.items()] == [3, 2, 0]
    assert calls[-2:] == [(1, 4), (4, 4)]
