"""Atoms as arrays: environments, structures, neighbors, files, rigid motions, symmetry, alignment."""
