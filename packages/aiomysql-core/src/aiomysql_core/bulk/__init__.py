"""Many rows at once: INSERT of many, and LOAD DATA LOCAL INFILE."""

__all__: list[str] = []
