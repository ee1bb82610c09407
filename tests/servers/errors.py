"""What goes wrong with a test server."""

from __future__ import annotations

ADVICE = (
    "Install what is missing, or point AIOMYSQL_TEST_DSN at a server that is already running, "
    "for example mysql://root:secret@127.0.0.1:3306/test"
)


class ServerError(Exception):
    """A test server cannot be fetched, started or reached; the message says why and what to do."""
