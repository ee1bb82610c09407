"""The test-suite, shared by all five distributions."""
