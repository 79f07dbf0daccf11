"""The power spectrum: its features, its Jacobian, and the Gram matrix of its Jacobian."""
