"""The choice of a basis for given data."""
