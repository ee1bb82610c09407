"""Where in a statement its marks stand: there a parameter means what a literal means, or not.

A literal has a type of its own, of which the server makes the types of what is around it: that of
``IFNULL(1.50, 'a')``, or of a column of a UNION. A parameter's type it guesses, when it prepares
the statement or when it first runs it, and what is around keeps what came of that. So a value is a
parameter where nothing is made of its type: where it is stored, compared, counted with, or is a
column of the result by itself. It is text as an argument of a function, an operand of other
operators and in CASE. A statement with a second SELECT is text whole: the columns of UNIONs and
subqueries have types, too, and servers plan these in another way when they are prepared.

MySQL: "Prepared Statements", "Type Conversion in Expression Evaluation".
"""

from __future__ import annotations

from enum import Enum, auto

__all__ = ["Place", "Places"]


class Place(Enum):
    """What a mark is."""

    #: Stored, compared, or a column of the result.
    VALUE = auto()
    #: What is added, subtracted or multiplied.
    OPERAND = auto()
    #: In LIMIT or OFFSET.
    COUNT = auto()
    #: Something of which the type may matter.
    OTHER = auto()


#: First words of statements whose marks are looked at.
_STATEMENTS = frozenset({"SELECT", "INSERT", "REPLACE", "UPDATE", "DELETE", "DO"})
_COMPARISONS = frozenset({"=", "<", ">", "<=", ">=", "<>", "!=", "<=>"})
_ARITHMETIC = frozenset({"+", "-", "*"})
_SET_OPERATORS = frozenset({"UNION", "EXCEPT", "INTERSECT", "MINUS"})
#: What opens a clause, in which commas separate something else.
_CLAUSES = frozenset(
    {"SELECT", "DO", "FROM", "WHERE", "GROUP", "HAVING", "WINDOW", "ORDER", "LIMIT", "INTO"}
    | {"VALUES", "VALUE", "SET", "UPDATE", "RETURNING"}
)
#: In front of the first operand of a comparison.
_OPENING = frozenset({"(", ",", "SELECT", "WHERE", "HAVING", "ON", "AND", "OR", "NOT", "WHEN"})
#: Behind the last operand of an expression, besides these: `,` `)` and the end.
_ENDING = frozenset(
    {"", ",", ")", ";", "AND", "OR", "THEN", "AS", "FROM", "WHERE", "GROUP", "HAVING", "ORDER"}
    | {"LIMIT", "OFFSET", "FOR", "LOCK", "ON", "JOIN", "LEFT", "RIGHT", "INNER", "CROSS"}
    | {"RETURNING", "ASC", "DESC"}
)
#: What decides whether the next AND is that of a BETWEEN.
_BETWEEN = frozenset({"BETWEEN", "AND", "CASE", "WHEN"})
#: What is no operand, nor the end of one.
_NO_OPERANDS = _OPENING | _CLAUSES | {"BY", "THEN", "ELSE", "CASE", "IN", "LIKE", "BETWEEN"}


def _ends_operand(token: str) -> bool:
    """Whether an operand may end with it: a name, a number, a string or what is in parentheses."""
    is_word = token[:1].isalnum() or token[:1] in ("_", "@", "$")
    return token in ("`", ")") or (is_word and token not in _NO_OPERANDS)


class _Level:
    """What stands between two parentheses, or around all."""

    __slots__ = ("clause", "in_between", "is_mixed", "kind", "marks")

    def __init__(self, kind: str) -> None:
        #: `IN` and `VALUES` for their lists, `ROW` for what may be a row; empty for all else.
        self.kind = kind
        #: The word that opened the clause; empty: none did.
        self.clause = ""
        #: Whether the next AND is that of a BETWEEN.
        self.in_between = False
        #: Which marks are items of an IN list, and whether something else is, too.
        self.marks: list[int] = []
        self.is_mixed = False


