"""Results of any number of environments on disk."""
