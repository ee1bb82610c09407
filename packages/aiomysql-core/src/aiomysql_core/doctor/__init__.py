"""The commands `doctor` and `query` of `python -m aiomysql`: nothing else imports them."""

__all__ = ["commands"]
