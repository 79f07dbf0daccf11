"""Every workload has the structures and settings that its title says."""

import numpy as np
import pytest

from jaxfeat.bench.workloads import METHANE, SMOKE, WORKLOADS, random_methanes
from jaxfeat.errors import ReadError


@pytest.mark.parametrize("name", [name for name in WORKLOADS if name != "W6"])
def test_a_smoke_run_has_few_items_in_a_small_basis(name):
    workload = WORKLOADS[name](True, None)
    assert workload.name == name and workload.settings.items() >= SMOKE.items()
    assert 2 <= len(workload.atoms) <= 4 and 2 <= workload.n_items <= 4
    assert workload.unit == ("configurations" if workload.stacked else "environments")
    assert workload.periodic == (name == "W4") and workload.nu == (3 if name == "W5" else 2)
    assert {symbol for atoms in workload.atoms for symbol in atoms.symbols} <= set(workload.settings["species"])


def test_the_whole_workloads_differ_where_their_titles_do():
    first, environments, stacked = (WORKLOADS[name](False, None) for name in ("W1", "W1e", "W2"))
    assert first.settings == environments.settings == METHANE and first.n_items == 1000
    assert (first.centers, stacked.centers) == ([0], None) and not environments.stacked
    assert [w.block_items for w in (first, environments, stacked)] == [50, 50, 20]
    assert len(WORKLOADS["W3"](False, None).atoms) == 55


def test_neighborhoods_are_within_the_cutoff():
    workload = WORKLOADS["W5"](True, None)
    for k, (structure, center, neighbors) in enumerate(workload.neighborhoods()):
        assert (structure, center, neighbors.tolist()) == (k, 0, [1, 2, 3, 4])


def test_methanes_have_their_hydrogens_at_the_distances_drawn():
    distances = [np.linalg.norm(atoms.positions[1:], axis=1) for atoms in random_methanes(50)]
    assert 0.8 <= np.min(distances) < 0.85 and 1.55 < np.max(distances) <= 1.6


def test_a_workload_without_its_file_says_how_to_get_it():
    with pytest.raises(ReadError, match="3bpa_train_300K"):
        WORKLOADS["W6"](True, None)
