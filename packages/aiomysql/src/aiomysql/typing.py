"""The types of options, for annotations: the module `aiomysql_core.typing`."""

from __future__ import annotations

import sys

import aiomysql_core.typing
from aiomysql_core.typing import ConnectOptions as ConnectOptions
from aiomysql_core.typing import KeywordOptions as KeywordOptions

# Importing this module gives the layer's own.
sys.modules[__name__] = aiomysql_core.typing
