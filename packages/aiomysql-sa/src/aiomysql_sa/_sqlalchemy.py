"""The private names of SQLAlchemy that this layer can't do without, all in this module.

Checked on SQLAlchemy 1.4.41, 1.4.54, 2.0 and 2.1. Where 2.x has a public way, it is taken there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine


class ResultColumn(NamedTuple):
    """What a compiled statement knows of one column of its result."""

    name: str
    keys: Sequence[Any]
    """Column objects and strings by which the column may be addressed."""
    type: TypeEngine[Any]


class ResultColumns(NamedTuple):
    """What a compiled statement knows of the columns of its result."""

    columns: Sequence[ResultColumn]
    ordered: bool
    """Whether the columns are in the order of the statement's; else only names tell."""


class Expanded(NamedTuple):
    """A statement in which each value of a list has a placeholder of its own."""

    sql: str
    parameters: Mapping[str, Any]
    processors: Mapping[str, Any]
    """Bind processors of the new parameters, by their names."""
    positions: Sequence[str] | None
    """Names of the parameters in the order of the placeholders, if these are positional."""


def result_columns(compiled: SQLCompiler) -> ResultColumns:
    """Describe the result; the attributes are those that SQLAlchemy's own cursors read."""
    columns = [ResultColumn(name, keys, type_) for name, _, keys, type_ in compiled._result_columns]
    return ResultColumns(columns, compiled._ordered_columns)


def default_key(compiled: Any) -> Callable[[Any], str]:
    """Return the function that names the parameter for a column's default.

    It is the column's key, but qualified in an UPDATE of several tables.
    """
    getter: Callable[[Any], str] = compiled._within_exec_param_key_getter
    return getter


def row_of_values(compiled: Any, column: Any) -> int | None:
    """Tell for which row of `values([...])` a column's default is asked for.

    None if the statement has no such list. The parameters of row n are named `key_mn`.
    """
    if not compiled.compile_state._has_multi_parameters:
        return None
    # From the second row on, each default has a stand-in for its column.
    return column.index + 1 if hasattr(column, "original") else 0


def expand(compiled: SQLCompiler, parameters: Mapping[str, Any]) -> Expanded:
    """Write out lists (`IN`) and values that are to be literals."""
    if hasattr(compiled, "construct_expanded_state"):  # public since 2.0
        state = compiled.construct_expanded_state(parameters)
    else:
        values = compiled.construct_params(parameters)
        state = compiled._process_parameters_for_postcompile(values)
    return Expanded(
        state.statement, state.additional_parameters, state.processors, state.positiontup
    )
