"""Errors: the module `aiomysql_sa.exc`."""

from __future__ import annotations

import sys

import aiomysql_sa.exc
from aiomysql_sa.exc import ArgumentError as ArgumentError
from aiomysql_sa.exc import Error as Error
from aiomysql_sa.exc import InvalidRequestError as InvalidRequestError
from aiomysql_sa.exc import NoSuchColumnError as NoSuchColumnError
from aiomysql_sa.exc import ResourceClosedError as ResourceClosedError

# Importing this module gives the layer's own, so that patching a name here takes effect there.
sys.modules[__name__] = aiomysql_sa.exc
