"""What is measured, and on whom; read by the command as well as by its workers."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Literal

Transport = Literal["tcp", "tls"]
Loop = Literal["asyncio", "uvloop", "none"]
"""The event loop; "none" for drivers that block."""

TRANSPORTS: tuple[Transport, ...] = ("tcp", "tls")
LOOPS: tuple[Loop, ...] = ("asyncio", "uvloop")
SERVERS = ("mariadb118", "mysql97")
SQLALCHEMY = "SQLAlchemy[asyncio]==2.1.9"
FASTAPI = "fastapi==0.163.2"
DELAY = 0.001
"""Seconds each way in the proxy."""


@dataclass(frozen=True)
class Sizes:
    """How much each workload does."""

    rows: int = 50_000
    pooled: int = 4_000
    tasks: int = 20
    pool: int = 10
    sequential: int = 2_000
    inserts: int = 10_000
    loaded: int = 200_000
    updates: int = 2_000
    delayed: int = 500
    """Updates through the proxy, which take a round trip each where they go one by one."""
    pipelined: int = 100
    connects: int = 100
    cell: int = 48 << 20
    """Bytes of the big cell."""
    sqlalchemy_rows: int = 10_000
    sqlalchemy_points: int = 200
    requests: int = 400
    page: int = 500
    """Rows of the answer to a request."""

    def scaled(self, scale: float) -> Sizes:
        """The same with everything but the pool `scale` times as big, and nothing empty."""
        fixed = {"tasks", "pool"}
        return Sizes(
            **{
                name: value if name in fixed else max(1, round(value * scale))
                for name, value in vars(self).items()
            }
        )


@dataclass(frozen=True)
class Workload:
    """One thing to measure."""

    key: str
    title: str
    memory: bool = False
    """Whether the peak of memory is measured, too, in an interpreter of its own."""
    delayed: bool = False
    """Whether it goes through a proxy that takes `DELAY` each way; measured over TCP alone."""


WORKLOADS = {
    workload.key: workload
    for workload in (
        Workload("scan-ints-text", "50,000 rows of 8 integers, text", memory=True),
        Workload("scan-ints-prepared", "50,000 rows of 8 integers, prepared", memory=True),
        Workload("scan-mixed-text", "50,000 mixed rows of 10 columns, text", memory=True),
        Workload("scan-mixed-prepared", "50,000 mixed rows of 10 columns, prepared", memory=True),
        Workload("scan-mixed-dict", "50,000 mixed rows as dicts, text", memory=True),
        Workload("scan-mixed-stream", "50,000 mixed rows, streamed", memory=True),
        Workload("pooled-text", "4,000 point queries, 20 tasks, pool of 10, text"),
        Workload("pooled-prepared", "4,000 point queries, 20 tasks, pool of 10, prepared"),
        Workload("sequential-text", "2,000 point queries in sequence, text"),
        Workload("sequential-prepared", "2,000 point queries in sequence, prepared"),
        Workload("insert", "executemany of 10,000 inserts"),
        Workload("load", "200,000 rows by load_rows", memory=True),
        Workload("load-executemany", "200,000 rows by executemany, in a transaction", memory=True),
        Workload("update", "executemany of 2,000 updates, in a transaction"),
        Workload("update-autocommit", "executemany of 2,000 updates, in autocommit mode"),
        Workload("update-delayed", "500 updates in a transaction, 1 ms each way", delayed=True),
        Workload("update-delayed-autocommit", "500 updates, 1 ms each way", delayed=True),
        Workload("pipeline", "100 point queries at once, 1 ms each way", delayed=True),
        Workload("connect", "100 connects"),
        Workload("connect-full", "100 connects, no TLS session resumed"),
        Workload("open", "100 connections, open at once, a query on each", memory=True),
        Workload("cell", "one cell of 48 MiB", memory=True),
        Workload("sqlalchemy-points", "SQLAlchemy: 200 point selects"),
        Workload("sqlalchemy-borrowed", "SQLAlchemy: 200 point selects, each borrows a connection"),
        Workload("sqlalchemy-scan", "SQLAlchemy: select of 10,000 rows"),
        Workload("web-text", "FastAPI: 400 requests for 500 rows, 20 tasks, pool of 10"),
        Workload("web-dict", "FastAPI: the same with rows as dicts"),
    )
}
SCANS = tuple(key for key in WORKLOADS if key.startswith("scan-") and not key.endswith("stream"))
POINTS = tuple(key for key in WORKLOADS if key.startswith(("pooled", "sequential")))

Kind = Literal[
    "aio",
    "connector",
    "mariadb",
    "pyro",
    "sqlcycli",
    "blocking",
    "floor-socket",
    "floor-asyncio",
]


@dataclass(frozen=True)
class Contender:
    """A driver, or a floor, in an environment of its own."""

    key: str
    title: str
    kind: Kind
    module: str
    environment: str
    """The name of its environment; contenders may share one."""
    requirements: tuple[str, ...] = ()
    """What its environment needs; paths of ours are added to "ours"."""
    often: bool = False
    """Measured in every round. The others, which are slower, take part in half of them."""
    variables: dict[str, str] = field(default_factory=dict)
    """Of the worker's process environment."""
    dialect: str | None = None
    """What SQLAlchemy's asyncio extension calls it."""
    lacks: tuple[str, ...] = ()
    """Patterns of workloads that it has no API for."""

    @property
    def blocking(self) -> bool:
        """Whether it knows no event loop."""
        return self.kind in ("blocking", "floor-socket")

    def does(self, workload: str) -> bool:
        """Whether the workload exists for it."""
        if self.kind == "floor-socket":
            return workload in SCANS and not workload.endswith("dict")
        if self.kind == "floor-asyncio":
            return workload in POINTS
        if workload.startswith("sqlalchemy"):
            return self.dialect is not None
        if workload.startswith("web"):
            return self.kind == "aio"
        return not any(fnmatch(workload, pattern) for pattern in self.lacks)