class Places:
    """Goes over a statement's tokens, as ``placeholders.convert`` finds them."""

    __slots__ = (
        "_found",
        "_has_select",
        "_is_bound",
        "_is_one_query",
        "_last",
        "_levels",
        "_operator",
        "_statement",
    )

    def __init__(self) -> None:
        self._found: list[Place] = []
        self._levels = [_Level("")]
        self._operator = ""  # its characters until now
        #: The last three tokens but spaces: words in upper case, operators, a backtick for a name
        #: or string, `?` for a mark.
        self._last = ("", "", "")
        self._is_bound = False  # whether the last AND was that of a BETWEEN
        self._statement = ""  # its first word
        self._has_select = False
        self._is_one_query = True  # without subqueries, and not combined by a UNION or the like

    def take(self, kind: str, text: str) -> None:
        """The next token."""
        if kind == "other" and text not in "(),":
            self._operator += text
            return
        self._end_operator()
        if kind == "mark":
            self._follow("?")
        elif kind == "word":
            self._follow(text.upper())
        elif kind in ("name", "string"):
            if kind == "string" and self._last[2].startswith("_"):
                self._is_one_query = False  # with a character set of its own: text whole
            self._follow("`")
        elif kind not in ("space", "comment"):
            self._follow(text)

    def end(self) -> tuple[Place, ...]:
        """Where the marks stand, in their order; no more is to come."""
        self._end_operator()
        self._follow("")
        if self._is_one_query and self._statement in _STATEMENTS:
            return tuple(self._found)
        return (Place.OTHER,) * len(self._found)

    def _end_operator(self) -> None:
        if self._operator:
            operator, self._operator = self._operator, ""
            self._follow(operator)

    def _follow(self, token: str) -> None:
        """Go on to `token`."""
        level = self._levels[-1]
        if self._last[2] == "?":
            self._found.append(self._place(level, token))
        elif self._last[1:] == ("?", "AND") and self._is_bound and token != "?":
            self._found[-1] = Place.OTHER  # the bounds decide together how they are compared
        if token not in ("?", ",", "(", ")"):
            level.is_mixed = True
        if token == "(":
            self._levels.append(_Level(self._opened(level)))
        elif token == ")":
            self._close(level)
        elif token in _CLAUSES:
            level.clause = token
            if token == "SELECT":
                self._is_one_query &= not self._has_select
                self._has_select = True
        elif token in _SET_OPERATORS:
            self._is_one_query = False
        elif token in _BETWEEN:
            if token == "AND":
                self._is_bound = level.in_between
            level.in_between = token == "BETWEEN"
        if not self._statement and token != "(":
            self._statement = token
        self._last = (*self._last[1:], token)

    def _close(self, level: _Level) -> None:
        """A closing parenthesis ends `level`."""
        if len(self._levels) < 2:
            return
        self._levels.pop()
        if level.kind == "ROW" and self._levels[-1].kind == "IN":
            self._levels[-1].marks += level.marks
            self._levels[-1].is_mixed |= level.is_mixed
        elif level.kind == "IN" and level.is_mixed:
            # So do the items of a list.
            for index in level.marks:
                self._found[index] = Place.OTHER

    def _opened(self, level: _Level) -> str:
        """The kind of what a parenthesis opens in `level`."""
        before = self._last[2]
        if before == "IN":
            return "IN"
        if before in ("VALUES", "VALUE") or (before == "," and level.clause in ("VALUES", "VALUE")):
            return "VALUES"
        if before in _COMPARISONS or (level.kind == "IN" and before in ("(", ",")):
            return "ROW"
        return ""

    def _place(self, level: _Level, after: str) -> Place:
        """Where the mark before the token `after` stands."""
        second, before, _ = self._last
        is_last = after in _ENDING
        if before in _COMPARISONS:
            return Place.VALUE if is_last else Place.OTHER
        if after in _COMPARISONS:
            if before in _ARITHMETIC and _ends_operand(second):
                return Place.OPERAND
            return Place.VALUE if before in _OPENING else Place.OTHER
        if not is_last:
            return Place.OTHER
        if before in _ARITHMETIC and _ends_operand(second):
            return Place.OPERAND
        if before == "LIKE":
            return Place.VALUE
        if before == "AND":
            return Place.VALUE if second == "?" and self._is_bound else Place.OTHER
        if before == "BETWEEN":
            return Place.VALUE if after == "AND" else Place.OTHER
        if before in ("LIMIT", "OFFSET") or (before == "," and level.clause == "LIMIT"):
            return Place.COUNT
        return self._place_in_list(level, before, after)

    def _place_in_list(self, level: _Level, before: str, after: str) -> Place:
        if level.clause:
            if (
                len(self._levels) == 1
                and level.clause in ("SELECT", "DO")
                and self._statement == level.clause
                and before in (",", "SELECT", "DISTINCT", "DO")
            ):
                return Place.VALUE
        elif before in ("(", ",") and (
            level.kind in ("IN", "VALUES")
            or (level.kind == "ROW" and (before, after) != ("(", ")"))
        ):
            level.marks.append(len(self._found))
            return Place.VALUE
        return Place.OTHER
