"""What can be read in a statement's text."""
