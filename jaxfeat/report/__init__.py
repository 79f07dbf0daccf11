"""Tables and pictures of results that are at hand: no JAX in here.

Everything takes records, one dictionary per environment, as `jaxfeat.sweep.run.scan` makes them, with the structure's
`name` added.
"""
