"""What maintainers run that is neither a test nor part of a distribution."""
