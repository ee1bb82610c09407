"""Statements with values, made at random of what the manuals of MySQL and MariaDB have: their
functions and operators, the types of columns, and the types of values.

What a case gives must not depend on whether its statement was prepared: see
``test_prepared_values.py``.
"""

from __future__ import annotations

import datetime
import random
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

_D = datetime.datetime

#: By type, because that decides how a value may be sent.
VALUES: dict[type, Sequence[Any]] = {
    type(None): [None],
    bool: [True, False],
    int: [0, 1, 2, 5, -5, 7, 300, 2024, 20240102, 2**31, 2**63 - 1, 2**63, 2**64 - 1, -(2**70)],
    float: [0.0, 1.5, -2.5, 0.1, 1e20, 1e-7, 3.0, 1e300, -0.0],
    Decimal: [Decimal(text) for text in ("1.50", "0", "-3", "2.5", "1e30", "0.000001", "1e100")],
    str: [
        *("", "abc", "ABC", "5", "5abc", " 7 ", "1.50", "ü", "a%", "_b_", "it's \\ %", "x" * 300),
        *("2024-01-02", "2024-01-02 03:04:05.25", "01:02:03", '{"a": [1, "x"]}', "$.a", "-5.5e1"),
    ],
    bytes: [b"", b"abc", b"ABC", b"5", b"\xff\0", b"2024-01-02", bytes(range(40))],
    _D: [
        _D(2024, 1, 2),
        _D(2024, 1, 2, 3, 4, 5),
        _D(2024, 1, 2, 3, 4, 5, 678),
        _D(2024, 12, 31, 23, 59, 59, 999999),
    ],
    datetime.date: [datetime.date(2024, 1, 2), datetime.date(1999, 12, 31)],
    datetime.time: [datetime.time(1, 2, 3), datetime.time(0), datetime.time(23, 59, 59, 500000)],
    datetime.timedelta: [
        datetime.timedelta(0),
        datetime.timedelta(hours=30, microseconds=5),
        datetime.timedelta(days=-1, seconds=5),
    ],
}

