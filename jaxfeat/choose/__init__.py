"""Which descriptor for these data."""
