"""The logger of the driver; its name is the one classic aiomysql uses."""

from __future__ import annotations

import logging

logger = logging.getLogger("aiomysql")
