"""Connections: the module `aiomysql_core.connection`."""

from __future__ import annotations

import sys

import aiomysql_core.connection
from aiomysql_core.connection import Connection as Connection
from aiomysql_core.connection import connect as connect

# Importing this module gives the layer's own, so that patching a name here takes effect there.
sys.modules[__name__] = aiomysql_core.connection
