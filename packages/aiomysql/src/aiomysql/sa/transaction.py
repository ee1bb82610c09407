"""Transactions: the module `aiomysql_sa.transaction`."""

from __future__ import annotations

import sys

import aiomysql_sa.transaction
from aiomysql_sa.transaction import NestedTransaction as NestedTransaction
from aiomysql_sa.transaction import RootTransaction as RootTransaction
from aiomysql_sa.transaction import Transaction as Transaction
from aiomysql_sa.transaction import TwoPhaseTransaction as TwoPhaseTransaction

# Importing this module gives the layer's own, so that patching a name here takes effect there.
sys.modules[__name__] = aiomysql_sa.transaction
