"""Connecting, and the streams of bytes."""

__all__: list[str] = []
