"""From features back to environments."""
