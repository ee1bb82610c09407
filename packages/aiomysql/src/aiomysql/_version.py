"""The version of this distribution, read by the build and by the package itself."""

__version__ = "1.0.0"
