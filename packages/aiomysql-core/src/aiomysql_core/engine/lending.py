"""Lending: see `aiomysql_protocol.lending`."""

from __future__ import annotations

from aiomysql_protocol.implementation import Item as Item
from aiomysql_protocol.implementation import Loan as Loan
from aiomysql_protocol.implementation import Shelf as Shelf
from aiomysql_protocol.implementation import Turn as Turn
