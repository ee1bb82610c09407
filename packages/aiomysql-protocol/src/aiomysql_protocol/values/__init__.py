"""Values as a server takes them: as literals in a statement"s text, or as parameters."""

__all__ = ["file_rows", "literals", "parameter_rows", "parameters", "session_zone"]
