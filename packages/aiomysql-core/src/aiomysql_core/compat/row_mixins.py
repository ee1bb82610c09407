"""Mixins with classic names that change the rows of a cursor; they stand before its class."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from pymysql.constants import FIELD_TYPE

from aiomysql_protocol.rows.text import dict_rows

if TYPE_CHECKING:
    from aiomysql_core.cursors import Cursor
    from aiomysql_protocol.commands.query import Result

    _MixinBase = Cursor
else:
    _MixinBase = object


class _RowMixin(_MixinBase):
    """Base of the mixins that change rows."""

    _converts_rows = True


class _DictCursorMixin(_RowMixin):
    #: Class of the rows; may be overridden.
    dict_type: type[dict[str, Any]] = dict

    _fields: list[str]

    def _learn_columns(self, result: Result) -> None:
        super()._learn_columns(result)
        names: set[str] = set()  # beside the list: a server may send very many columns
        self._fields = []
        for column in result.fields:
            name = column.name
            if name in names:
                name = f"{column.table_name}.{column.name}"
            names.add(name)
            self._fields.append(name)

    def _conv_rows(self, rows: list[Any]) -> list[Any]:
        # Not if there is a `_conv_row` beside the one here and that of Cursor.
        makers = sum("_conv_row" in vars(cls) for cls in type(self).__mro__)
        if self.dict_type is not dict or makers > 2:
            return super()._conv_rows(rows)
        dict_rows(tuple(self._fields), rows)
        return rows

    def _conv_row(self, row: Any) -> Any:
        return self.dict_type(zip(self._fields, super()._conv_row(row), strict=True))


class _DeserializationCursorMixin(_RowMixin):
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
