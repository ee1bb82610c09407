"""The type variables of results; the stub beside it says more than Python 3.11 can."""

from typing import TypeVarTuple

#: The types of a row's columns.
Ts = TypeVarTuple("Ts")
