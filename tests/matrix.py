"""Which tests run with which server, event loop and implementation.

A run on several servers would repeat every test for each server and event loop, and `.ci/run` for
both implementations. Where the code under test can't tell them apart that finds nothing, so such
tests are spread: each runs on some of the combinations, other tests on the others, and what one
implementation leaves out the other one has. A run on one server, or with `--every-combination`,
leaves out nothing.
"""

from __future__ import annotations

import enum
import zlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import pytest


class Breadth(enum.Enum):
    """On how many combinations of server and event loop a test runs, with each implementation."""

    ALL = enum.auto()
    PAIRS = enum.auto()
    """Half of them: each server with each implementation, each event loop with each."""
    ONE_SERVER = enum.auto()
    """Each event loop on one of the servers, another one for the other event loop."""
    SINGLE = enum.auto()
    """One; with the other implementation another server and another event loop."""


class Spread(enum.Enum):
    """How the tests of a module are spread over the combinations.

    ONCE...: not in the run with the Python implementation, because the tests choose between C and
    Python themselves, or what they test doesn't depend on that.
    """

    PAIRS = Breadth.PAIRS, False
    ONE_SERVER = Breadth.ONE_SERVER, False
    SINGLE = Breadth.SINGLE, False
    ONCE = Breadth.ALL, True
    ONCE_PAIRS = Breadth.PAIRS, True
    ONCE_SINGLE = Breadth.SINGLE, True

    def __init__(self, breadth: Breadth, is_once: bool) -> None:
        self.breadth = breadth
        self.is_once = is_once


