"""The figures of a run and where it came from, as JSON data without identifiers and file names.

Public names: ``summary``, ``provenance``.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from deidflow.tasks.core.ledger.journal import count_leftovers
from deidflow.tasks.core.ledger.report_queries import count_chunks, count_removed
from deidflow.tasks.core.ledger.run_facts import read_facts
from deidflow.tasks.core.outcomes import Outcome
from deidflow.tasks.core.report.totals import DeletedSources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deidflow.tasks.core.dicom.identifiers import Level
    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.report.totals import Totals


def summary(ledger: Ledger, totals: Totals, resources: Mapping[Level, Mapping[Outcome, int]]) -> dict[str, Any]:
    """Return what ``summary.json`` holds.

    Args:
        ledger: Of the run.
        totals: Its counts.
        resources: How many lines of the crosswalk have each level and outcome.

    """
    facts = read_facts(ledger)
    seconds = facts.seconds_by_step
    done = totals.instances[Outcome.DONE]
    return {
        "run_id": facts.run_id,
        "name": facts.name,
        "verdict": totals.verdict,
        "reconciled": totals.reconciled,
        "exit_code": totals.exit_code,
        "rows": _with_total(totals.rows),
        "instances": _with_total(totals.instances),
        "done_before": totals.done_before._asdict(),
        "changed_before": totals.changed_before,
        "rows_by_level": {level: _with_total(counts) for level, counts in totals.rows_by_level.items()},
        "crosswalk_by_level": {str(level): _with_total(counts) for level, counts in resources.items()},
        "row_reasons": {str(code): count for code, count in totals.row_reasons.items()},
        "instance_reasons": {str(code): count for code, count in totals.instance_reasons.items()},
        "verified": {
            "checks": totals.checks,
            "verified": totals.verified,
            "not_verified": totals.unverified,
            "read_back": totals.read_back,
        },
        "review": {"total": sum(totals.review.values()), **totals.review},
        "texts": {"removed": count_removed(ledger)},
        "source_problems": {"total": sum(totals.source_problems.values()), **totals.source_problems},
        "sources": _sources(totals),
        "due": list(totals.due),
        "other_exports": list(totals.other_exports),
        "possible_leftovers": count_leftovers(ledger),
        "chunks": count_chunks(ledger),
        "attempts": facts.attempts,
        "engine": facts.engine,
        "server_version": facts.server_version,
        "deidflow_version": facts.deidflow_version,
        "started": facts.started,
        "ended": facts.ended,
        "seconds": _seconds_between(facts.started, facts.ended),
        "seconds_by_step": seconds,
        "instances_per_second": _rate(done, seconds.get("apply")),
    }


def provenance(ledger: Ledger) -> dict[str, Any]:
    """Return what ``provenance.json`` holds: enough to tell later whether another run was the same, and with what."""
    facts = read_facts(ledger)
    config = facts.config
    options = config.get("options") or {}
    canonical = json.dumps(config, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return {
        "run_id": facts.run_id,
        "name": facts.name,
        "engine": facts.engine,
        "operation": config.get("operation"),
        "manifest_sha256": facts.manifest_sha256,
        "config_file_sha256": facts.config_file_sha256 or None,
        "config_sha256": sha256(canonical.encode()).hexdigest(),
        "dicom_version": options.get("DicomVersion"),
        "profile": config.get("profile"),
        "profile_options": config.get("profile_options") or [],
        "profile_sha256": facts.profile_sha256,
        "hardening": config.get("hardening"),
        "verify": config.get("verify"),
        "scope": facts.scope,
        "key_fingerprint": facts.key_fingerprint,
        "deidflow_version": facts.deidflow_version,
        "versions": facts.versions,
        "server_version": facts.server_version,
        "host": facts.host,
        "user": facts.user,
        "created": facts.created,
        "started": facts.started,
        "ended": facts.ended,
        "attempts": facts.attempts,
    }


def _sources(totals: Totals) -> dict[str, int]:
    """Return what became of sources that were to be deleted; 0 of all where none were."""
    return asdict(totals.sources or DeletedSources())


def _with_total(counts: Mapping[Outcome, int]) -> dict[str, int]:
    return {"total": sum(counts.values()), **{str(outcome): counts.get(outcome, 0) for outcome in Outcome}}


def _seconds_between(start: str | None, end: str | None) -> float | None:
    if not start or not end:
        return None
    # A clock may be put back between the two, as by the first contact with a time server.
    return max(0.0, round((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds(), 3))


def _rate(count: int, seconds: float | None) -> float | None:
    """Return how many per second; None when nothing was measured."""
    return round(count / seconds, 1) if seconds else None
