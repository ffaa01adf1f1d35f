"""The long comparison: all files, all requests, hardening off and on, every server; writes ``docs/parity.md``.

Run ``make test-parity``, or ``python -m tests.contract.parity`` with ``DEIDFLOW_TEST_ORTHANC_ROOTS`` naming the folders
of other versions (``tests/tools/install_orthanc.sh``). ``--seed`` or ``DEIDFLOW_PARITY_SEED`` draws other random
requests.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.contract.parity.accepted import ACCEPTED
from tests.contract.parity.built import built_files, reference_files
from tests.contract.parity.corpus import pydicom_files
from tests.contract.parity.images import image_files, syntax_files
from tests.contract.parity.requests import (
    bad_cases,
    pair_cases,
    plain_cases,
    selection,
    text_cases,
    transcode_cases,
)
from tests.contract.parity.runner import Runner, Totals
from tests.contract.parity.strategies import calls
from tests.orthanc_server import OrthancServer, extra_roots, installed

if TYPE_CHECKING:
    from typing import Any

    from deidflow.tasks.core.request.request import Operation

REPORT = Path(__file__).parents[3] / "docs" / "parity.md"
RANDOM_REQUESTS = 600
SEED_VARIABLE = "DEIDFLOW_PARITY_SEED"
DEFAULT_SEED = 4
_HEAD = """\
# The local engine against real Orthanc

Written by `make test-parity`; do not edit. The same files and the same request go to a real Orthanc and to the local
engine, and what comes out is compared: which files are done and which are refused, the answer, and of every result each
element at every depth (tag, VR, value bytes), the file meta information, the pixel bytes; with `Transcode` the decoded
pixels (exactly; what two decoders make of lossy JPEG may differ by 3). Generated identifiers are compared as mappings
over all files of a request. A pair is one file in one request; it is equal when nothing differs but what the table of
accepted differences names. The random requests are those of seed {seed}.

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


def compare_all(root: Path | None, *, hardening: bool, seed: int) -> Run:
    """Compare everything with one server.

    Every second file meets every second request, the others the others; objects that refer to one another meet all.
    """
    with OrthancServer(root) as server, Runner(server.url, server.version, hardening=hardening) as both:
        versions: tuple[str, ...] = ("2008", "2017c", "2021b")
        if server.version != "1.10.1":
            versions = (*versions, "2023b")
        totals = Totals()
        cases, plain, transcoding = selection(versions), plain_cases(versions), transcode_cases(versions)
        built, linked, real = built_files(), reference_files(), pydicom_files()
        images, syntaxes = image_files(), list(syntax_files())
        step = 8 if hardening else 2
        work = [(built[start::step], cases[start::step]) for start in range(step)]
        work += [(built, plain), (linked, cases), (real, plain), (images + syntaxes, plain)]
        if not hardening:
            texts = [file for file in built if file[0].startswith("charset")]
            work += [(real, cases[::12]), (texts, text_cases())]
            work += [(real, transcoding), (built + images + syntaxes, transcoding)]
        for sources, requests in work:
            totals.add(both.run(sources, requests))
        few = [file for file in built if file[0] in ("rich explicit", "rich big", "report", "structure set")]
        both.load(both.decks(few)[0])
        for operation, body in [*pair_cases(versions), *bad_cases()]:
            totals.add(both.check(operation, body))
        _compare_random(both, totals, versions, seed)
        files = sum(len(deck.files) for deck in both.decks([*built, *real, *images, *syntaxes]))
        return Run(server.version, hardening, files, totals)


def _compare_random(both: Runner, totals: Totals, versions: tuple[str, ...], number: int) -> None:
    @seed(number)
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


def compare_quietly(root: Path | None, number: int, hardening: bool) -> Run:
    """Compare with one server; runs in a process of its own."""
    logging.getLogger("pydicom").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    return compare_all(root, hardening=hardening, seed=number)


def report(runs: list[Run], number: int) -> str:
    """Return the text of ``docs/parity.md``."""
    runs = sorted(runs, key=lambda run: ([int(part) for part in run.version.split(".")], run.hardening))
    lines = [
        f"| {run.version} | {'on' if run.hardening else 'off'} | {run.files} | {run.totals.requests} | "
        f"{run.totals.pairs} | {run.totals.same} | {len(run.totals.unexplained)} |"
        for run in runs
    ]
    seen = {entry.name: sum(run.totals.accepted[entry.name] for run in runs) for entry in ACCEPTED}
    rows = [f"| {entry.name} | {entry.reason} | {seen[entry.name]} |" for entry in ACCEPTED]
    return _HEAD.format(seed=number) + "\n".join(lines) + "\n" + _ACCEPTED_HEAD + "\n".join(rows) + "\n"


def main() -> int:
    """Run all, write the report; 1 when something is not explained, or no Orthanc is installed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=int(os.environ.get(SEED_VARIABLE, DEFAULT_SEED)))
    number = parser.parse_args().seed
    if not installed():
        sys.stderr.write("no Orthanc is installed (Debian: apt-get install orthanc)\n")
        return 1
    started = time.monotonic()
    roots = [None, *extra_roots()]
    if len(roots) == 1:
        sys.stderr.write("\nONLY ONE VERSION: 1.12 and 1.13 are not compared, docs/parity.md stays as it is.\n\n")
    runs: list[Run] = []
    # The longer half first, so that no core is idle at the end.
    work = [(root, number, hardening) for hardening in (False, True) for root in roots]
    with ProcessPoolExecutor(min(len(work), os.cpu_count() or 1)) as pool:
        for run in pool.map(compare_quietly, *zip(*work, strict=True)):
            runs.append(run)
            hardening = "on" if run.hardening else "off"
            counts = f"{run.totals.pairs} pairs, {run.totals.same} equal"
            print(f"Orthanc {run.version}, hardening {hardening}: {counts}", flush=True)  # noqa: T201
            if run.totals.unexplained:
                print(run.totals.report(), flush=True)  # noqa: T201
    if len(roots) > 1:
        REPORT.write_text(report(runs, number), "utf-8")
        sys.stdout.write(f"{REPORT} written\n")
    sys.stdout.write(f"{time.monotonic() - started:.0f} s\n")
    return 1 if any(run.totals.unexplained for run in runs) else 0


if __name__ == "__main__":
    sys.exit(main())
