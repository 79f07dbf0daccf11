"""Time every stage of every work by pytest-benchmark, with all packages in one process.

    pytest benchmarks [--smoke] [--data FILE] [-k "W1 and jaxfeat"]

For memory, for a process each and for the differences between packages there is `jaxfeat bench`.
"""

import os
from functools import lru_cache
from pathlib import Path

import pytest

from jaxfeat.bench.jaxfeat import Jaxfeat
from jaxfeat.bench.peers import PEERS
from jaxfeat.bench.workloads import DATA, NO_DATA, WITHOUT_PEERS, WORKLOADS
from jaxfeat.report.benchmark import STAGES

REPEATS = 5


@lru_cache(1)
def work(name, smoke, data):
    return WORKLOADS[name](smoke, None if data is None else Path(data))


@lru_cache(1)
def stages(name, package, smoke, data):
    at = work(name, smoke, data)
    return Jaxfeat(at, "gto").stages() if package == "jaxfeat" else PEERS[package](at).stages()


# The lowest parameter varies last, so that all stages of a work share compiled programs and setup.
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("package", ["jaxfeat", *PEERS])
@pytest.mark.parametrize("name", WORKLOADS)
def test_stage(name, package, stage, benchmark, request):
    smoke, data = request.config.getoption("--smoke"), request.config.getoption("--data") or os.environ.get(DATA)
    if name == "W6" and data is None:
        pytest.skip(NO_DATA)
    if package != "jaxfeat" and name in WITHOUT_PEERS:
        pytest.skip(WITHOUT_PEERS[name])
    if package != "jaxfeat" and (missing := PEERS[package].missing()):
        pytest.skip(missing)
    offered = stages(name, package, smoke, data)
    if stage not in offered:
        pytest.skip(f"{package} offers no {STAGES[stage]}")
    benchmark.group = f"{name}, {STAGES[stage]}"
    benchmark.extra_info["items"] = work(name, smoke, data).n_items
    benchmark.pedantic(offered[stage], rounds=1 if smoke else REPEATS, warmup_rounds=1)
