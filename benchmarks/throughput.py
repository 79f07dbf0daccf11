"""Compare a sweep into a store with its spectra alone: `python benchmarks/throughput.py [--smoke] [--rounds N]`.

Random methanes, read, worked on and written, per second; and the same spectra, screened, raw and equilibrated, of
environments that are held already and results that are dropped. In turns, after one round that compiles, on one device
and all cores that this process may use (`taskset -c 0` for one).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import jax

import jaxfeat
from jaxfeat.geometry.environment import concatenate_on_host
from jaxfeat.spectrum.driver import spectra_in_blocks

SETTINGS = {"species": ("C", "H"), "n_max": 8, "l_max": 6, "r_cut": 4.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="few environments")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    n, held = (2048, 1024) if arguments.smoke else (262_144, 32_768)
    jax.config.update("jax_enable_x64", True)
    f = jaxfeat.PowerSpectrum(**SETTINGS)
    batch = concatenate_on_host(list(jaxfeat.frames(f"random-methane:{held}", f.r_cut, centers=["C"]).batches(0)))

    def alone() -> float:
        begin = time.perf_counter()
        for _ in spectra_in_blocks(f, batch, screened=True):
            pass
        return len(batch) / (time.perf_counter() - begin)

    def swept() -> float:
        with tempfile.TemporaryDirectory() as folder:
            frames = jaxfeat.frames(f"random-methane:{n}", f.r_cut, centers=["C"])
            begin = time.perf_counter()
            jaxfeat.sweep(f, frames, out=Path(folder) / "store.zarr", screened=True)
            return n / (time.perf_counter() - begin)

    alone(), swept()
    ratios = []
    for _ in range(arguments.rounds):
        before, sweep, after = alone(), swept(), alone()
        ratios.append(2 * sweep / (before + after))
        print(f"alone {before:,.0f} and {after:,.0f}, swept {sweep:,.0f} a second: {ratios[-1]:.2f}", flush=True)
    print(f"median {median(ratios):.2f}")


if __name__ == "__main__":
    main()
