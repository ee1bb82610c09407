"""The methods this package knows, by their names on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from aiomysql_protocol.login.auth.base import AuthMethod
from aiomysql_protocol.login.auth.caching_sha2 import CachingSha2Password
from aiomysql_protocol.login.auth.cleartext import ClearPassword
from aiomysql_protocol.login.auth.dialog import DialogPassword
from aiomysql_protocol.login.auth.mariadb import Ed25519Password, Parsec
from aiomysql_protocol.login.auth.native import NativePassword
from aiomysql_protocol.login.auth.old_password import OldPassword
from aiomysql_protocol.login.auth.sha256 import Sha256Password

_METHODS: tuple[type[AuthMethod], ...] = (
    NativePassword,
    CachingSha2Password,
    Sha256Password,
    ClearPassword,
    Ed25519Password,
    Parsec,
    DialogPassword,
    OldPassword,
)

#: Plugin name -> method.
AUTH_METHODS: Mapping[str, type[AuthMethod]] = MappingProxyType(
    {method.name: method for method in _METHODS}
)
