"""From what the caller executes to the text and the parameters that a cursor takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.schema import Column, DDLElement
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.compiler import Compiled, SQLCompiler
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.sql.functions import FunctionElement

from aiomysql_sa._sqlalchemy import (
    ResultColumns,
    default_key,
    expand,
    result_columns,
    row_of_values,
)
from aiomysql_sa.exc import ArgumentError

Row = Mapping[str, Any]


def check_dialect(dialect: Dialect) -> None:
    """Raise ArgumentError for a dialect whose statements the server or a cursor won't take."""
    if dialect.name not in {"mysql", "mariadb"}:
        raise ArgumentError(f"the dialect {dialect.name!r} is not one of MySQL or MariaDB")
    if dialect.paramstyle not in {"format", "pyformat"}:
        raise ArgumentError(
            f"the dialect {dialect.name}+{dialect.driver} writes placeholders of the style "
            f"{dialect.paramstyle!r}, but cursors take 'format' and 'pyformat'"
        )


def wants_streaming(query: object) -> bool:
    """Whether a query has the execution option `stream_results`."""
    options = query.execution_options if isinstance(query, Compiled) else None
    if isinstance(query, Executable):
        options = query.get_execution_options()
    return bool(options and options.get("stream_results"))


def distill_params(
    multiparams: Sequence[Any] | None, params: Mapping[str, Any] | None
) -> Sequence[Any]:
    """Turn the arguments of `execute(query, *multiparams, **params)` into a list of rows.

    A row is a dict, or a tuple or list of positional values. There are none for no arguments.
    """
    if not multiparams:
        return [params] if params else []
    first = multiparams[0]
    if len(multiparams) > 1:
        return multiparams if _is_row(first) else [multiparams]
    if isinstance(first, (list, tuple)):
        return first if not first or _is_row(first[0]) else [first]
    return [first] if hasattr(first, "keys") else [[first]]


def _is_row(value: Any) -> bool:
    return hasattr(value, "__iter__") and not hasattr(value, "strip")


@dataclass(slots=True)
class DefaultContext:
    """What a column default that takes an argument gets."""

    compiled: SQLCompiler
    dialect: Dialect
    current_parameters: Row
    current_column: Column[Any]

    def get_current_parameters(self, isolate_multiinsert_params: bool = True) -> Row:
        """Return the row's parameters, by the keys of the columns.

        Unless told not to, of an INSERT of several rows only the one that the default is for.
        """
        row = row_of_values(self.compiled, self.current_column)
        if row is None or not isolate_multiinsert_params:
            return self.current_parameters
        suffix = f"_m{row}"
        return {
            key.removesuffix(suffix): value
            for key, value in self.current_parameters.items()
            if key.endswith(suffix)
        }


@dataclass(slots=True)
class Default:
    """A column default that the driver has to provide for a row."""

    key: str
    column: Column[Any]
    query: ClauseElement | None
    """What the server must be asked first; None for a value or a function."""
    _generator: Any

    def value(self, compiled: SQLCompiler, row: Row) -> Any:
        """Evaluate a default that is a value or a function."""
        argument = self._generator.arg
        if not self._generator.is_callable:
            return argument
        return argument(DefaultContext(compiled, compiled.dialect, row, self.column))


