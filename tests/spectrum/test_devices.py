"""Several devices of one process share each block and find the spectra that one device finds."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import jax
import numpy as np
jax.config.update("jax_enable_x64", True)
import jaxfeat
from jaxfeat.features.host_work import HOST_SECONDS
from jaxfeat.spectrum import driver

share_among_devices, shares = driver.share_among_devices, []
def watched(*call):
    found = share_among_devices(*call)
    values = found[0].values
    shares.append([(shard.device.id, shard.data.shape[0]) for shard in values.addressable_shards])
    return found
driver.share_among_devices = watched

f = jaxfeat.PowerSpectrum(("C", "H"), n_max=2, l_max=1)
HOST_SECONDS.update(call=0, chunk=0, job=0)
methanes = jaxfeat.environments(jaxfeat.read("random-methane:70:1").atoms, 4.0, "C")
# Eight neighbors give more columns than lanes take, so that LAPACK decomposes them.
larger = jaxfeat.manifolds.random_environments(jax.random.key(0), 70, ["H"] * 8, (1, 3), 0.5, "C")
for batch in methanes, larger:
    ((indices, found),) = driver.spectra_in_blocks(f, batch)
    with jax.default_device(jax.local_devices()[0]):
        ((_, expected),) = driver.spectra_in_blocks(f, batch)
    assert shares == [[(0, 32), (1, 32), (2, 32), (3, 32)], [(0, 128)]], shares
    shares.clear()
    assert indices.tolist() == list(range(70))
    for one, other in zip(expected, found):
        assert (one.n_values == other.n_values).all() and one.status.names.tolist() == other.status.names.tolist()
        np.testing.assert_allclose(other.floor, one.floor, rtol=1e-14)
        assert one.values.shape == other.values.shape
        difference = np.abs(other.values - one.values) / one.values[:, :1]
        assert (np.isnan(one.values) == np.isnan(other.values)).all()
        assert np.nanmax(difference) <= 10 * 2**-52, np.nanmax(difference)
"""


@pytest.mark.skipif(os.environ.get("JAX_PLATFORMS", "cpu") != "cpu", reason="virtual devices are the CPU's")
def test_four_devices_find_what_one_finds():
    """Values agree within ten eps of the largest, as `spectra_in_blocks` promises."""
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT],
        capture_output=True,
        text=True,
        env=os.environ | {"JAX_NUM_CPU_DEVICES": "4"},
        timeout=120,
    )
    assert finished.returncode == 0, finished.stderr
