"""Answers nobody would write, fed to the session."""
