"""Radial functions and cutoff windows."""
