"""The values of options: each is read or refused by its name, before anything is opened."""

from __future__ import annotations

import contextlib
import enum
import inspect
import itertools
import math
import pickle
import ssl
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import pytest

import aiomysql_core
import aiomysql_pool
import aiomysql_sa
from aiomysql_core import NotSupportedError, ProgrammingError
from aiomysql_core.options.dsn import parse_dsn
from aiomysql_core.options.keywords import KEYWORDS
from aiomysql_pool.options import POOL_KEYWORDS
from aiomysql_sa import ArgumentError

# What is given here is of wrong types on purpose.
Connection: Any = aiomysql_core.Connection
connect: Any = aiomysql_core.connect
create_pool: Any = aiomysql_pool.create_pool
create_engine: Any = aiomysql_sa.create_engine

PARAMETERS = inspect.signature(aiomysql_core.Connection.__init__).parameters
OPTIONS = [name for name in PARAMETERS if name not in ("self", "loop")]
FLAGS = [name for name in OPTIONS if (known := KEYWORDS.get(name)) and known.types == (bool, int)]


class Odd:
    """What nobody expects."""


ODD: list[Any] = [
    None,
    "",
    "secret7",
    "\ud800",
    "\0",
    b"bytes",
    True,
    0,
    1,
    -1,
    1 << 70,
    10**400,
    0.5,
    math.nan,
    math.inf,
    1e300,
    [],
    [Odd()],
    {},
    {"a": Odd()},
    Odd(),
    dict,
    PurePosixPath("/no/such"),
]

#: What two names for one thing are called in messages.
CALLED = {"database": "db", "passwd": "password"}


@pytest.mark.parametrize("name", OPTIONS)
async def test_values_of_the_wrong_type_are_not_shown(name: str) -> None:
    for value in (b"secret7", ["secret7"], {"a": b"secret7"}, {"secret7": 1}, ("secret7",)):
        shown = ""
        try:
            Connection(**{name: value})
        except (TypeError, ValueError, NotSupportedError) as error:
            shown = str(error)
        # The keys of mappings are names.
        assert "secret7" not in shown or (isinstance(value, dict) and name in ("conv", "ssl"))
    for given in ({"ssl_negotiation": b"x"}, {"ssl_negotiation": None}):
        with pytest.raises(TypeError, match="'ssl_negotiation' must be of type str, not"):
            Connection(**given)
    with pytest.raises(ValueError, match="'conn_attrs' can't be written in utf-8$"):
        Connection(conn_attrs={"token": "secret7\ud800"})


@pytest.mark.parametrize("name", OPTIONS)
async def test_odd_values(name: str) -> None:
    """They are refused by name, or make a connection that could be opened."""
    accepted = []
    for value in ODD:
        try:
            connection = Connection(**{name: value})
            connection._options.login(connection.session_charset.charset, b"")
        except (TypeError, ValueError, NotSupportedError, ProgrammingError) as error:
            shown = str(error)
            called = CALLED.get(name, name)
            assert repr(called) in shown or (name == "auth_plugin" and repr(value) in shown)
            assert name not in ("password", *FLAGS) or "secret7" not in shown
        else:
            accepted.append(value)
    assert not any(isinstance(value, Odd) for value in accepted)


def check(name: str, text: Any) -> Any:
    """What becomes of a value."""
    connection = Connection(**{name: text})
    if name.startswith("ssl_"):
        return connection._options.tls.mode
    for holder in (connection._options, connection):
        for attribute in (f"{name}_mode", name):
            if hasattr(holder, attribute):
                return getattr(holder, attribute)
    raise LookupError(name)


