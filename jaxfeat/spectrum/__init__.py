"""From features to singular spectra: Jacobians, their reduction and decomposition, and one driver."""
