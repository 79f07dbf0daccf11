"""Random samples keep the shares of species."""

import numpy as np
import pytest

from jaxfeat.choose.sample import draw_sample
from jaxfeat.errors import GeometryError

SPECIES = np.asarray([1] * 60 + [6] * 38 + [8] * 2, np.int32)


def test_samples_keep_the_shares_of_species_and_the_rare_ones():
    drawn = draw_sample(SPECIES, 21, seed=1)
    assert (np.diff(drawn) > 0).all()
    assert np.unique(SPECIES[drawn], return_counts=True)[1].tolist() == [12, 8, 1]
    assert np.unique(SPECIES[draw_sample(SPECIES, 3)]).tolist() == [1, 6, 8]


def test_samples_depend_on_the_seed_alone():
    drawn = draw_sample(SPECIES, 21, seed=1)
    assert (drawn == draw_sample(SPECIES, 21, seed=1)).all()
    assert (drawn != draw_sample(SPECIES, 21, seed=2)).any()


@pytest.mark.parametrize("size", [0, 100, 1000])
def test_a_sample_of_all_holds_each_environment_once(size):
    assert draw_sample(SPECIES, size).tolist() == list(range(100))


@pytest.mark.parametrize(("size", "seed"), [(2, 0), (-1, 0), (10, -1)])
def test_impossible_samples_are_refused(size, seed):
    with pytest.raises(GeometryError, match="sample"):
        draw_sample(SPECIES, size, seed)
