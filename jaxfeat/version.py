"""The version of the installed package, in a module of its own because finding it takes time."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("jaxfeat")
except PackageNotFoundError:
    __version__ = "(not installed)"
