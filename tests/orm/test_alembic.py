"""Alembic's asynchronous template, as `alembic init` writes it, up and down."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from tests.servers import Server

MODELS = """
import sqlalchemy as sa

metadata = sa.MetaData()
sa.Table(
    "{table}",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(50), nullable=False, server_default="100%"),
    sa.Column("kind", sa.Enum("a", "b"), index=True),
    {more}
)
"""


def configure(folder: Path, url: sa.URL, table: str) -> Config:
    """What `alembic init -t async` makes, with an address and a target filled in."""
    config = Config(folder / "alembic.ini", stdout=io.StringIO())
    command.init(config, str(folder / "migrations"), template="async")
    env = folder / "migrations" / "env.py"
    template = env.read_text()
    assert "async_engine_from_config" in template
    target = (
        f"import importlib.util\n"
        f"spec = importlib.util.spec_from_file_location('models', {str(folder / 'models.py')!r})\n"
        f"models = importlib.util.module_from_spec(spec)\n"
        f"spec.loader.exec_module(models)\n"
        f"target_metadata = models.metadata\n"
        # The database is not ours alone.
        f"def mine(name, kind, parents):\n"
        f"    return kind != 'table' or name == {table!r}\n"
    )
    env.write_text(
        template.replace("target_metadata = None\n", target).replace(
            "target_metadata=target_metadata",
            f"target_metadata=target_metadata, include_name=mine, version_table='{table}_v'",
        )
    )
    config = Config(folder / "alembic.ini", stdout=io.StringIO())
    config.set_main_option(
        "sqlalchemy.url", url.render_as_string(hide_password=False).replace("%", "%%")
    )
    config.attributes["configure_logger"] = False
    return config


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """The template's `fileConfig` switches every logger off that its file does not name."""
    root = logging.getLogger()
    loggers = [logging.getLogger(name) for name in root.manager.loggerDict]
    before = [(logger, logger.disabled, logger.level) for logger in (root, *loggers)]
    handlers = list(root.handlers)
    yield
    root.handlers[:] = handlers
    for logger, disabled, level in before:
        logger.disabled = disabled
        logger.setLevel(level)


def columns(server: Server, table: str) -> list[str]:
    found = server.execute(
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_schema = DATABASE() AND table_name = %s ORDER BY ordinal_position",
        (table,),
    )
    return [name for (name,) in found]


@pytest.mark.filterwarnings("ignore::DeprecationWarning:alembic")
def test_up_and_down(server: Server, url: sa.URL, table_name: str, tmp_path: Path) -> None:
    config = configure(tmp_path, url, table_name)
    models = tmp_path / "models.py"
    try:
        models.write_text(MODELS.format(table=table_name, more=""))
        command.revision(config, "first", autogenerate=True, rev_id="r1")
        command.upgrade(config, "head")
        assert columns(server, table_name) == ["id", "name", "kind"]
        more = 'sa.Column("note", sa.JSON), sa.Column("at", sa.DateTime)'
        models.write_text(MODELS.format(table=table_name, more=more))
        command.revision(config, "second", autogenerate=True, rev_id="r2")
        command.upgrade(config, "head")
        assert columns(server, table_name) == ["id", "name", "kind", "note", "at"]
        assert server.execute(f"SELECT version_num FROM {table_name}_v") == [("r2",)]
        command.check(config)  # the schema is what the models say
        command.downgrade(config, "-1")
        assert columns(server, table_name) == ["id", "name", "kind"]
        command.downgrade(config, "base")
        assert columns(server, table_name) == []
    finally:
        server.execute(f"DROP TABLE IF EXISTS {table_name}_v")
