"""SQLAlchemy's own test-suite, run on this driver and on others; see `run.py`."""