@pytest.mark.parametrize("name", FLAGS)
async def test_true_and_false_as_text(name: str) -> None:
    for value, texts in (
        (True, ("true", "True", "YES", "on", "1", " yes ", 1)),
        (False, ("false", "False", "no", "OFF", "0", 0)),
    ):
        wanted = check(name, value)
        assert {check(name, text) for text in texts} == {wanted}
        assert parse_dsn(f"mysql://h?{name}={texts[2]}")[name] is value
    for text in ("", "perhaps", "2", "nein", "truefalse"):
        with pytest.raises(ValueError, match=f"'{name}' must be true or false"):
            Connection(**{name: text})
        with pytest.raises(ValueError, match=f"'{name}' of the data source name can't be '{text}'"):
            parse_dsn(f"mysql://h?{name}={text}")
    wrong: Any
    for wrong in (2, -1, 1.0, b"true", []):
        with pytest.raises(TypeError, match=f"'{name}' must be of type bool"):
            Connection(**{name: wrong})
    if name != "autocommit":  # None leaves the server's mode
        assert check(name, None) == check(name, PARAMETERS[name].default)


#: Options that are checked by hand.
OTHERS = {"conv", "cursorclass", "row_factory", *CALLED}


async def test_every_flag_is_tried() -> None:
    assert {"autocommit", "echo", "local_infile", "ssl_disabled", "get_warnings"} <= set(FLAGS)
    assert all(name in KEYWORDS for name in OPTIONS if name not in OTHERS)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("port", "3307", 3307),
        ("connect_timeout", "2.5", 2.5),
        ("read_timeout", "1e1", 10.0),
        ("connect_timeout", "inf", math.inf),
        ("stmt_cache_size", " 8 ", 8),
        ("client_flag", "2", 2),
        ("tcp_keepalive", "60", 60),
        ("tcp_keepalive", "60,5,3", (60, 5, 3)),
        ("ssl_ca", "/a%20b", "/a b"),
        ("auth_plugin", "", ""),
    ],
)
async def test_text_in_a_data_source_name(name: str, text: str, value: Any) -> None:
    place = f":{text}" if name == "port" else ""
    found = parse_dsn(f"mysql://h{place}" if place else f"mysql://h?{name}={text}")
    assert found[name] == value
    assert type(found[name]) is type(value)
    Connection(**found)


@pytest.mark.parametrize("text", ["", "x", "1_0", "٣", "0x10", "1e", "1 0", "--1", "1.5.2", "16M"])
@pytest.mark.parametrize(
    "name", [*(name for name in KEYWORDS if "timeout" in name), "stmt_cache_size", "minsize"]
)
async def test_numbers_that_are_none(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}' of the data source name can't be '{text}'"):
        parse_dsn(f"mysql://h?{name}={text}", POOL_KEYWORDS)
    if name != "minsize":
        with pytest.raises(TypeError, match=f"'{name}' must be of type (int|float)"):
            Connection(**{name: text})


async def test_none_means_the_default() -> None:
    given = Connection(auth_plugin=None, program_name=None, port=None, host=None)
    assert given._options == Connection()._options
    assert given._options.auth_plugin == given._options.program_name == ""
    assert given.port == 3306


class Text(enum.StrEnum):
    """Text with a type of its own."""

    HOST = "db.example"
    NO = "no"


async def test_other_types_of_text() -> None:
    connection = Connection(Text.HOST, unix_socket=Path("/a/socket"), local_infile=Text.NO)
    assert connection.host == "db.example"
    assert connection.unix_socket == "/a/socket"
    assert connection._options.local_infile is False


# -- classes and converters ------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [dict, None, "DictCursor", Connection, 5, lambda *_: 0])
async def test_cursorclass(wrong: Any) -> None:
    with pytest.raises(TypeError, match="'cursorclass' must be a subclass of Cursor, not"):
        Connection(cursorclass=wrong)
    with pytest.raises((TypeError, ArgumentError), match="'cursorclass' must be a subclass"):
        await create_engine(minsize=0, cursorclass=wrong)


@pytest.mark.parametrize("wrong", [[], "x", 5, {3: "float"}, {str: 5}])
async def test_conv(wrong: Any) -> None:
    with pytest.raises(TypeError, match="'conv' must"):
        Connection(conv=wrong)


# -- names -----------------------------------------------------------------------------------------


