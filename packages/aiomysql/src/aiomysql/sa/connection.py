"""Connections for SQLAlchemy: the module `aiomysql_sa.connection`."""

from __future__ import annotations

import sys

import aiomysql_sa.connection
from aiomysql_sa.connection import SAConnection as SAConnection

# Importing this module gives the layer's own, so that patching a name here takes effect there.
sys.modules[__name__] = aiomysql_sa.connection
