"""What SQLAlchemy's suite expects of the drivers; imported by the suite in its own environment."""

from sqlalchemy.testing import exclusions
from test.requirements import DefaultRequirements  # type: ignore[import-not-found]


class Requirements(DefaultRequirements):  # type: ignore[misc]
    """The suite's own, but what it skips for classic aiomysql by its name is run."""

    @property
    def percent_schema_names(self) -> exclusions.compound:
        """Names of tables and columns with per cent signs."""
        return exclusions.compound()  # type: ignore[no-untyped-call]
