"""Singular points: found by search, landed on, classified and followed."""