#: Columns, and what stands in them in three rows.
COLUMNS: dict[str, tuple[str, str, str]] = {
    "ti": ("TINYINT", "5", "-7"),
    "i": ("INT", "5", "2024"),
    "bu": ("BIGINT UNSIGNED", "18446744073709551615", "5"),
    "bg": ("BIGINT", "9223372036854775807", "-5"),
    "de": ("DECIMAL(30,5)", "1.5", "-3"),
    "d": ("DOUBLE", "1.5", "0.1"),
    "f": ("FLOAT", "1.5", "0.1"),
    "bi": ("BIT(64)", "5", "4702394921427289928"),
    "y": ("YEAR", "2024", "1999"),
    "da": ("DATE", "'2024-01-02'", "'1999-12-31'"),
    "dt": ("DATETIME(6)", "'2024-01-02 03:04:05'", "'2024-01-02 03:04:05.000678'"),
    "d0": ("DATETIME", "'2024-01-02'", "'2024-01-02 03:04:05'"),
    "ts": ("TIMESTAMP(3) NULL", "'2024-01-02 03:04:05'", "'2024-01-02 03:04:05.25'"),
    "tm": ("TIME(6)", "'01:02:03'", "'-23:59:55.5'"),
    "t0": ("TIME", "'01:02:03'", "'30:00:00'"),
    "ch": ("CHAR(10)", "'abc'", "'5'"),
    "v": ("VARCHAR(400)", "'abc'", "'2024-01-02'"),
    "vb": ("VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "'ABC'", "'5abc'"),
    "l1": ("VARCHAR(40) CHARACTER SET latin1", "'abc'", "'ü'"),
    "t": ("TEXT", "'abc'", "'1.50'"),
    "b": ("VARBINARY(400)", "'abc'", "X'FF00'"),
    "bl": ("BLOB", "'abc'", "'5'"),
    "e": ("ENUM('abc','5','x')", "'abc'", "'5'"),
    "s": ("SET('abc','5','x')", "'abc'", "'5,x'"),
    "j": ("JSON", "'5'", '\'{"a": [1, "x"]}\''),
}

#: The types of most values of a column.
FITTING: dict[str, type] = {
    **dict.fromkeys(("ti", "i", "bu", "bg", "y", "bi"), int),
    **dict.fromkeys(("da", "dt", "d0", "ts"), _D),
    **dict.fromkeys(("tm", "t0"), datetime.timedelta),
    **dict.fromkeys(("ch", "v", "vb", "l1", "t", "e", "s", "j"), str),
    **dict.fromkeys(("b", "bl"), bytes),
    **dict.fromkeys(("d", "f"), float),
    "de": Decimal,
}

LITERALS = ["1", "'abc'", "1.50", "NULL", "7", "'2024-01-02'", "2e0", "i + 1"]

#: Functions, and how many arguments they take; those without a value of their own (RAND, UUID,
#: NOW) and those that wait are left out.
FUNCTIONS = """
    ABS 1|ACOS 1|ADDDATE 2|ADDTIME 2|AES_ENCRYPT 2|ASCII 1|ASIN 1|ATAN 1|ATAN 2|ATAN2 2|BIN 1
    BIT_COUNT 1|BIT_LENGTH 1|CEILING 1|CHAR 1|CHAR 3|CHARSET 1|CHAR_LENGTH 1|COALESCE 1|COALESCE 2
    COALESCE 3|COERCIBILITY 1|COLLATION 1|COMPRESS 1|CONCAT 1|CONCAT 2|CONCAT 3|CONCAT_WS 3|CONV 3
    CONVERT_TZ 3|COS 1|COT 1|CRC32 1|DATE 1|DATEDIFF 2|DATE_FORMAT 2|DAYNAME 1|DAYOFMONTH 1
    DAYOFWEEK 1|DAYOFYEAR 1|DEGREES 1|ELT 3|EXP 1|EXPORT_SET 3|FIELD 3|FIND_IN_SET 2|FLOOR 1
    FORMAT 2|FROM_BASE64 1|FROM_DAYS 1|FROM_UNIXTIME 1|FROM_UNIXTIME 2|GREATEST 2|GREATEST 3|HEX 1
    HOUR 1|IF 3|IFNULL 2|INET6_ATON 1|INET6_NTOA 1|INET_ATON 1|INET_NTOA 1|INSERT 4|INSTR 2
    INTERVAL 3|ISNULL 1|JSON_ARRAY 2|JSON_CONTAINS 2|JSON_DEPTH 1|JSON_EXTRACT 2|JSON_KEYS 1
    JSON_LENGTH 1|JSON_MERGE_PATCH 2|JSON_MERGE_PRESERVE 2|JSON_OBJECT 2|JSON_QUOTE 1|JSON_SET 3
    JSON_TYPE 1|JSON_UNQUOTE 1|JSON_VALID 1|LAST_DAY 1|LCASE 1|LEAST 2|LEAST 3|LEFT 2|LENGTH 1|LN 1
    LOCATE 2|LOCATE 3|LOG 1|LOG 2|LOG10 1|LOG2 1|LOWER 1|LPAD 3|LTRIM 1|MAKEDATE 2|MAKETIME 3
    MAKE_SET 3|MD5 1|MICROSECOND 1|MID 3|MINUTE 1|MOD 2|MONTH 1|MONTHNAME 1|NULLIF 2|OCT 1
    OCTET_LENGTH 1|ORD 1|PERIOD_ADD 2|PERIOD_DIFF 2|POW 2|QUARTER 1|QUOTE 1|RADIANS 1
    REGEXP_INSTR 2|REGEXP_REPLACE 3|REGEXP_SUBSTR 2|REPEAT 2|REPLACE 3|REVERSE 1|RIGHT 2|ROUND 1
    ROUND 2|RPAD 3|RTRIM 1|SECOND 1|SEC_TO_TIME 1|SHA1 1|SHA2 2|SIGN 1|SIN 1|SOUNDEX 1|SPACE 1
    SQRT 1|STRCMP 2|STR_TO_DATE 2|SUBDATE 2|SUBSTR 2|SUBSTR 3|SUBSTRING_INDEX 3|SUBTIME 2|TAN 1
    TIME 1|TIMEDIFF 2|TIMESTAMP 1|TIMESTAMP 2|TIME_FORMAT 2|TIME_TO_SEC 1|TO_BASE64 1|TO_DAYS 1
    TO_SECONDS 1|TRIM 1|TRUNCATE 2|UCASE 1|UNCOMPRESSED_LENGTH 1|UNHEX 1|UNIX_TIMESTAMP 1|UPPER 1
    WEEK 1|WEEK 2|WEEKDAY 1|WEEKOFYEAR 1|YEAR 1|YEARWEEK 1|NVL 2|NVL2 3|TO_CHAR 2|CHR 1
    LENGTHB 1|ADD_MONTHS 2|NATURAL_SORT_KEY 1|SFORMAT 2|JSON_VALUE 2|JSON_QUERY 2|JSON_EXISTS 2
    JSON_COMPACT 1|JSON_PRETTY 1|BIN_TO_UUID 1|UUID_TO_BIN 1|IS_UUID 1|REGEXP_LIKE 2|JSON_OVERLAPS 2
    WEIGHT_STRING 1|ST_AsText 1|ST_GeomFromText 1|POINT 2|INET4_ATON 1|IS_IPV4 1|VALUES 1|DEFAULT 1
    MIN 1|MAX 1|SUM 1|AVG 1|COUNT 1|GROUP_CONCAT 1|BIT_AND 1|BIT_OR 1|STD 1|JSON_ARRAYAGG 1
"""

#: Operators, and functions with words among their arguments; `{}` for an operand.
FORMS = """
    {} + {} ; {} - {} ; {} * {} ; {} / {} ; {} DIV {} ; {} % {} ; {} MOD {} ; -{} ; +{} ; ~{} ; !{}
    {} & {} ; {} | {} ; {} ^ {} ; {} << {} ; {} >> {} ; NOT {} ; {} AND {} ; {} OR {} ; {} XOR {}
    {} || {} ; {} && {} ; ({}) + ({}) ; ({}) ; {} = {} ; {} <=> {} ; {} <> {} ; {} != {} ; {} < {}
    {} <= {} ; {} >= {} ; {} IS NULL ; {} IS NOT NULL ; {} IS TRUE ; {} IS NOT UNKNOWN
    {} = ANY (SELECT {}) ; {} BETWEEN {} AND {} ; {} NOT BETWEEN {} AND {} ; {} IN ({}, {})
    {} NOT IN ({}) ; {} LIKE {} ; {} NOT LIKE {} ; {} LIKE {} ESCAPE '|' ; {} REGEXP {}
    {} SOUNDS LIKE {} ; BINARY {} ; {} COLLATE utf8mb4_bin ; _utf8mb4 {} ; ({}, {}) = ({}, {})
    CASE {} WHEN {} THEN {} ELSE {} END ; CASE WHEN {} THEN {} END ; @a := {} ; (SELECT {})
    CASE WHEN {} = {} THEN {} ELSE {} END ; EXISTS (SELECT {}) ; ({}, {}) IN (({}, {}))
    CAST({} AS TIME) ; CAST({} AS TIME(6)) ; CAST({} AS DATE) ; CAST({} AS DATETIME(6))
    CAST({} AS CHAR) ; CAST({} AS CHAR(3)) ; CAST({} AS BINARY) ; CAST({} AS SIGNED)
    CAST({} AS UNSIGNED) ; CAST({} AS DECIMAL(20,3)) ; CAST({} AS DOUBLE) ; CAST({} AS JSON)
    CAST({} AS FLOAT) ; CAST({} AS YEAR) ; CONVERT({}, CHAR) ; CONVERT({} USING latin1)
    DATE_ADD({}, INTERVAL {} DAY) ; DATE_SUB({}, INTERVAL {} SECOND) ; {} + INTERVAL {} HOUR
    {} - INTERVAL {} DAY_SECOND ; DATE_ADD({}, INTERVAL {} MICROSECOND) ; EXTRACT(YEAR FROM {})
    EXTRACT(HOUR FROM {}) ; EXTRACT(DAY_SECOND FROM {}) ; EXTRACT(WEEK FROM {})
    TIMESTAMPADD(MINUTE, {}, {}) ; TIMESTAMPDIFF(SECOND, {}, {}) ; POSITION({} IN {})
    TRIM(BOTH {} FROM {}) ; TRIM(LEADING {} FROM {}) ; SUBSTRING({} FROM {} FOR {})
    CHAR({} USING utf8mb4) ; WEIGHT_STRING({} AS CHAR(3)) ; GROUP_CONCAT({} SEPARATOR ',')
    GROUP_CONCAT(DISTINCT {} ORDER BY {}) ; COUNT(DISTINCT {}) ; JSON_OBJECTAGG(id, {})
    LAG({}) OVER (ORDER BY id) ; FIRST_VALUE({}) OVER () ; LEAD(i, 1, {}) OVER (ORDER BY id)
    SUM({}) OVER (ORDER BY id) ; NTH_VALUE({}, 2) OVER () ; {} MEMBER OF ({})
"""

#: Where programs put values most: C is a column, M a mark.
CONDITIONS = """
    C = M ; C <> M ; C < M ; C >= M ; C <=> M ; C IN (M, M) ; C NOT IN (M) ; M = C ; M < C
    C BETWEEN M AND M ; C LIKE M ; C NOT LIKE M ; C = M AND C > M ; C = M OR C = M ; NOT C = M
    (C = M OR C IS NULL) AND C <= M ; (C, C) = (M, M) ; (C, C) IN ((M, M), (M, M)) ; C = (M)
    C > M AND NOT (C = M) ; M BETWEEN C AND C ; C+1 = M ; UPPER(C) = M ; DATE(C) = M ; C = -M
    C = C + M ; YEAR(C) IN (M) ; M IN (C, C) ; COALESCE(C, C) > M ; C LIKE M ESCAPE '|' ; M ; NOT M
    C = ANY (SELECT C FROM other WHERE C = M) ; MAX(C) > M ; M = M ; IF(C = M, 1, 0) ; '5' = M
    id = (SELECT MAX(id) FROM other WHERE C = M) ; (SELECT 1) = M ; 7 < M ; C IS NULL = M
    CASE WHEN C = M THEN 1 ELSE 0 END ; CASE C WHEN M THEN 1 END ; C = M = 1 ; C IN (SELECT M)
    EXISTS (SELECT 1 FROM other WHERE id = M AND C = M) ; id IN (SELECT id FROM other WHERE C < M)
    (C, id) > (M, M) ; id = M AND (C = M OR C > M) ; NOT (C IN (M, M) OR C IS NULL) ; C * M < C
    C = M XOR C = M ; C > C - M ; C = M + 0 ; C BETWEEN M AND M AND M ; C IN (M, C) ; C IN (5, M)
    DATABASE() = M ; @x = M ; 'abc' = M ; _latin1'abc' = M ; NOW() > M ; -C = M ; C % 5 = M
    C BETWEEN C AND M OR C = M ; JSON_EXTRACT(j, '$.a') = M ; C & 6 = M
"""

#: Statements around them; `{}` for a condition.
USUAL = """
    SELECT id, C FROM typed WHERE {} ORDER BY id
    SELECT id FROM typed WHERE {} AND {} ORDER BY id
    SELECT id, {} FROM typed ORDER BY id
    SELECT t.id FROM typed AS t JOIN other AS o ON o.id = t.id AND o.C = M ORDER BY t.id
    SELECT C FROM typed ORDER BY id LIMIT M
    SELECT C FROM typed ORDER BY id LIMIT M OFFSET M
    SELECT C FROM typed WHERE C > M ORDER BY id LIMIT M, M
    SELECT C, COUNT(*) FROM typed WHERE {} GROUP BY C HAVING COUNT(*) < M ORDER BY 1
    SELECT COUNT(*) FROM typed WHERE {}
    WITH x AS (SELECT id, C AS c FROM typed WHERE {}) SELECT * FROM x WHERE c = M
    SELECT id FROM (SELECT id, C AS c FROM typed WHERE {}) AS x WHERE c = M ORDER BY id
    SELECT id FROM typed WHERE {} UNION SELECT id FROM other WHERE {} ORDER BY 1
    SELECT M
    SELECT M, M
    SELECT M AS x, C FROM typed ORDER BY id
    SELECT DISTINCT M, i FROM typed
    SELECT C, M FROM typed GROUP BY C ORDER BY C
    SELECT id FROM typed ORDER BY C = M, id
    SELECT SUM(C = M) FROM typed
"""

#: Statements in which an expression of columns and literals is met by values: `{}` for it.
COMPARED = """
    SELECT id FROM typed WHERE {} = M ORDER BY id
    SELECT id FROM typed WHERE {} < M ORDER BY id
    SELECT id FROM typed WHERE M <= {} ORDER BY id
    SELECT id FROM typed WHERE {} IN (M, M) ORDER BY id
    SELECT id FROM typed WHERE {} BETWEEN M AND M ORDER BY id
    SELECT id FROM typed WHERE {} LIKE M ORDER BY id
    SELECT id FROM typed WHERE ({}, id) > (M, M) ORDER BY id
    SELECT {} + M FROM typed ORDER BY id
    SELECT {} <=> M, M FROM typed ORDER BY id
    SELECT id FROM typed GROUP BY id HAVING {} <> M ORDER BY id
    UPDATE typed SET X = {}, D = M WHERE C > M
    INSERT INTO written (id, X, D) VALUES (1, {}, M)
    SELECT id FROM typed WHERE {} = ANY (SELECT C FROM other WHERE {} >= M) ORDER BY id
"""

#: Statements around expressions of all kinds.
QUERIES = """
    SELECT {} FROM typed ORDER BY id
    SELECT {}
    SELECT id FROM typed WHERE {} ORDER BY id
    SELECT id FROM typed WHERE C = {} ORDER BY id
    SELECT C FROM typed WHERE id = 1 UNION ALL SELECT {}
    SELECT 7 UNION ALL SELECT {}
    SELECT M UNION ALL SELECT {}
    SELECT M UNION SELECT M
    SELECT x FROM (SELECT id, {} AS x FROM typed) AS d ORDER BY id
    WITH d AS (SELECT id, {} AS x FROM typed) SELECT x FROM d ORDER BY id
    WITH RECURSIVE r AS (SELECT M AS n UNION ALL SELECT n+1 FROM r WHERE n < 3) SELECT * FROM r
    SELECT DISTINCT {} AS x FROM typed ORDER BY x
    SELECT x.a FROM (SELECT M AS a, M AS b) AS x
    SELECT MAX({}) FROM typed
    SELECT {}, COUNT(*) FROM typed GROUP BY 1 ORDER BY 1
    SELECT id FROM typed ORDER BY {}, id
    SELECT id FROM typed HAVING {} ORDER BY id
    SELECT (SELECT M) = C, (SELECT M) FROM typed ORDER BY id
    VALUES ROW(M, M), ROW(M, M)
    (SELECT M) ORDER BY 1
    SELECT {} INTO @a
    SELECT C FROM typed WHERE id = M FOR UPDATE
"""

#: Statements that write: X is the column that matters, D another one.
CHANGES = """
    INSERT INTO written (id, X) VALUES (1, M)
    INSERT INTO written (id, X, D) VALUES (1, M, M)
    INSERT INTO written (id, X) VALUES (1, M), (2, M)
    INSERT INTO written (id, X) VALUES (1, {})
    INSERT INTO written (id, X) VALUES (1, NULL), (1, M) ON DUPLICATE KEY UPDATE X = M
    INSERT INTO written (id, X) VALUES (M, M) ON DUPLICATE KEY UPDATE X = VALUES(X), D = D + M
    INSERT INTO written (id, X) SELECT id, M FROM typed
    INSERT INTO written (id, X) SELECT id, C FROM typed WHERE C = M
    INSERT IGNORE INTO written (id, X) VALUES (1, M), (M, M)
    REPLACE INTO written SET id = 1, X = M
    UPDATE typed SET X = M WHERE id = M
    UPDATE typed SET X = M WHERE C = M
    UPDATE typed SET X = M, D = M WHERE C >= M ORDER BY id LIMIT 2
    UPDATE typed SET X = X + M WHERE id = M
    UPDATE typed SET X = {} WHERE id < 3
    UPDATE typed SET X = CASE WHEN C = M THEN M ELSE X END
    UPDATE typed JOIN other USING (id) SET typed.X = M WHERE other.C = M
    DELETE t FROM typed AS t JOIN other AS o ON t.id = o.id AND o.C = M WHERE t.C < M
    DELETE FROM typed WHERE C = M
    DELETE FROM typed WHERE {}
"""


def _items(text: str, separator: str = "\n") -> list[str]:
    """What stands in one of the lists above."""
    return [item.strip() for item in text.replace("\n", separator).split(separator) if item.strip()]


class Case(NamedTuple):
    """A statement, values for two runs, and a question for what it wrote, if it does."""

    statement: str
    runs: tuple[tuple[Any, ...], tuple[Any, ...]]
    question: str | None = None


class Cases:
    """Makes cases of a random generator."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        functions = map(str.split, _items(FUNCTIONS, "|"))
        self._functions = [(name, int(count)) for name, count in functions]
        self._forms = [form.replace("%", "%%") for form in _items(FORMS, ";")]
        self._conditions = [form.replace("%", "%%") for form in _items(CONDITIONS, ";")]
        self._makers: list[tuple[list[str], Callable[[], str]]] = [
            (_items(USUAL), self._condition),
            (_items(COMPARED), self._markless),
            (_items(QUERIES), self._expression),
            (_items(CHANGES), self._expression),
        ]

    @staticmethod
    def setup(sql_mode: str) -> list[str]:
        """What makes the tables that they use."""
        names = ", ".join(COLUMNS)
        columns = ", ".join(f"{name} {column[0]}" for name, column in COLUMNS.items())
        made = ["SET sql_mode = ''", "SET time_zone = '+00:00'"]  # for what stands in the rows
        for table in ("typed", "other", "written"):
            made.append(f"CREATE TEMPORARY TABLE {table} (id INT PRIMARY KEY, {columns})")
            if table == "written":
                break
            made.append(f"INSERT INTO {table} (id) VALUES (3)")
            for index in (1, 2):
                row = ", ".join(column[index] for column in COLUMNS.values())
                made.append(f"INSERT INTO {table} (id, {names}) VALUES ({index}, {row})")
        return [*made, f"SET sql_mode = '{sql_mode}'"]

    def case(self) -> Case:
        """The next one."""
        fitting: list[type] = []
        while not fitting:
            forms, maker = self._rng.choice(self._makers)
            form = self._rng.choice(forms)
            while "{}" in form:
                form = form.replace("{}", maker(), 1)
            statement, question = self._filled(form, fitting)
        return Case(statement, (self._values(fitting), self._values(fitting)), question)

    def _values(self, fitting: list[type]) -> tuple[Any, ...]:
        kinds = self._rng.choices(list(VALUES), k=len(fitting))
        way = self._rng.random()
        if way < 0.5:
            kinds = fitting
        elif way < 0.7:
            kinds = kinds[:1] * len(fitting)
        return tuple(self._rng.choice(VALUES[kind]) for kind in kinds)

    def _operand(self, depth: int) -> str:
        chance = self._rng.random()
        if chance < 0.5:
            return "M"
        if chance < 0.7:
            return "C"
        if chance < 0.85 or depth > 1:
            return self._rng.choice(LITERALS)
        return self._expression(depth + 1)

    def _expression(self, depth: int = 0) -> str:
        if self._rng.random() < 0.55:
            name, count = self._rng.choice(self._functions)
            return f"{name}({', '.join(self._operand(depth) for _ in range(count))})"
        form = self._rng.choice(self._forms)
        return form.format(*(self._operand(depth) for _ in range(form.count("{}"))))

    def _markless(self) -> str:
        return re.sub(r"\bM\b", "C", self._expression())

    def _condition(self) -> str:
        return self._rng.choice(self._conditions)

    def _filled(self, form: str, fitting: list[type]) -> tuple[str, str | None]:
        """A statement, with columns and marks for their letters; and the question after it.

        fitting: gets for each mark the type of the column in front of it.
        """
        changed = dict(zip("XD", self._rng.sample(list(COLUMNS), 2), strict=True))
        column = changed["X"]
        question = None
        if form.split()[0] in ("INSERT", "REPLACE", "UPDATE", "DELETE"):
            table = "written" if " written " in form else "typed"
            question = f"SELECT id, {', '.join(COLUMNS)} FROM {table} ORDER BY id"

        def fill(match: re.Match[str]) -> str:
            nonlocal column
            if match[0] == "M":
                fitting.append(FITTING[column])
                return "%s"
            column = changed.get(match[0]) or self._rng.choice(list(COLUMNS))
            return column

        return re.sub(r"\b[CMXD]\b", fill, form), question
