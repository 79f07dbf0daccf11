import math
import subprocess
import sys

from jaxfeat.bench.worker import WorkerProcess, accepted_flags

ACCEPTED = "--xla_cpu_parallel_codegen_split_count=1"


def test_a_package_that_fails_leaves_a_reason_and_no_times():
    with WorkerProcess("dscribe", "", True, None) as process:
        assert process.ask(open="W0") is None
        assert process.failed == "status 1: KeyError: 'W0'"
        assert math.isnan(process.time_stage("features", True).seconds)


def test_the_process_of_a_peer_does_not_load_jax():
    code = (
        "import sys, jaxfeat.bench.worker; from jaxfeat.bench.workloads import WORKLOADS; WORKLOADS['W4'](True, None); "
        "assert 'jax' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_flags_that_xla_does_not_know_are_left_out():
    assert accepted_flags([ACCEPTED]) == ACCEPTED
    assert accepted_flags([ACCEPTED, "--xla_no_such_flag=1"]) == ACCEPTED
    assert accepted_flags(["--xla_no_such_flag=1"]) == ""
