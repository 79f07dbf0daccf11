"""Exact Jacobians and singular spectra of structure-feature maps: find what atomic descriptors cannot see.

The stub `__init__.pyi` lists the public names. Each one is imported when it is first used, so `import jaxfeat` loads
neither JAX nor NumPy.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
