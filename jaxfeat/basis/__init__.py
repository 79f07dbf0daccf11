"""Radial bases and cutoff windows."""
