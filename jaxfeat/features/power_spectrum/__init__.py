"""The power spectrum: features, Jacobian, compact Jacobian, Gram matrix and differential."""
