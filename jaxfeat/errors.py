"""Exceptions of jaxfeat. Each message says what is wrong, where it is, and what to do."""


class GeometryError(ValueError):
    """Positions, cells or neighbor counts that describe no set of atoms."""


class SpeciesError(ValueError):
    """A chemical species that is unknown, missing, or not among those of a featurizer."""


class BasisError(ValueError):
    """Parameters that define no basis, cutoff or featurizer."""


class ReadError(ValueError):
    """An input from which no structures can be read, or a target to which no result can be written."""


class SizeError(MemoryError):
    """Valid input that needs more memory than is free, or more work than the algorithm allows."""


class PrecisionError(RuntimeError):
    """A question that the floating-point type in use cannot answer."""


class DerivativeError(TypeError):
    """A derivative that is refused because it does not exist everywhere."""


class ClusterError(RuntimeError):
    """Workers of a cluster that keep dying or cannot be reached."""


class ModelError(RuntimeError):
    """A model of another package that does not do as it declares, or that is asked for more than it can."""
