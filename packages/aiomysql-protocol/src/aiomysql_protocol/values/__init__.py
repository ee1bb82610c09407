"""Values as a server takes them: as literals in a statement"s text, or as parameters."""

__all__ = ["literals", "parameter_rows", "parameters"]
