"""What can be read in a statement"s text."""

__all__ = ["character_sets", "local_infile", "placeholders", "repeated", "statements"]
