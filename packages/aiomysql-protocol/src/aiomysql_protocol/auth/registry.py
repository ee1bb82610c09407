"""The methods this package knows, by their names on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from aiomysql_protocol.auth.base import AuthMethod
from aiomysql_protocol.auth.caching_sha2 import CachingSha2Password
from aiomysql_protocol.auth.native import NativePassword

#: Plugin name -> method.
AUTH_METHODS: Mapping[str, type[AuthMethod]] = MappingProxyType(
    {method.name: method for method in (NativePassword, CachingSha2Password)}
)
