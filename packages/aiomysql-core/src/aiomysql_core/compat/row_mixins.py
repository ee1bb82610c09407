"""Mixins with classic names that change the rows of a cursor; they stand before its class."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from pymysql.constants import FIELD_TYPE

from aiomysql_core.compat import hooks
from aiomysql_protocol.commands.query import Result

if TYPE_CHECKING:
    from aiomysql_core.cursors import Cursor

    # (Of other rows a class may be that a mixin stands before.)
    _DictBase = Cursor[dict[str, Any]]
    _AnyBase = Cursor[Any]
else:
    _DictBase = _AnyBase = object


class _DictCursorMixin(_DictBase):
    _converts_rows = True

    #: Class of the rows; may be overridden.
    dict_type: type[dict[str, Any]] = dict

    @property
    def _fields(self) -> list[str]:
        result = self._result
        return list(result.metadata.keys) if result is not None and result.metadata else []

    def _has_dict_rows(self) -> bool:
        return hooks.has_dict_rows(type(self)) and hooks.ROW_HOOKS.isdisjoint(vars(self))

    def _conv_row(self, row: Any) -> Any:
        return self.dict_type(zip(self._fields, super()._conv_row(row), strict=True))


hooks.own_functions(_DictCursorMixin, ("_conv_row",))


class _DeserializationCursorMixin(_AnyBase):
    _converts_rows = True
    _json_columns: list[tuple[int, str]]

    def _learn_columns(self, result: Result) -> None:
        super()._learn_columns(result)
        self._json_columns = [
            (index, column.name)
            for index, column in enumerate(result.fields)
            if column.type_code == FIELD_TYPE.JSON
        ]

    def _conv_row(self, row: Any) -> Any:
        row = super()._conv_row(row)
        if not self._json_columns:
            return row
        is_dict = isinstance(row, dict)
        values: Any = row if is_dict else list(row)
        for index, name in self._json_columns:
            key = name if is_dict else index
            with contextlib.suppress(ValueError, TypeError):
                values[key] = json.loads(values[key])
        return values if is_dict else tuple(values)
