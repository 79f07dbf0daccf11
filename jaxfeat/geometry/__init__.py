"""Atoms become arrays: environments, structures, neighbors, symmetry."""
