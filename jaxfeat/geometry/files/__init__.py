"""Structures from files and built-in sets. ASE is imported inside functions, so other input works without it."""
