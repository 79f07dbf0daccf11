"""Flags that XLA does not know are left out: at one of them it would end the process."""

from jaxfeat.bench.flags import known

KEPT = "--xla_cpu_parallel_codegen_split_count=1"


def test_only_flags_that_xla_knows_are_passed():
    assert known([KEPT]) == KEPT
    assert known([KEPT, "--xla_no_such_flag=1"]) == KEPT
    assert known(["--xla_no_such_flag=1"]) == ""
