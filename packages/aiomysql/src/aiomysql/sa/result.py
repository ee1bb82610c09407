"""Results: the module `aiomysql_sa.result`."""

from __future__ import annotations

import sys

import aiomysql_sa.result
from aiomysql_sa.result import ResultMetaData as ResultMetaData
from aiomysql_sa.result import ResultProxy as ResultProxy
from aiomysql_sa.result import RowProxy as RowProxy
from aiomysql_sa.result import create_result_proxy as create_result_proxy

# Importing this module gives the layer's own, so that patching a name here takes effect there.
sys.modules[__name__] = aiomysql_sa.result