async def test_unknown_names() -> None:
    for name, advice in (
        ("databse", r"; did you mean 'db'\?"),
        ("pasword", r"; did you mean 'password'\?"),
        ("ssl_verify", r"; did you mean 'ssl_verify_cert'\?"),
        ("max_connections_ever", ""),
    ):
        with pytest.raises(TypeError, match=rf"^connect\(\) has no option '{name}'{advice}$"):
            connect(**{name: "x"})
        with pytest.raises(TypeError, match=rf"^create_pool\(\) has no option '{name}'{advice}$"):
            await create_pool(minsize=0, **{name: "x"})
        with pytest.raises(TypeError, match=rf"^create_engine\(\) has no option '{name}'{advice}"):
            create_engine(minsize=0, **{name: "x"})
    with pytest.raises(TypeError, match=r"no option 'minsze'; did you mean 'minsize'\?"):
        await create_pool(minsize=0, minsze=1)
    with pytest.raises(TypeError, match=r"no option 'dialekt'; did you mean 'dialect'\?"):
        create_engine(dialekt=1)


async def test_a_data_source_name_for_an_engine() -> None:
    with pytest.raises(TypeError, match="data source name is given as 'host'") as caught:
        create_engine("mysql://u:secret7@h/db")
    assert "secret7" not in str(caught.value)
    engine = await create_engine(minsize=0, host="mysql://u:secret7@h/db")
    assert (engine.maxsize, engine.size) == (10, 0)


async def test_other_names() -> None:
    connection = Connection(database="shop", passwd="secret")
    assert connection.db == "shop"
    assert connection._options.password == "secret"
    for given in ({"db": "a", "database": "b"}, {"password": "a", "passwd": "b"}):
        with pytest.raises(TypeError, match="are the same: give one of them"):
            Connection(**given)
        with pytest.raises(TypeError, match="are the same: give one of them"):
            await create_pool(minsize=0, **given)
    connecting = connect("mysql://u:p@127.0.0.1:1/db", database="other", passwd=5)
    with pytest.raises(TypeError, match="'password' must be"):
        await connecting
    for none in ({"database": None}, {"passwd": None}, {"database": None, "passwd": None}):
        for given in ({"host": "h", "db": "db", "password": "p"}, {"host": "mysql://:p@h/db"}):
            async with create_pool(minsize=0, **given, **none) as pool:
                options = Connection(**pool._conn_kwargs)._options
                assert (options.db, options.password) == ("db", "p")
            await create_engine(minsize=0, **given, **none)
    for named in ({"db": None, "database": "x"}, {"password": "", "database": "x"}):
        async with create_pool(minsize=0, passwd=None, **named) as pool:
            assert Connection(**pool._conn_kwargs).db == "x"
    connecting = connect("mysql://u:p@127.0.0.1:1/db", database=None, passwd=None, port="1")
    with pytest.raises(TypeError, match="'port' must be"):
        await connecting
    async with create_pool("mysql://u:p@h/db", minsize=0, database="x", passwd="y") as pool:
        assert "db='x'" in repr(pool)
        assert pool._conn_kwargs["password"] == "y"


# -- the pool and the engine -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        ({"port": "3306"}, TypeError, "'port' must be of type int"),
        ({"local_infile": "maybe"}, ValueError, "'local_infile' must be true or false"),
        ({"echo": "maybe"}, ValueError, "'echo' must be true or false"),
        ({"debug": "maybe"}, ValueError, "'debug' must be true or false"),
        ({"debug": 2}, TypeError, "'debug' must be of type bool"),
        ({"minsize": "x"}, TypeError, "minsize should be an int"),
        ({"pool_recycle": "1h"}, TypeError, "pool_recycle should be a number"),
        ({"pool_recycle": 10**400}, ValueError, "pool_recycle is too large"),
        ({"timeout": 10**400}, ValueError, "timeout is too large"),
        ({"reset_session": 5}, ValueError, "reset_session should be"),
        ({"ssl": True, "ssl_mode": "DISABLED"}, ValueError, "'ssl' asks for TLS"),
        ({"charset": "klingon"}, ProgrammingError, "klingon"),
    ],
)
async def test_a_pool_is_refused_at_once(
    given: dict[str, Any], kind: type[Exception], words: str
) -> None:
    """Not when somebody waits for a connection."""
    for make in (create_pool, create_engine):
        with pytest.raises(kind, match=words):
            await make(**{"minsize": 0, **given})


