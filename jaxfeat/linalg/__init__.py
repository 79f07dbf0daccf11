"""Small dense linear algebra in batches; no atoms, no features."""
