"""What can be read in a statement"s text."""

__all__ = [
    "character_sets",
    "local_infile",
    "marks",
    "parameter_places",
    "placeholders",
    "repeated",
    "statements",
]