async def test_text_for_a_pool() -> None:
    async with create_pool(minsize=0, echo="no", debug="yes", autocommit="true") as pool:
        assert (pool.echo, pool._options.debug) == (False, True)
    parsed = parse_dsn(
        "mysql://h?minsize=0&maxsize=3&pool_recycle=-1&timeout=inf&debug=no&echo=on", POOL_KEYWORDS
    )
    assert parsed == {
        "host": "h",
        "minsize": 0,
        "maxsize": 3,
        "pool_recycle": -1.0,
        "timeout": math.inf,
        "debug": False,
        "echo": True,
    }


async def test_compiled_cache() -> None:
    with pytest.raises(ArgumentError, match="'compiled_cache' must be a mutable mapping"):
        await create_engine(minsize=0, compiled_cache=True)


# -- TLS that contradicts itself -------------------------------------------------------------------

NO_VERIFICATION = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
NO_VERIFICATION.check_hostname = False
NO_VERIFICATION.verify_mode = ssl.CERT_NONE
NO_NAME = ssl.create_default_context()
NO_NAME.check_hostname = False


@pytest.mark.parametrize(
    "given",
    [
        {"ssl_disabled": True, "ssl_mode": "REQUIRED"},
        {"ssl_disabled": "yes", "ssl_mode": "PREFERRED"},
        {"ssl_disabled": True, "ssl": True},
        {"ssl": True, "ssl_mode": "PREFERRED"},
        {"ssl_disabled": True, "ssl": NO_VERIFICATION},
        {"ssl_disabled": True, "ssl": {"ca": "x"}},
        {"ssl_disabled": True, "ssl_verify_cert": True},
        *(
            off | wanted
            for off in ({"ssl": False}, {"ssl_disabled": "on"}, {"ssl_mode": "disabled"})
            for wanted in (
                {"ssl_ca": "x"},
                {"ssl_capath": "x"},
                {"ssl_cert": Path("x")},
                {"ssl_key": "x"},
                {"ssl_key_password": b"x"},
                {"ssl_cipher": "x"},
                {"tls_version": "TLSv1.3"},
                {"ssl_verify_cert": "yes"},
            )
        ),
        {"ssl": NO_NAME, "ssl_mode": "preferred"},
        {"ssl": {"ca": "x"}, "ssl_mode": "PREFERRED"},
        {"ssl": {"verify_mode": 0}, "ssl_mode": "PREFERRED"},
        {"ssl": {"check_hostname": "maybe"}},
        {"ssl": {"check_hostname": "maybe", "verify_mode": "none"}},
        {"ssl": {"check_hostname": True, "verify_mode": "none"}},
        {"ssl": {"check_hostname": True, "verify_mode": ssl.CERT_NONE}},
        {"ssl": {"check_hostname": "yes"}, "ssl_mode": "VERIFY_CA"},
        {"ssl_disabled": True, "ssl_negotiation": "direct"},
        {"ssl": False, "ssl_mode": "REQUIRED"},
        {"ssl": False, "ssl_verify_identity": True},
        {"ssl_mode": "REQUIRED", "ssl_verify_cert": True},
        {"ssl_mode": "REQUIRED", "ssl_verify_identity": True},
        {"ssl_mode": "VERIFY_CA", "ssl_verify_identity": True},
        {"ssl_mode": "VERIFY_CA", "ssl_verify_cert": False},
        {"ssl_mode": "VERIFY_IDENTITY", "ssl_verify_identity": False},
        {"ssl_verify_cert": False, "ssl_verify_identity": True},
        {"ssl": True, "ssl_verify_cert": False},
        {"ssl": {"verify_mode": "none"}, "ssl_verify_cert": True},
        {"ssl": {"verify_mode": "required"}, "ssl_mode": "REQUIRED"},
        {"ssl": {"ca": "x", "check_hostname": True}, "ssl_mode": "VERIFY_CA"},
        {"ssl": {"ca": "x"}, "ssl_verify_identity": False},
        {"ssl": {"ca": "x"}, "ssl_ca": "y"},
        {"ssl": {"ca": "x", "check_hostname": "maybe"}},
        {"ssl": NO_VERIFICATION, "ssl_mode": "VERIFY_CA"},
        {"ssl": NO_VERIFICATION, "ssl_verify_cert": True},
        {"ssl": NO_NAME, "ssl_mode": "VERIFY_IDENTITY"},
        {"ssl": NO_NAME, "ssl_verify_identity": True},
        {"ssl": NO_NAME, "ssl_ca": "x"},
        {"ssl": NO_NAME, "ssl_cert": "x"},
        {"ssl": NO_NAME, "ssl_key_password": "x"},
        {"ssl": NO_NAME, "ssl_cipher": "x"},
        {"ssl": NO_NAME, "tls_version": "TLSv1.3"},
    ],
    ids=lambda given: " ".join(given),
)
async def test_contradictions(given: dict[str, Any]) -> None:
    for _ in range(2):  # what was checked before is remembered
        with pytest.raises(ValueError, match=r"^options? '(ssl|tls_version)"):
            Connection(**given)


