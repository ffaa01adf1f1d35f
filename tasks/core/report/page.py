"""``report.html``: one self-contained page for people, without identifiers, file names or values.

Public names: ``render_page``, ``SOURCE_PROBLEM_TEXTS``, ``HandOver``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from deidflow.tasks.core.engine.review import REVIEW_TEXTS
from deidflow.tasks.core.engine.sources import ProblemCode
from deidflow.tasks.core.ledger.manifest_rows import rows_by_operation
from deidflow.tasks.core.ledger.run_facts import read_facts
from deidflow.tasks.core.outcomes import REMEDIES, Outcome, ReasonCode
from deidflow.tasks.core.report.charts import WIDTH, outcome_bar, time_bars
from deidflow.tasks.core.report.templates import moment, number, page_templates
from deidflow.tasks.core.report.totals import LastStep
from deidflow.tasks.core.request.request import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.ledger.run_facts import RunFacts
    from deidflow.tasks.core.report.totals import Totals

_TEMPLATE: Final = "report.html.j2"

OUTCOME_TEXTS: Final = {
    Outcome.DONE: "the result was written",
    Outcome.FAILED: "could not be edited or written, or did not pass its checks",
    Outcome.MISSING: "the engine reported success, but the result is not there",
    Outcome.CANCELLED: "the run stopped before it was reached, or the result was withdrawn",
    Outcome.NOT_FOUND: "the source does not hold this identifier",
    Outcome.INVALID: "the row of the manifest is wrong and was left out",
}
SOURCE_PROBLEM_TEXTS: Final[dict[str, str]] = {
    ProblemCode.NOT_DICOM: "not a DICOM file",
    ProblemCode.EMPTY: "the file is empty",
    ProblemCode.DICOMDIR: "a DICOMDIR: a table of contents, not an object",
    ProblemCode.DAMAGED: "damaged so early that its identifiers cannot be read",
    ProblemCode.MISSING_IDENTIFIERS: "lacks a Study, Series or SOP Instance UID",
    ProblemCode.UNREADABLE: "could not be opened; check the rights on it",
    ProblemCode.NOT_A_REGULAR_FILE: "a pipe, socket or device; not opened",
    ProblemCode.LINK_OUT_OF_FOLDER: "a link that leaves the source folder; not followed",
    ProblemCode.BROKEN_LINK: "a link that leads nowhere",
}
"""What the codes of source problems mean."""
_LAST_STEPS: Final = {
    LastStep.VERIFICATION: "ending the verification",
    LastStep.DELETION: "deleting the sources",
    LastStep.EXPORT: "packing the export",
}


def render_page(ledger: Ledger, totals: Totals, figures: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
        ledger: Of the run.
        totals: Its counts.
        figures: What ``summary.json`` holds.

    """
    facts = read_facts(ledger)
    reasons = sorted(
        {*totals.row_reasons, *totals.instance_reasons},
        key=lambda code: (-totals.instance_reasons.get(code, 0), -totals.row_reasons.get(code, 0), code),
    )
    return (
        page_templates()
        .get_template(_TEMPLATE)
        .render(
            summary=figures,
            outcomes=OUTCOME_TEXTS,
            reasons=[_reason_line(totals, code) for code in reasons],
            source_problems=sorted(totals.source_problems.items(), key=lambda item: (-item[1], item[0])),
            source_problem_texts=SOURCE_PROBLEM_TEXTS,
            hand_over=_hand_over(totals),
            chart_width=WIDTH,
            outcome_chart=outcome_bar(totals.instances),
            time_chart=time_bars(figures["seconds_by_step"]),
            origin=_origin(facts),
            review=sorted(totals.review.items(), key=lambda item: (-item[1], item[0])),
            review_texts=REVIEW_TEXTS,
            work=_work(facts, rows_by_operation(ledger), totals),
            damaged=totals.damaged,
            due=" and ".join(_LAST_STEPS[step] for step in totals.due),
            versions=facts.versions,
            notes=facts.notes,
        )
    )


class HandOver(NamedTuple):
    """Whether results may be given away: the answer, and the colour that it is told in."""

    tone: str
    answer: str


