"""The commands `doctor` and `query` of `python -m aiomysql` and `python -m aiomysql_core`: nothing
else imports them.
"""

__all__ = ["command_line", "commands"]
