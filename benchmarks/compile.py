"""Time the compilation of programs: `python benchmarks/compile.py [W1 ...] [--data FILE] [--rounds N] [--smoke]`.

What the first call for the singular values of a work, certified or screened, takes beyond the second: tracing, lowering
and compiling, of the largest batch of its environments or molecules, in processes of their own that may use every core
and take nothing from disk. The median of the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from statistics import median

from jaxfeat.bench.workloads import DATA

VARIANTS = {"W1": "gto", "W2": "gto", "W3": "gto-rascal", "W4": "gto", "W6": "gto-rascal"}

PROGRAM = """
import json, os, sys, time
from pathlib import Path
import jax
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_enable_compilation_cache", False)
from jaxfeat.bench.jaxfeat import Jaxfeat
from jaxfeat.bench.workloads import DATA, WORKLOADS
from jaxfeat.features.host_work import HOST_SECONDS
from jaxfeat.spectrum.driver import singular_spectrum
HOST_SECONDS.update(call=0.0)  # small works are compiled, too
name, variant, smoke, how = json.loads(sys.argv[1])
data = os.environ.get(DATA)
ours = Jaxfeat(WORKLOADS[name](smoke, Path(data) if data else None), variant)
batch = max(ours.large_blocks, key=lambda block: len(block.items)).batch
times = [time.perf_counter()]
for _ in range(2):
    jax.block_until_ready(singular_spectrum(ours.f, batch, **how))
    times.append(time.perf_counter())
print(2 * times[1] - times[0] - times[2])
"""


def seconds(*what) -> float:
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", PROGRAM, json.dumps(what)]
    return float(subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("works", nargs="*", choices=[[], *VARIANTS], help="default: all")
    parser.add_argument("--data", metavar="FILE", help=f"3bpa_train_300K.xyz, for W6 (default: ${DATA})")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--smoke", action="store_true", help="small works")
    arguments = parser.parse_args()
    if arguments.data:
        os.environ[DATA] = arguments.data
    works = arguments.works or [name for name in VARIANTS if name != "W6" or DATA in os.environ]
    print("| | certified | screened |\n|---|---|---|")
    for name in works:
        both = [
            median(seconds(name, VARIANTS[name], arguments.smoke, how) for _ in range(arguments.rounds))
            for how in ({"directions": False}, {"screened": True})
        ]
        print(f"| {name}, {VARIANTS[name]} | " + " | ".join(f"{one:.1f} s" for one in both) + " |", flush=True)


if __name__ == "__main__":
    main()