#: By module or folder below tests/; what is not named runs with every combination.
SPREADS: Mapping[str, Spread] = MappingProxyType(
    {
        # What is written and read, by statements and options: that servers differ in it is why each
        # has a part.
        "core/test_bad_input.py": Spread.PAIRS,
        "core/test_batching.py": Spread.PAIRS,
        "core/test_cancellation.py": Spread.PAIRS,
        "core/test_certificate_proof.py": Spread.PAIRS,
        "core/test_block_beginning.py": Spread.PAIRS,
        "core/test_change_user.py": Spread.PAIRS,
        "core/test_compression.py": Spread.PAIRS,
        "core/test_connect_errors.py": Spread.PAIRS,
        "core/test_connection.py": Spread.PAIRS,
        "core/test_cursors.py": Spread.PAIRS,
        "core/test_doctor.py": Spread.ONE_SERVER,
        "core/test_end_of_text.py": Spread.PAIRS,
        "core/test_execute.py": Spread.PAIRS,
        "core/test_executemany.py": Spread.PAIRS,
        "core/test_expired_passwords.py": Spread.PAIRS,
        "core/test_keywords.py": Spread.PAIRS,
        "core/test_load_rows.py": Spread.PAIRS,
        "core/test_load_rows_same.py": Spread.ONCE_PAIRS,
        "core/test_local_infile.py": Spread.PAIRS,
        "core/test_messages.py": Spread.PAIRS,
        "core/test_options.py": Spread.PAIRS,
        "core/test_pipeline.py": Spread.PAIRS,
        "core/test_pipeline_volume.py": Spread.SINGLE,
        "core/test_prepared.py": Spread.PAIRS,
        "core/test_prepared_values.py": Spread.PAIRS,
        "core/test_reset.py": Spread.PAIRS,
        "core/test_round_trips.py": Spread.PAIRS,
        "core/test_rows.py": Spread.PAIRS,
        "core/test_time_zone.py": Spread.PAIRS,
        "core/test_timeouts.py": Spread.PAIRS,
        "core/test_tls_negotiation.py": Spread.PAIRS,
        "core/test_tls_stream.py": Spread.PAIRS,
        "core/test_transaction.py": Spread.PAIRS,
        "core/test_uncommitted.py": Spread.PAIRS,
        "core/test_values.py": Spread.PAIRS,
        "hostile": Spread.PAIRS,
        "pool/test_handovers.py": Spread.PAIRS,
        "protocol/test_parameter_meaning.py": Spread.PAIRS,
        "protocol/test_prepared.py": Spread.PAIRS,
        "protocol/test_responses.py": Spread.PAIRS,
        # What happens between the caller and the driver, or on the event loop: to it all servers
        # are alike, or two of three tell what there is to be told.
        "core/test_after_the_loop.py": Spread.ONE_SERVER,
        "core/test_awaiting.py": Spread.ONE_SERVER,
        "core/test_character_sets.py": Spread.ONE_SERVER,
        "core/test_cursor_state.py": Spread.ONE_SERVER,
        "core/test_finalizers.py": Spread.ONE_SERVER,
        "core/test_half_built.py": Spread.ONE_SERVER,
        "core/test_in_step.py": Spread.ONE_SERVER,
        "core/test_later_results.py": Spread.ONE_SERVER,
        "core/test_loops.py": Spread.ONE_SERVER,
        "core/test_server_names.py": Spread.ONE_SERVER,
        "core/test_streams.py": Spread.ONE_SERVER,
        "meta": Spread.ONE_SERVER,
        "orm": Spread.ONE_SERVER,
        "pool": Spread.ONE_SERVER,
        "sa": Spread.ONE_SERVER,
        # To these all event loops are alike as well.  There are many of a kind, which together
        # meet each server.
        "core/test_dealloc.py": Spread.SINGLE,
        "core/test_escaping.py": Spread.SINGLE,
        "core/test_execute_sizes.py": Spread.SINGLE,
        "core/test_execute_values.py": Spread.SINGLE,
        "core/test_forks.py": Spread.SINGLE,
        "core/test_frames.py": Spread.SINGLE,
        "core/test_hooks.py": Spread.SINGLE,
        "core/test_row_errors.py": Spread.SINGLE,
        "core/test_transaction_ends.py": Spread.SINGLE,
        # What is around the driver.
        "benchmarks": Spread.ONCE_SINGLE,
        "consumers": Spread.ONCE_PAIRS,
        "core/test_announcement.py": Spread.ONCE,
        "core/test_option_files.py": Spread.ONCE_PAIRS,
        "core/test_option_values.py": Spread.ONCE_SINGLE,
        "core/test_authentication.py": Spread.ONCE_PAIRS,
        "faults": Spread.ONCE_PAIRS,
        "meta/test_architecture_page.py": Spread.ONCE,
        "meta/test_compatibility_page.py": Spread.ONCE,
        "meta/test_examples.py": Spread.ONCE,
        "meta/test_exports.py": Spread.ONCE,
        "meta/test_links.py": Spread.ONCE,
        "meta/test_migration_page.py": Spread.ONCE,
        "meta/test_options_page.py": Spread.ONCE,
        "meta/test_pages.py": Spread.ONCE_PAIRS,
        "meta/test_reference.py": Spread.ONCE,
        "meta/test_surface.py": Spread.ONCE,
        "meta/test_types_page.py": Spread.PAIRS,
        "pool/test_announcement.py": Spread.ONCE,
        "protocol/test_auth.py": Spread.ONCE,
        "protocol/test_charsets.py": Spread.ONCE,
        "test_c_sources.py": Spread.ONCE,
        "test_demo.py": Spread.ONCE_PAIRS,
        "test_describe.py": Spread.ONCE,
        "test_flags.py": Spread.ONCE_PAIRS,
        "test_lanes.py": Spread.ONCE,
        "test_layers.py": Spread.ONCE,
        "test_matrix.py": Spread.ONCE,
        "test_packaging.py": Spread.ONCE_SINGLE,
        "test_packet_dump.py": Spread.ONCE_SINGLE,
        "test_raise_in_twins.py": Spread.ONCE,
        "test_release.py": Spread.ONCE_SINGLE,
        "test_sanitizers.py": Spread.ONCE_SINGLE,
        "test_scripted.py": Spread.ONCE,
        "test_servers.py": Spread.ONCE,
        "typing": Spread.ONCE_SINGLE,
        # Comparisons of the two implementations.
        "core/test_runner_state.py": Spread.ONCE,
        "core/test_statement_encoder.py": Spread.ONCE_SINGLE,
        "core/test_stream_state.py": Spread.ONCE,
        "core/test_waiter.py": Spread.ONCE,
        "pool/test_dealloc.py": Spread.ONCE,
        "pool/test_lease_queue.py": Spread.ONCE,
        "protocol/test_binary_rows.py": Spread.ONCE,
        "protocol/test_dealloc.py": Spread.ONCE,
        "protocol/test_end_of_text.py": Spread.ONCE,
        "protocol/test_file_rows.py": Spread.ONCE,
        "protocol/test_half_built.py": Spread.ONCE,
        "protocol/test_marks.py": Spread.ONCE,
        "protocol/test_parameter_places.py": Spread.ONCE,
        "protocol/test_parameter_rows.py": Spread.ONCE,
        "protocol/test_payloads.py": Spread.ONCE,
        "protocol/test_requests.py": Spread.ONCE,
        "protocol/test_response_states.py": Spread.ONCE,
        "protocol/test_row_values.py": Spread.ONCE,
        "protocol/test_rows.py": Spread.ONCE,
        "protocol/test_rows_random.py": Spread.ONCE,
        "protocol/test_statements.py": Spread.ONCE,
    }
)


