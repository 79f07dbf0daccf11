import math
import subprocess
import sys

from jaxfeat.bench.worker import WorkerProcess


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
