"""A sweep into a store, without the labelled data set that `sweep` opens afterwards: xarray takes a second to load."""

from pathlib import Path
from typing import Any

from jaxfeat.errors import ReadError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.files.frames import Frames
from jaxfeat.geometry.random import draw_evenly
from jaxfeat.progress import Progress, show_progress
from jaxfeat.store.stream import open_stream


def sweep_into_store(
    f: AbstractFeaturizer,
    at: Any,
    path: Path,
    progress: Progress | bool | None = None,
    *,
    sample: int | None = None,
    seed: int = 0,
    **options: Any,
) -> None:
    """Sweep a batch or a stream of environments into the store at `path`, with the arguments of `sweep`."""
    # Imported here because zarr takes time, and other sweeps do without.
    from jaxfeat.store.sweep_stream import sweep_stream

    stream = open_stream(at if sample is None else draw_sample(at, sample, seed))
    with show_progress(progress, "environments", stream.total, resumes=True) as report:
        sweep_stream(f, stream, path, report, sample=None if sample is None else [sample, seed], **options)


def draw_sample(at: Any, sample: int, seed: int) -> Frames | Environment:
    """Draw environments from frames or a batch."""
    if isinstance(at, Frames):
        return at.sampled(sample, seed)
    if isinstance(at, Environment):
        return at[draw_evenly(len(at), sample, seed)]
    raise ReadError("a sample is drawn from frames or from a batch of environments; leave out sample.")
