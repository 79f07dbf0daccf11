"""Benchmarks: jaxfeat beside the packages that one would take instead."""
