"""Results of a benchmark, as `jaxfeat.bench.compare` makes them."""

TIMES = {"compile": 0.0, "memory": 12.0, "fastest": 0.1, "calls": 5, "share": 0.99}


def stages(**seconds):
    return {stage: TIMES | {"seconds": value} for stage, value in seconds.items()}


def benchmark_results(jaxfeat):
    """Make results of a workload that DScribe and perhaps jaxfeat have done, and of one without data."""
    peer = {"stages": stages(features=1.0, jacobian=2.0, values=4.0, vectors=8.0)}
    packages = {
        "jaxfeat": jaxfeat,
        "dscribe": peer,
        "quippy": {"skipped": "quippy is not installed; pip install 'jaxfeat[peers]' adds it."},
    }
    works = {"W1": {"title": "some", "n": 100, "unit": "configurations", "packages": packages}}
    works["W6"] = {"skipped": "no data.", "packages": {}}
    return {
        "machine": {"processor": "P", "cores": 1, "system": "S", "date": "2000-01-01"},
        "versions": {"jax": "1.0"},
        "works": works,
    }
