"""Maps from environments and structures to features."""
