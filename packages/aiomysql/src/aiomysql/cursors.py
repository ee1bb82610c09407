"""Cursors: the module `aiomysql_core.cursors`."""

from __future__ import annotations

import sys

import aiomysql_core.cursors
from aiomysql_core.cursors import Cursor as Cursor
from aiomysql_core.cursors import DeserializationCursor as DeserializationCursor
from aiomysql_core.cursors import DictCursor as DictCursor
from aiomysql_core.cursors import SSCursor as SSCursor
from aiomysql_core.cursors import SSDictCursor as SSDictCursor

# Importing this module gives the layer's own, so that patching a name here takes effect there.
sys.modules[__name__] = aiomysql_core.cursors
