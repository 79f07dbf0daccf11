"""Sweeps over any number of environments, and their results in memory and on disk."""