@pytest.mark.parametrize(
    ("given", "mode"),
    [
        ({"ssl": True, "ssl_mode": "REQUIRED"}, "REQUIRED"),
        ({"ssl_disabled": False, "ssl_mode": "REQUIRED"}, "REQUIRED"),
        ({"ssl_disabled": "false", "ssl_mode": "REQUIRED"}, "REQUIRED"),
        ({"ssl_disabled": True, "ssl": False, "ssl_mode": "DISABLED"}, "DISABLED"),
        ({"ssl_verify_cert": "true"}, "VERIFY_CA"),
        ({"ssl_verify_cert": "false", "ssl_ca": "x"}, "REQUIRED"),
        ({"ssl_capath": "x"}, "VERIFY_CA"),
        ({"ssl_ca": ""}, None),
        ({"ssl_key": "x"}, "REQUIRED"),
        ({"ssl": {"cert": "x"}, "ssl_verify_identity": True}, "VERIFY_IDENTITY"),
        ({"ssl": {"ca": "x"}, "ssl_ca": Path("x")}, "VERIFY_IDENTITY"),
        ({"ssl": {"ca": "x", "check_hostname": "no"}}, "VERIFY_CA"),
        ({"ssl": {"ca": "x"}, "ssl_mode": "REQUIRED"}, "REQUIRED"),
        ({"ssl": {"verify_mode": True, "check_hostname": True}}, "VERIFY_IDENTITY"),
        ({"ssl": {"verify_mode": ssl.CERT_REQUIRED, "check_hostname": "on"}}, "VERIFY_IDENTITY"),
        ({"ssl": {"check_hostname": 1}}, "VERIFY_IDENTITY"),
        ({"ssl": {"check_hostname": False}, "ssl_ca": "x"}, "VERIFY_CA"),
        ({"ssl": {"check_hostname": True}, "ssl_ca": "x"}, "VERIFY_IDENTITY"),
        ({"ssl": {"verify_mode": None}, "ssl_capath": "x"}, "VERIFY_CA"),
        ({"ssl": {"check_hostname": 0}, "ssl_ca": "x", "ssl_verify_cert": False}, "REQUIRED"),
        ({"ssl": {"verify_mode": "Required"}}, "VERIFY_CA"),
        ({"ssl": {"verify_mode": "optional", "check_hostname": False}}, "VERIFY_CA"),
        ({"ssl": {"verify_mode": "none", "check_hostname": 0, "ca": "x"}}, "REQUIRED"),
        ({"ssl": {"ca": "x", "check_hostname": None, "verify_mode": None}}, "VERIFY_IDENTITY"),
        ({"ssl": {}}, None),
        ({"ssl": NO_NAME, "ssl_mode": "VERIFY_CA"}, "VERIFY_CA"),
        ({"ssl": NO_VERIFICATION, "ssl_mode": "REQUIRED"}, "REQUIRED"),
        ({"ssl": NO_VERIFICATION, "ssl_verify_cert": False}, "REQUIRED"),
    ],
)
async def test_what_fits(given: dict[str, Any], mode: str | None) -> None:
    assert Connection(**given)._options.tls.mode == mode


