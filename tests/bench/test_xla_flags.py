from jaxfeat.bench.xla_flags import accepted_flags

ACCEPTED = "--xla_cpu_parallel_codegen_split_count=1"


def test_flags_that_xla_does_not_know_are_left_out():
    assert accepted_flags([ACCEPTED]) == ACCEPTED
    assert accepted_flags([ACCEPTED, "--xla_no_such_flag=1"]) == ACCEPTED
    assert accepted_flags(["--xla_no_such_flag=1"]) == ""
