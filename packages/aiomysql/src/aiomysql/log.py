"""The logger: the module `aiomysql_core.log`."""

from __future__ import annotations

import sys

import aiomysql_core.log
from aiomysql_core.log import logger as logger

# Importing this module gives the layer's own, so that patching a name here takes effect there.
sys.modules[__name__] = aiomysql_core.log
