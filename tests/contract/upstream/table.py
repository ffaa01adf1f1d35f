"""Makes the last part of docs/orthanc.md from the cases; what stands before its marker is written by hand.

Public names: ``MARKER``, ``REPORT``, ``page``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.contract.upstream.case import Side
from tests.contract.upstream.cases import CASES
from tests.contract.upstream.names import BOOK, INTEGRATION, NOT_APPLICABLE, UNIT

if TYPE_CHECKING:
    from tests.contract.upstream.case import Case, Version

REPORT: Final = Path(__file__).parents[3] / "docs" / "orthanc.md"
VERSIONS: Final[tuple[Version, ...]] = ((1, 10, 1), (1, 12, 7), (1, 13, 0))

MARKER: Final = "<!-- what follows is written by `python -m tests.contract.upstream`; do not edit it -->\n"

_HEAD: Final = """\

## Orthanc's own tests

What Orthanc's own tests of modify, anonymize and the bulk routes assert ({integration} integration tests, {unit} unit
tests) and what the Orthanc Book's page on anonymization shows is asserted on `deidflow run`, with the bare route of the
same server as the control: `make test-orthanc-versions` runs all of it on Orthanc 1.10.1, 1.12.7 and 1.13.0, `make
test` a selection on 1.10.1. The tests are deidflow's own ([tests/contract/upstream](../tests/contract/upstream)), with
files made for them; each has the name of the upstream test and a step. Values that are no UIDs, which upstream uses for
UIDs, are UIDs here: deidflow checks what a config asks for.

* **yes**: the assertion holds. **refused**: the request must be refused, nothing is changed, and that is asserted.
* **no**: it does not hold. In the column of an engine that is a fault of deidflow that is still to be mended, in the
  column of the route one of Orthanc's; both are listed below the table, and a test fails when one has gone.
* **-**: not asked of this side; the reasons stand below.

"""
_FOUND: Final = (
    (
        "1.11.3 and later: a permissive job whose last step fails repeats it for ever. That step reads one result of "
        "each new series: it fails when somebody deleted the result meanwhile (seen on 1.12.7), or when the server "
        "cannot read what it converted (1.13.0: a value of VR OF where its dictionary has OD, put into implicit VR). "
        "deidflow ends such a job and takes its results (tests/contract/test_orthanc_last_step.py)."
    ),
    (
        "1.11.3 and later: modify at level Study wants study identifiers in `Resources`, and checks that the patient's "
        "other studies agree with what is replaced. deidflow sends the instances at level Patient and checks it itself."
    ),
    "1.13.0: bytes (base64) for palettes and overlays, VR OW, are read as numbers and refused; older ones take them.",
    "1.12.7: a route now and then answers 404, Study not found, when it reconstructs the results of several studies.",
)


def _cell(case: Case, side: Side, version: Version = ()) -> str:
    if not case.is_asked(side, version):
        return "-"
    if case.fault(side, version):
        return "no"
    return "refused" if case.is_refused(side, version) else "yes"


def _row(case: Case) -> str:
    cells = [_cell(case, side, version) for side in (Side.ROUTE, Side.ORTHANC) for version in VERSIONS]
    return " | ".join(["", _safe(case.name), _safe(case.holds), *cells, _cell(case, Side.LOCAL), ""]).strip()


def _safe(text: str) -> str:
    return text.replace("|", "\\|").replace("[", "\\[").replace("*", "\\*")


def _table(title: str, names: tuple[str, ...]) -> list[str]:
    shown = ["1.10.1", "1.12.7", "1.13.0"]
    head = ["upstream test", "what it asserts", *(f"route {v}" for v in shown), *(f"engine orthanc {v}" for v in shown)]
    cases = [case for case in CASES if case.test in names]
    return [
        f"### {title}",
        "",
        "| " + " | ".join([*head, "engine local"]) + " |",
        "| --- | --- |" + " --- |" * 7,
        *map(_row, sorted(cases, key=lambda case: names.index(case.test))),
        "",
    ]


def _faults(side: Side) -> list[str]:
    found: dict[str, list[str]] = {}
    for case in CASES:
        for fault in case.faults:
            if fault.side is side:
                found.setdefault(fault.reason, []).append(f"`{case.name}`")
    return [f"* {_safe(reason)}: {', '.join(names)}" for reason, names in sorted(found.items())] or ["* none"]


def _reasons() -> list[str]:
    both, server, local, elsewhere = (
        sorted({getattr(case, kind) for case in CASES} - {""}) for kind in ("refused", "server", "local", "elsewhere")
    )
    return [
        *(f"* both engines refuse by deidflow's own rules: {reason}" for reason in both),
        *(f"* engine orthanc refuses by deidflow's own rules: {reason}" for reason in server),
        *(f"* engine local refuses: {reason}" for reason in local),
        *(f"* not asked of engine local: {reason}" for reason in elsewhere),
    ]


def _counts() -> list[str]:
    lines = ["| | holds or is refused as it must be | does not |", "| --- | ---: | ---: |"]
    sides = [
        *((Side.ROUTE, version) for version in VERSIONS),
        *((Side.ORTHANC, version) for version in VERSIONS),
        (Side.LOCAL, ()),
    ]
    for side, version in sides:
        cells = [_cell(case, side, version) for case in CASES]
        name = f"{side} {'.'.join(map(str, version))}".strip()
        lines.append(f"| {name} | {len(cells) - cells.count('no') - cells.count('-')} | {cells.count('no')} |")
    return lines


def page() -> str:
    """Return the text of docs/orthanc.md: up to the marker what stands there, then what the cases say.

    Raises:
        ValueError: If the file has no marker.
    """
    text = REPORT.read_text("utf-8")
    by_hand = text[: text.index(MARKER)] + MARKER
    lines = [
        *_counts(),
        "",
        *_table("Integration tests", INTEGRATION),
        *_table("Unit tests", UNIT),
        *_table("The Orthanc Book: anonymization and modification", BOOK),
        "### Faults of deidflow that these tests show",
        "",
        "Engine orthanc:",
        "",
        *_faults(Side.ORTHANC),
        "",
        "Engine local:",
        "",
        *_faults(Side.LOCAL),
        "",
        "### Orthanc's own faults, which the control shows",
        "",
        *_faults(Side.ROUTE),
        "",
        "Seen besides, without a test here:",
        "",
        *(f"* {fault}" for fault in _FOUND),
        "",
        "### What is refused or not asked, and why",
        "",
        *_reasons(),
        "",
        "### Not applicable",
        "",
        "| upstream test | why |",
        "| --- | --- |",
        *(f"| {name} | {reason} |" for name, reason in NOT_APPLICABLE.items()),
    ]
    return by_hand + _HEAD.format(integration=len(INTEGRATION), unit=len(UNIT)) + "\n".join(lines) + "\n"
