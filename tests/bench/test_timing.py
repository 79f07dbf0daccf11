import math
from functools import partial

import numpy as np
import pytest

from jaxfeat.bench.timing import Lap, process_megabytes, time_call, time_in_turns


def test_a_stage_is_its_first_call_and_the_median_of_the_others():
    busy = iter([0.2, 0.01, 0.02, 0.03, 0.04, 0.05])
    (found,) = time_in_turns([lambda _: Lap(0.001 + (x := next(busy)), x, 40.0)], min_calls=5, min_seconds=0.0)
    assert found["calls"] == 5 and found["dropped"] == 0
    assert found["seconds"] == pytest.approx(0.03)
    assert found["wall"] == pytest.approx(0.031)
    assert found["compile"] == pytest.approx(0.17)
    assert found["memory"] == 40
    assert found["share"] == pytest.approx(0.15 / 0.155)


def test_disturbed_laps_are_dropped_and_counted_and_made_up_for():
    # The core is shared in the first three laps after that of compilation, and CPU time doubles there.
    shares = iter([0.3, 0.5, 0.5, 0.89, *[0.95] * 5])
    (found,) = time_in_turns([lambda _: Lap(1.0, next(shares), 0.0)], min_calls=5, min_seconds=0.0)
    assert (found["calls"], found["dropped"]) == (5, 3)
    assert found["seconds"] == found["share"] == pytest.approx(0.95)
    # As many laps again as were asked for, and what there is then.
    shares = iter([0.3, 0.95, *[0.5] * 9])
    (found,) = time_in_turns([lambda _: Lap(1.0, next(shares), 0.0)], min_calls=5, min_seconds=0.0)
    assert (found["calls"], found["dropped"], found["seconds"]) == (1, 9, 0.95)
    (found,) = time_in_turns([lambda _: Lap(1.0, 0.5, 0.0)], min_calls=5, min_seconds=0.0)
    assert (found["calls"], found["dropped"], found["share"]) == (10, 0, 0.5)


def test_ratios_are_of_cpu_time():
    """By the clock, the second package would take twice as long as the first."""
    busy = time_in_turns([lambda _: Lap(1.0, 1.0, 0.0), lambda _: Lap(2.0, 1.0, 0.0)], min_calls=3, min_seconds=0.0)
    assert [found["seconds"] for found in busy] == [1.0, 1.0]


def test_calls_take_turns_until_each_has_had_its_time():
    done = []

    def call(name, seconds, reset_peak):
        done.append(name + "!" * reset_peak)
        return Lap(seconds, seconds, 0.0)

    time_in_turns([partial(call, "a", 1.0), partial(call, "b", 0.25)], min_calls=2, min_seconds=0.75)
    assert "".join(done) == "a!b!ababb"
    done.clear()
    time_in_turns([partial(call, "a", 1.0)], min_calls=1, min_seconds=0.0, compiled=True)
    assert done == ["a!"]


def test_a_lap_knows_what_its_process_held():
    before = process_megabytes("VmRSS")
    found = time_call(lambda: np.ones(40 * 2**17), reset_peak=True)
    # Other threads of the process may give pages back while this one takes 40 MB.
    assert 30 < found.megabytes - before < 60 or math.isnan(found.megabytes)
    assert 0 < found.busy and 0 < found.seconds
