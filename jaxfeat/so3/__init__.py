"""Harmonics and coupling tensors of the rotation group; no atoms."""