@pytest.mark.parametrize("key", ["verify_mode", "check_hostname"])
async def test_odd_values_in_a_dict(key: str) -> None:
    for wrong in ([], {}, 0.0, b"", 3, object()):
        with pytest.raises(TypeError, match=f"'ssl': {key} must be true or false"):
            Connection(ssl={key: wrong})


async def test_a_data_source_name_that_asks_for_tls() -> None:
    found = parse_dsn("mysql://h?ssl_disabled=false&ssl_mode=REQUIRED")
    assert Connection(**found)._options.tls.mode == "REQUIRED"


# -- data source names that are not quoted ---------------------------------------------------------


@pytest.mark.parametrize(
    "dsn",
    [
        "mysql://root:123#4@h/db",
        "mysql://root:123#",
        "mysql://u:12/34@h/db",
        "mysql://u:12/34@h",
        "mysql://u:a@b/c@h/db",
        "mysql://u:12?34@h/db",
        "mysql://u:12[34@h/db",
        "mysql://u:1\n2@h/db",
        "mysql://h/u:34/db",
        "mysql://h//34",
        "mysql://h/34/",
        "mysql://h//",
        "mysql://%ff/",
        "mysql://u:pass@h?init_command=34%ff",
        "mysql://u:pass@h/%ff",
        "mysql://h?charset=a&charset=b",
        "mysql://h?database=a",
        "mysql://h?passwd=a",
        "mysql://h/a?charset=utf8mb4#34",
    ],
)
async def test_what_is_not_quoted(dsn: str) -> None:
    for make in (connect, create_pool):
        with pytest.raises(ValueError, match="data source name") as caught:
            await make(dsn)
        assert not any(part in str(caught.value) for part in ("34", "12", "123", "pass@"))
        if "/u:34/" in dsn or ("@h" in dsn and "%ff" not in dsn):
            assert "quoted" in str(caught.value)
            assert "%2F for /" in str(caught.value)


async def test_characters_that_should_be_quoted() -> None:
    """The password is what stands there, or refused; no part of it goes elsewhere or is shown."""
    special = "#/?:@%[]\\;&=+ \n\t'\"é"
    for first, second in itertools.product(["", *special], special):
        for password in (f"{first}{second}secret7", f"1{first}secret7{second}2"):
            dsn = f"mysql://u:{password}@h/d?charset=latin1"
            rest = {"host": "h", "user": "u", "db": "d", "charset": "latin1"}
            found: Any = None
            with contextlib.suppress(ValueError):
                found = parse_dsn(dsn)
            if found is not None:
                assert found == {"password": password, **rest}
                continue
            with pytest.raises(ValueError, match="quote") as caught:
                parse_dsn(dsn)
            assert "secret7" not in str(caught.value)


async def test_what_is_quoted() -> None:
    password = "p:/?#[]@%&=+ \n'\"ü"
    found = parse_dsn(f" mysql://u%40x:{quote(password, safe='')}@h/d%2Fb\n")
    assert found == {"host": "h", "user": "u@x", "password": password, "db": "d/b"}
    assert parse_dsn("mysql://u:%ff@h")["password"] == b"\xff"
    assert parse_dsn("mysql://u:a@b@h")["password"] == "a@b"
    for text in ("SELECT 1+1", "a%b&c=d", "ü 日", ""):
        found = parse_dsn(f"mysql://h?init_command={quote(text)}&echo=no")
        assert found == {"host": "h", "init_command": text, "echo": False}
    assert parse_dsn("mysql://h?ssl_key_password=a+b")["ssl_key_password"] == "a+b"
    assert parse_dsn("mysql://h?init_command=SELECT+1=1&&")["init_command"] == "SELECT+1=1"


async def test_no_part_of_a_password_is_shown() -> None:
    for given in ("s3cret/with:all#kinds?of@signs", b"s3cret"):
        connection = Connection("h", password=given, ssl_key_password="s3cret")
        pool = create_pool(minsize=0, host="h", passwd=given, factor_passwords=["s3cret"])
        async with pool as opened:
            for shown in (connection, connection._options, connection._options.tls, opened, pool):
                assert "s3cret" not in repr(shown)
    with pytest.raises(TypeError):
        pickle.dumps(connection)
