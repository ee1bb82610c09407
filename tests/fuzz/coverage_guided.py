"""Coverage-guided fuzzing of the session with atheris.

    hatch run fuzz:session                          # until it finds something
    hatch run fuzz:session -max_total_time=60       # options of libFuzzer

A case that fails is written into the current folder as crash-*: put it into tests/fuzz/seeds as
NAME.bin, where `tests/fuzz/test_session.py` finds it.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path

# Imported with coverage; the tests themselves are not of interest.
PACKAGE = "aiomysql_protocol"


def main() -> None:
    """Run libFuzzer with the options of the command line."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=[PACKAGE]):
        # Here for the first time, or they would have been imported without.
        from tests.fuzz.corpus import responses
        from tests.fuzz.sessions import check, seeds
    with tempfile.TemporaryDirectory() as folder:
        corpus = [data for _, data in seeds()] + list(responses())
        for number, data in enumerate(corpus):
            (Path(folder) / f"{number}").write_bytes(data)
        atheris.Setup([*sys.argv, folder], check)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