class Statement:
    """A compiled statement, ready to be bound to rows of parameters."""

    def __init__(self, compiled: SQLCompiler) -> None:
        """Take what SQLAlchemy has compiled."""
        self._compiled = compiled
        self._processors = dict(_bind_processors(compiled))
        self._expands = bool(compiled.post_compile_params or compiled.literal_execute_params)
        self.defaults: list[Default] = list(_defaults(compiled))
        self.columns: ResultColumns = result_columns(compiled)

    @property
    def uniform(self) -> bool:
        """Whether the text is the same for all parameters."""
        return not self._expands

    def takes(self, row: Row) -> bool:
        """Whether the row, with the defaults, gives all the values that the statement needs."""
        provided = {default.key for default in self.defaults}
        return {bind.key for bind in self._compiled.bind_names} - provided == set(row)

    def check_columns(self, row: Row) -> None:
        """Raise ArgumentError for a value that has no place in an INSERT or UPDATE."""
        known = {bind.key for bind in self._compiled.bind_names}
        if known.issuperset(row):
            return
        table = self._compiled.statement.table  # type: ignore[union-attr]
        unknown = sorted(set(row) - known - set(table.c.keys()))
        if unknown:
            raise ArgumentError(f"{table} has no column {unknown[0]!r}")

    def parameters(self, row: Row) -> dict[str, Any]:
        """Return the row together with the values that the statement brings itself."""
        binds = self._compiled.bind_names.items()
        own = {name: bind.effective_value for bind, name in binds if not bind.required}
        return {**own, **row}

    def default_value(self, default: Default, row: Row) -> Any:
        """Evaluate a default for which the server need not be asked."""
        return default.value(self._compiled, row)

    def bind(self, row: Row) -> tuple[str, tuple[Any, ...] | dict[str, Any]]:
        """Return the text and the parameters for a cursor.

        Raises sqlalchemy.exc.InvalidRequestError for a missing value.
        """
        compiled = self._compiled
        processors: Mapping[str, Callable[[Any], Any]] = self._processors
        values: Mapping[str, Any]
        if self._expands:
            sql, values, more, positions = expand(compiled, row)
            processors = {**processors, **more}
        else:
            sql, values = compiled.string, compiled.construct_params(row)
            positions = compiled.positiontup
        processed = {
            key: processors[key](value) if key in processors else value
            for key, value in values.items()
        }
        if not compiled.positional:
            return sql, processed
        escaped = compiled.escaped_bind_names
        return sql, tuple([processed[escaped.get(name, name)] for name in positions or ()])


def _bind_processors(compiled: SQLCompiler) -> Iterator[tuple[str, Callable[[Any], Any]]]:
    for bind, name in compiled.bind_names.items():
        if bind in compiled.post_compile_params or bind in compiled.literal_execute_params:
            continue
        processor = bind.type.dialect_impl(compiled.dialect).bind_processor(compiled.dialect)
        if processor is not None:
            yield compiled.escaped_bind_names.get(name, name), processor


def _defaults(compiled: SQLCompiler) -> Iterator[Default]:
    if not compiled.prefetch:
        return
    key = default_key(compiled)
    for columns, attribute in (
        (compiled.insert_prefetch, "default"),
        (compiled.update_prefetch, "onupdate"),
    ):
        for column in columns:
            generator = getattr(column, attribute)
            query = select(generator.arg) if generator.is_clause_element else None
            yield Default(key(column), column, query, generator)


def compile_query(
    query: ClauseElement | Compiled,
    rows: Sequence[Any],
    dialect: Dialect,
    cache: MutableMapping[Any, Any] | None,
) -> tuple[Statement, Sequence[Row]]:
    """Compile a query for its rows of parameters, of which there is at least one.

    Returns the statement and the rows as dicts. Raises ArgumentError for positional values where
    only names will do, and sqlalchemy.exc.CompileError.
    """
    if isinstance(query, Compiled):
        if not isinstance(query, SQLCompiler):
            raise ArgumentError(f"{query!r} can't be executed")
        check_dialect(query.dialect)
        return Statement(query), rows
    if isinstance(query, FunctionElement):
        query = select(query)
    named = [_named(query, row) for row in rows]
    first = named[0]
    if cache is not None:
        cached = cache.get(query)
        if cached is not None and cached.takes(first):
            return cached, named
    options: dict[str, Any] = {}
    if isinstance(query, UpdateBase):
        options = {"column_keys": sorted(first), "for_executemany": len(named) > 1}
    compiled = query.compile(dialect=dialect, **options)
    assert isinstance(compiled, SQLCompiler)
    statement = Statement(compiled)
    if compiled.isinsert or compiled.isupdate:
        for row in named:
            statement.check_columns(row)
    # Only what gets all its values here is worth keeping: the others are seldom seen again.
    if cache is not None and len(named) == 1 and statement.takes(first):
        cache[query] = statement
    return statement, named


def _named(query: ClauseElement, row: Any) -> Row:
    if hasattr(row, "keys"):
        return dict(row)
    if not row:
        return {}
    if not isinstance(query, UpdateBase):
        raise ArgumentError("Don't mix sqlalchemy SELECT clause with positional parameters")
    return dict(zip(query.table.c.keys(), row, strict=False))


def compile_ddl(query: DDLElement, rows: Sequence[Any], dialect: Dialect) -> str:
    """Return the text of a DDL statement. Raises ArgumentError if there are parameters."""
    if any(rows):
        raise ArgumentError("Don't mix sqlalchemy DDL clause and execution with parameters")
    return str(query.compile(dialect=dialect))
