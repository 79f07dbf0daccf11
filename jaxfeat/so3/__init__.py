"""Harmonics and couplings of the rotation group; no atoms."""
