"""The MySQL and MariaDB client protocol without I/O.

`Session` takes the bytes that arrive and gives results and the bytes to send; see `session`.
"""

from aiomysql_protocol._version import __version__

__all__ = ["__version__"]