_LOOP = ("uvloop", "cryptography")
_BLOCKING_LACKS = ("*-prepared", "pooled-*")

CONTENDERS = {
    contender.key: contender
    for contender in (
        Contender(
            "ours-c",
            "ours (C)",
            "aio",
            "aiomysql",
            "ours",
            (*_LOOP, SQLALCHEMY, FASTAPI),
            often=True,
            variables={"AIOMYSQL_IMPL": "c"},
            dialect="aiomysql",
        ),
        Contender(
            "asyncmy",
            "asyncmy",
            "aio",
            "asyncmy",
            "asyncmy",
            ("asyncmy==0.2.18", *_LOOP, SQLALCHEMY, FASTAPI),
            often=True,
            dialect="asyncmy",
        ),
        Contender(
            "ours-python",
            "ours (Python)",
            "aio",
            "aiomysql",
            "ours",
            variables={"AIOMYSQL_IMPL": "python"},
            dialect="aiomysql",
        ),
        Contender(
            "classic",
            "classic aiomysql",
            "aio",
            "aiomysql",
            "classic",
            # This release doesn't work with the later ones of PyMySQL.
            ("aiomysql==0.3.2", "PyMySQL==1.1.2", *_LOOP, SQLALCHEMY, FASTAPI),
            dialect="aiomysql",
            lacks=("*-prepared",),
        ),
        Contender(
            "connector",
            "mysql.connector.aio",
            "connector",
            "mysql.connector.aio",
            "connector",
            ("mysql-connector-python", *_LOOP),
            # Its prepared cursor belongs to one connection, and its pool hands out any.
            lacks=("pooled-prepared",),
        ),
        Contender(
            "mariadb",
            "MariaDB Connector/Python",
            "mariadb",
            "mariadb",
            "mariadb",
            ("mariadb[binary,pool]==2.0.0rc2", *_LOOP),
            often=True,
        ),
        Contender(
            "pyro",
            "pyro-mysql",
            "pyro",
            "pyro_mysql",
            "pyro",
            ("pyro-mysql==0.2.16", *_LOOP),
            # Arguments make prepared statements; its results come as a whole.
            lacks=("pooled-*", "sequential-text", "*-stream"),
        ),
        Contender(
            "sqlcycli",
            "SQLCyCli",
            "sqlcycli",
            "sqlcycli",
            "sqlcycli",
            ("SQLCyCli==2.3.1", *_LOOP),
            lacks=("*-prepared",),
        ),
        Contender(
            "mysqlclient",
            "mysqlclient (blocking)",
            "blocking",
            "MySQLdb",
            "mysqlclient",
            ("mysqlclient",),
            often=True,
            lacks=_BLOCKING_LACKS,
        ),
        Contender(
            "pymysql",
            "PyMySQL (blocking)",
            "blocking",
            "pymysql",
            "pymysql",
            ("PyMySQL", "cryptography"),
            lacks=_BLOCKING_LACKS,
        ),
        Contender(
            "floor-socket",
            "floor: draining a socket",
            "floor-socket",
            "aiomysql_protocol",
            "ours",
            often=True,
        ),
        Contender(
            "floor-asyncio",
            "floor: bare asyncio protocol",
            "floor-asyncio",
            "aiomysql_protocol",
            "ours",
            often=True,
        ),
    )
}
OURS = "ours-c"
OURS_PYTHON = "ours-python"
