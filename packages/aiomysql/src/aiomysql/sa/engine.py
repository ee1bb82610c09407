"""Engines: the module `aiomysql_sa.engine`."""

from __future__ import annotations

import sys

import aiomysql_sa.engine
from aiomysql_sa.engine import Engine as Engine
from aiomysql_sa.engine import create_engine as create_engine

# Importing this module gives the layer's own, so that patching a name here takes effect there.
sys.modules[__name__] = aiomysql_sa.engine