def spread_of(path: str) -> Spread | None:
    """How the module `path`, relative to tests/, is spread: by its own name, or by its folder's."""
    return SPREADS.get(path) or SPREADS.get(path.partition("/")[0])


def runs(
    spread: Spread | None,
    name: str,
    server: int | None,
    loop: int | None,
    *,
    implementation: int,
    servers: int,
) -> bool:
    """Whether a test runs with this combination.  Each is a position in a list, None for no choice.

    name: the test's, without the combination: which half of them it gets.  implementation: 1 in the
    run that was told to use Python, which is beside another one; else 0.
    """
    if spread is None:
        return True
    if spread.is_once and implementation:
        return False
    if spread.breadth is Breadth.ALL or (server is None and loop is None):
        return True
    turn = zlib.crc32(name.encode()) + implementation
    if spread.breadth is Breadth.SINGLE:
        return (server is None or server == turn % servers) and (loop is None or loop == turn % 2)
    if spread.breadth is Breadth.ONE_SERVER and server is not None:
        return server == (turn + (loop or 0)) % servers
    return (turn + (server or 0) + (loop or 0)) % 2 == 0


def thin(
    items: list[pytest.Item],
    servers: Sequence[str],
    loops: Sequence[str],
    implementation: int,
) -> list[pytest.Item]:
    """Remove from `items` what does not run in this run, and return that."""
    left_out: list[pytest.Item] = []
    kept: list[pytest.Item] = []
    for item in items:
        (kept if _runs(item, servers, loops, implementation) else left_out).append(item)
    items[:] = kept
    return left_out


def _runs(
    item: pytest.Item, servers: Sequence[str], loops: Sequence[str], implementation: int
) -> bool:
    path = item.nodeid.partition("::")[0].removeprefix("tests/")
    callspec = getattr(item, "callspec", None)
    chosen = callspec.params if callspec is not None else {}
    server, loop = chosen.get("server"), chosen.get("anyio_backend")
    others = callspec.id.split("-") if callspec is not None else []
    others = [part for part in others if part not in (server, loop)]
    name = "-".join([path, item.name.partition("[")[0], *others])
    spread = spread_of(path)
    if chosen.get("over_tls") and not (spread and spread.is_once):
        # Without TLS it runs as its module does; what a server or a decoder changes is seen there.
        spread = Spread.ONE_SERVER
    return runs(
        spread,
        name,
        None if server is None else servers.index(server),
        None if loop is None else loops.index(loop),
        implementation=implementation,
        servers=len(servers),
    )
