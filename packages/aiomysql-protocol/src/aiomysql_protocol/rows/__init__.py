"""The rows of a result set: their metadata, and how values are made of their bytes."""

__all__ = ["binary", "binary_cells", "cells", "metadata", "text"]
