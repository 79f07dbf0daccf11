"""What can go wrong, by kind. Every message names the culprit and the mend in one sentence."""


class GeometryError(ValueError):
    """Positions, cells or neighbor counts that describe no set of atoms."""


class SpeciesError(ValueError):
    """A chemical species that is unknown, missing, or not one of a featurizer's."""


class BasisError(ValueError):
    """Parameters that define no basis, cutoff or featurizer."""


class ReadError(ValueError):
    """An input that holds no structures."""


class SizeError(MemoryError):
    """Work that is too large, of input that nothing is wrong with: for the memory that is free, or for an algorithm."""


class PrecisionError(RuntimeError):
    """A question that the floating-point type in use cannot answer."""


class DerivativeError(TypeError):
    """A derivative that does not exist everywhere, and is refused."""


class ClusterError(RuntimeError):
    """Workers that keep dying, or that are gone, as their scheduler may be."""