def _hand_over(totals: Totals) -> HandOver:
    """Answer the question that people open the report with, and never with more than was looked at."""
    if missing := _missing_for_hand_over(totals):
        return HandOver("bad", missing)
    if look := totals.to_look_at:
        text = f"Look first: review.csv lists {number(look)} {'result' if look == 1 else 'results'} to look at"
        rest = "" if totals.all_done else "; and not everything is done"
        return HandOver("look", f"{text}{rest}.")
    if not totals.reconciled:
        return HandOver("bad", "What is done, yes; but it is not all that was asked for.")
    if totals.done_before.instances:
        text = "Yes: every result of this run was read back and searched. It did not look at those of earlier runs."
        return HandOver("good", text)
    return HandOver("good", "Yes: everything is done, and every result was read back and searched.")


def _missing_for_hand_over(totals: Totals) -> str:
    """Say what must be there before anything is given away, "" when it is."""
    done = totals.instances[Outcome.DONE]
    if not done and totals.done_before.instances:
        return "No: this run has no result; what earlier runs have done stands in their reports."
    if not done:
        return "No: there is no result."
    if not totals.read_back and totals.checks != "full":
        return "Not yet: nobody has searched the results. Run deidflow verify."
    if totals.read_back < done:
        return "Not yet: not every result is verified."
    return "Not yet: the verification did not come to its end." if LastStep.VERIFICATION in totals.due else ""


def _origin(facts: RunFacts) -> dict[str, str]:
    """Return what the run was made from and where to; the hashes as sha256sum prints them."""
    destination = facts.config.get("destination") or {}
    origin = {
        "Manifest, SHA-256": facts.manifest_sha256,
        "Config, SHA-256": facts.config_file_sha256,
        "Destination": str(destination.get("folder") or destination.get("orthanc") or ""),
        "Frozen": moment(facts.created) if facts.created else "",
        "Run folder": facts.run_folder,
        "Host": facts.host,
        "User": facts.user,
    }
    return {name: text for name, text in origin.items() if text}


def _reason_line(totals: Totals, code: ReasonCode) -> tuple[str, int, int, str]:
    return str(code), totals.row_reasons.get(code, 0), totals.instance_reasons.get(code, 0), REMEDIES[code]


def _work(facts: RunFacts, operations: list[tuple[str, int]], totals: Totals) -> dict[str, str]:
    """Return what was asked for, in words; of the options the names only, since values may belong to people."""
    config = facts.config
    options = config.get("options") or {}
    engine = {"local": "deidflow's own, on files", "orthanc": "Orthanc"}
    hardening = "on" if config.get("hardening") or config.get("profile") else "off"
    work = {
        "Operation": ", ".join(
            f"{name} ({number(count)} {'row' if count == 1 else 'rows'})" for name, count in operations
        ),
        "Engine": engine.get(facts.engine, ""),
        "Orthanc version": facts.server_version or "",
        "Profile": ", ".join((config["profile"], *(config.get("profile_options") or ())))
        if config.get("profile")
        else _dicom_version(options),
        "Replaced": _names(options.get("Replace")),
        "Removed": _names(options.get("Remove")),
        "Kept": _names(options.get("Keep")),
        "Private tags": "kept" if options.get("KeepPrivateTags") else "",
        "Hardening": hardening if any(name == Operation.ANONYMIZE for name, _ in operations) else "",
        "Checks": _checks(totals),
        "Scope of pseudonyms": facts.scope,
        "Fingerprint of the key": facts.key_fingerprint,
    }
    return {name: text for name, text in work.items() if text}


def _checks(totals: Totals) -> str:
    """Say what was checked and how far that came, and no more."""
    done = totals.instances[Outcome.DONE]
    later = f"; read back in full by deidflow verify: {number(totals.read_back)} of {number(done)}"
    later = later if totals.checks != "full" and totals.read_back else ""
    if totals.checks == "none":
        return f"none{later or ': no result was read back'}"
    asked = {"full": "every result read back in full", "identifiers": "presence and identifiers"}[totals.checks]
    if totals.unverified:
        return f"{asked}; not verified: {number(totals.unverified)} of {number(done)}"
    return f"{asked}; verified: {number(totals.verified)} of {number(done)}{later}"


def _dicom_version(options: Mapping[str, Any]) -> str:
    version = options.get("DicomVersion")
    return f"PS 3.15 {version}, Basic Profile, as Orthanc applies it" if version else ""


def _names(tags: object) -> str:
    """Return the tags of one of the three lists; a dict's keys."""
    return ", ".join(str(tag) for tag in tags) if isinstance(tags, dict | list) else ""
