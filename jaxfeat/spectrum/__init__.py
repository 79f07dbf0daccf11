"""From features to singular spectra: Jacobians, their reduction, their decomposition, and one driver."""
