"""Authentication methods: one small step function each.

MySQL: "Authentication Methods".
"""

from aiomysql_protocol.login.auth.base import AuthContext, AuthMethod, Dialog
from aiomysql_protocol.login.auth.registry import AUTH_METHODS

__all__ = ["AUTH_METHODS", "AuthContext", "AuthMethod", "Dialog"]
