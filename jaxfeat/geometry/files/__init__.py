"""Structures of files and built-in sets; the only place of ASE."""
