"""From anywhere to an exact singular point: descend where that is needed, land, classify."""
