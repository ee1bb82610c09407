from typing import Any, Unpack

# Part of what every type checker knows; at run time it is neither there nor needed.
from typing_extensions import TypeVarTuple

Ts = TypeVarTuple("Ts", default=Unpack[tuple[Any, ...]])  # noqa: PYI001  (shared by two modules)
