"""A package in a process of its own, from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from math import nan
from typing import Any

from jaxfeat.bench.flags import SHORT, known
from jaxfeat.bench.timing import THREADS, Lap

ENVIRONMENT = {
    **THREADS,
    "JAX_PLATFORMS": "cpu",
    "JAX_ENABLE_X64": "true",
    # What is compiled is compiled here, not found on disk.
    "JAX_ENABLE_COMPILATION_CACHE": "false",
}


class Process:
    """`jaxfeat.bench.worker` with one package, in one of jaxfeat's variants where it is that. Used as a context.

    **Attributes:** `failed`: in a sentence, why it does not answer any more; empty as long as it does.
    """

    def __init__(self, package: str, variant: str, smoke: bool, data: str | None) -> None:
        self.package, self.variant, self.failed = package, variant, ""
        job = {"package": package, "variant": variant, "smoke": smoke, "data": data}
        self._errors = tempfile.TemporaryFile("w+")
        self._worker = subprocess.Popen(
            [sys.executable, "-m", "jaxfeat.bench.worker", json.dumps(job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, **ENVIRONMENT} | ({"XLA_FLAGS": known(SHORT)} if smoke else {}),
        )

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.kill()
        self._worker.communicate()
        self._errors.close()

    def ask(self, **question: Any) -> Any:
        """What it answers; `None`, and a reason in `failed`, where it cannot."""
        assert self._worker.stdin is not None and self._worker.stdout is not None
        answer = ""
        try:
            print(json.dumps(question), file=self._worker.stdin, flush=True)
            answer = self._worker.stdout.readline()
        except BrokenPipeError:
            pass
        if answer:
            return json.loads(answer)
        if not self.failed:
            self._errors.seek(0)
            reason = (self._errors.read().strip().splitlines() or ["no word"])[-1]
            self.failed = f"status {self._worker.wait()}: {reason[:300]}"
        return None

    def lap(self, stage: str, anew: bool) -> Lap:
        """One call of a stage; NaN where there is none."""
        found = self.ask(stage=stage, anew=anew)
        return Lap(nan, nan, nan) if found is None else Lap(*found)
