"""The long comparison: all files, all requests, hardening off and on, every server; writes ``docs/parity.md``.

Run ``make test-parity``, or ``python -m tests.contract.parity`` with ``DEIDFLOW_TEST_ORTHANC_ROOTS`` naming the folders
of other versions (``tests/tools/install_orthanc.sh``).
"""

from __future__ import annotations

import logging
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hypothesis import HealthCheck, Phase, given, settings

from tests.contract.parity.accepted import ACCEPTED
from tests.contract.parity.built import built_files
from tests.contract.parity.corpus import pydicom_files
from tests.contract.parity.requests import bad_cases, pair_cases, plain_cases, selection
from tests.contract.parity.runner import Runner, Totals
from tests.contract.parity.strategies import calls
from tests.orthanc_server import OrthancServer, extra_roots, installed

if TYPE_CHECKING:
    from typing import Any

    from tasks.core.request import Operation

REPORT = Path(__file__).parents[3] / "docs" / "parity.md"
RANDOM_REQUESTS = 600
_HEAD = """\
# The local engine against real Orthanc

Written by `make test-parity`; do not edit. The same files and the same request go to a real Orthanc and to the local
engine, and what comes out is compared: which files are done and which are refused, the answer, and of every result each
element at every depth (tag, VR, value bytes), the file meta information, the pixel bytes. Generated identifiers are
compared as mappings over all files of a request. A pair is one file in one request; it is equal when nothing differs
but what the table of accepted differences names.

| Orthanc | hardening | files | requests | pairs | equal | not explained |
| --- | --- | ---: | ---: | ---: | ---: | ---: |
"""
_ACCEPTED_HEAD = """
## Accepted differences

Rules of deidflow's own, which go before parity, and mistakes of Orthanc's that are not repeated. The table is made from
`tests/contract/parity/accepted.py`, which holds the exact condition of each. Seen: elements (or files) over all runs
above.

| difference | what the engine does, and why | seen |
| --- | --- | ---: |
"""


class Run(NamedTuple):
    """One line of the table."""

    version: str
    hardening: bool
    files: int
    totals: Totals


def compare_all(server: OrthancServer, *, hardening: bool) -> Run:
    """Compare everything with one server."""
    versions: tuple[str, ...] = ("2008", "2017c", "2021b")
    if server.version != "1.10.1":
        versions = (*versions, "2023b")
    totals = Totals()
    files = 0
    built = built_files()
    cases = selection(versions)
    plain = plain_cases(versions)
    work = [(built, cases[::8] if hardening else cases), (pydicom_files(), plain if hardening else plain + cases[::8])]
    with Runner(server.url, server.version, hardening=hardening) as both:
        for sources, requests in work:
            for deck in both.decks(sources):
                both.load(deck)
                files += len(deck.files)
                for operation, body in requests:
                    totals.add(both.check(operation, body))
        few = [file for file in built if file[0] in ("rich explicit", "rich big", "report", "structure set")]
        both.load(both.decks(few)[0])
        for operation, body in [*pair_cases(versions), *bad_cases()]:
            totals.add(both.check(operation, body))
        _compare_random(both, totals, versions)
    return Run(server.version, hardening, files, totals)


def _compare_random(both: Runner, totals: Totals, versions: tuple[str, ...]) -> None:
    @settings(
        max_examples=RANDOM_REQUESTS,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(call=calls(versions))
    def check(call: tuple[Operation, dict[str, Any]]) -> None:
        totals.add(both.check(*call))

    check()


def report(runs: list[Run]) -> str:
    """Return the text of ``docs/parity.md``."""
    lines = [
        f"| {run.version} | {'on' if run.hardening else 'off'} | {run.files} | {run.totals.requests} | "
        f"{run.totals.pairs} | {run.totals.same} | {len(run.totals.unexplained)} |"
        for run in runs
    ]
    seen = {entry.name: sum(run.totals.accepted[entry.name] for run in runs) for entry in ACCEPTED}
    rows = [f"| {entry.name} | {entry.reason} | {seen[entry.name]} |" for entry in ACCEPTED]
    return _HEAD + "\n".join(lines) + "\n" + _ACCEPTED_HEAD + "\n".join(rows) + "\n"


def main() -> int:
    """Run all, write the report; 1 when something is not explained."""
    if not installed():
        sys.stderr.write("no Orthanc is installed (Debian: apt-get install orthanc)\n")
        return 1
    logging.getLogger("pydicom").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    started = time.monotonic()
    runs = []
    for root in (None, *extra_roots()):
        with OrthancServer(root) as server:
            for hardening in (False, True):
                run = compare_all(server, hardening=hardening)
                runs.append(run)
                sys.stdout.write(f"Orthanc {run.version}: {run.totals.pairs} pairs, {run.totals.same} equal\n")
                if run.totals.unexplained:
                    sys.stdout.write(run.totals.report() + "\n")
    REPORT.write_text(report(runs), "utf-8")
    sys.stdout.write(f"{REPORT} written after {time.monotonic() - started:.0f} s\n")
    return 1 if any(run.totals.unexplained for run in runs) else 0


if __name__ == "__main__":
    sys.exit(main())
