"""The options of `connect`: their names, values and sources."""

__all__ = ["dsn", "keywords", "options", "signatures"]
