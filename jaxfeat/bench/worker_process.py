"""A worker of the benchmark, seen from the process that started it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from math import nan
from typing import Any

from jaxfeat.bench.timing import ONE_THREAD, Lap
from jaxfeat.bench.xla_flags import FAST_COMPILE_FLAGS, accepted_flags

ENVIRONMENT = {
    **ONE_THREAD,
    "JAX_PLATFORMS": "cpu",
    "JAX_ENABLE_X64": "true",
    # Compilation is timed, so no program may come from disk.
    "JAX_ENABLE_COMPILATION_CACHE": "false",
}


class WorkerProcess:
    """A process that runs `jaxfeat.bench.worker` for one package. It ends with the `with` block.

    **Attributes:**

    - `package`, `variant`: The package, and for jaxfeat the basis and window.
    - `failed`: Why the process does not answer any more; empty while it does.
    """

    def __init__(self, package: str, variant: str, smoke: bool, data: str | None) -> None:
        self.package, self.variant, self.failed = package, variant, ""
        job = {"package": package, "variant": variant, "smoke": smoke, "data": data}
        self._errors = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "jaxfeat.bench.worker", json.dumps(job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, **ENVIRONMENT} | ({"XLA_FLAGS": accepted_flags(FAST_COMPILE_FLAGS)} if smoke else {}),
        )

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def ask(self, **question: Any) -> Any:
        """Return the answer to a question, or `None` and a reason in `failed`."""
        assert self._process.stdin is not None and self._process.stdout is not None
        answer = ""
        try:
            print(json.dumps(question), file=self._process.stdin, flush=True)
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            pass
        if answer:
            return json.loads(answer)
        if not self.failed:
            self._errors.seek(0)
            reason = (self._errors.read().strip().splitlines() or ["no message"])[-1]
            self.failed = f"status {self._process.wait()}: {reason[:300]}"
        return None

    def time_stage(self, stage: str, reset_peak: bool) -> Lap:
        """Time one call of a stage, or return NaN if the process has failed."""
        found = self.ask(stage=stage, reset_peak=reset_peak)
        return Lap(nan, nan, nan) if found is None else Lap(*found)
