"""A complete store, and ways to tell which chunks a sweep computes."""

import pytest
from stores import sweep_methanes

from jaxfeat.store import chunk


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """A store of the methanes that nothing interrupted."""
    path = tmp_path_factory.mktemp("whole") / "s.zarr"
    sweep_methanes(path, command="the first command")
    return path


@pytest.fixture
def never(monkeypatch):
    """No chunk may be computed."""

    def fail(*_, **__):
        raise AssertionError("something was computed")

    monkeypatch.setattr(chunk, "compute_chunk", fail)


@pytest.fixture
def computed(monkeypatch):
    """First structures of the chunks that are computed."""
    found, compute = [], chunk.compute_chunk

    def count(f, environments, *rest):
        found.append(int(environments.structure_index[0]))
        return compute(f, environments, *rest)

    monkeypatch.setattr(chunk, "compute_chunk", count)
    return found
