import math

from jaxfeat.bench.worker_process import WorkerProcess


def test_a_package_that_fails_leaves_a_reason_and_no_times():
    with WorkerProcess("dscribe", "", True, None) as process:
        assert process.ask(open="W0") is None
        assert process.failed == "status 1: KeyError: 'W0'"
        assert math.isnan(process.time_stage("features", True).seconds)
