"""The causes of null directions."""
