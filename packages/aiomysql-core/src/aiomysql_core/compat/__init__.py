"""What only code written for classic aiomysql, and tracers, reach for."""

__all__ = ["classic"]
