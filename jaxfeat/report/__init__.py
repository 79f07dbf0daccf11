"""Tables and pictures of results that are at hand: no JAX in here.

Everything takes records, one dictionary per environment, as `jaxfeat.nulls.scan.scan` makes them, with the structure's
`name` added.
"""
