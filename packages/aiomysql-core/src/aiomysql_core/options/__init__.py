"""The options of `connect`: their names, values and sources."""
