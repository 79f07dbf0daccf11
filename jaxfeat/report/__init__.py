"""Tables, pictures and pages of results, without JAX. Tables and pictures of a scan take records: one dictionary for
each environment, as `jaxfeat.nulls.scan.scan` makes it, with the `name` of the structure. Those of a sweep into a store
take a `StoreSummary`, which adds up the columns of the store."""
