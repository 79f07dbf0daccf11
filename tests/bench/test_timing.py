import math
from functools import partial

import numpy as np
import pytest

from jaxfeat.bench.timing import Lap, resident_megabytes, time_call, time_in_turns


def test_a_stage_is_its_first_call_and_the_median_of_the_others():
    seconds = iter([0.2, 0.01, 0.02, 0.03, 0.04, 0.05])
    (found,) = time_in_turns([lambda _: Lap(next(seconds), 0.01, 40.0)], min_calls=5, min_seconds=0.0)
    assert found["calls"] == 5
    assert found["seconds"] == pytest.approx(0.03)
    assert found["compile"] == pytest.approx(0.17)
    assert found["memory"] == 40
    assert found["share"] == pytest.approx(0.05 / 0.15)


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
    before = resident_megabytes()
    found = time_call(lambda: np.ones(40 * 2**17), reset_peak=True)
    # Other threads of the process may give pages back while this one takes 40 MB.
    assert 30 < found.megabytes - before < 60 or math.isnan(found.megabytes)
    assert 0 < found.busy and 0 < found.seconds
