"""Connecting, and the streams of bytes."""
