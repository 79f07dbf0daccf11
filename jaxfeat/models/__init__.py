"""Models of other packages as featurizers."""
