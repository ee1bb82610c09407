"""Responses nobody would write, fed to the session."""
