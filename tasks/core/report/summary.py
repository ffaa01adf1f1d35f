"""The figures of a run and where it came from, as JSON data without identifiers and file names.

Public names: ``summary``, ``provenance``.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from deidflow.tasks.core.outcomes import Outcome
from deidflow.tasks.core.report.totals import DeletedSources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deidflow.tasks.core.dicom.identifiers import Level
    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.report.totals import Verdict


def summary(ledger: Ledger, verdict: Verdict, resources: Mapping[Level, Mapping[Outcome, int]]) -> dict[str, Any]:
    """Return what ``summary.json`` holds.

    Args:
        ledger: Of the run.
        verdict: Its counts.
        resources: How many lines of the crosswalk have each level and outcome.

    """
    seconds = ledger.meta("seconds_by_step") or {}
    done = verdict.instances[Outcome.DONE]
    return {
        "run_id": ledger.meta("run_id"),
        "name": ledger.meta("name"),
        "reconciled": verdict.reconciled,
        "exit_code": verdict.exit_code,
        "rows": _with_total(verdict.rows),
        "instances": _with_total(verdict.instances),
        "rows_by_level": {level: _with_total(counts) for level, counts in verdict.rows_by_level.items()},
        "crosswalk_by_level": {str(level): _with_total(counts) for level, counts in resources.items()},
        "row_reasons": {str(code): count for code, count in verdict.row_reasons.items()},
        "instance_reasons": {str(code): count for code, count in verdict.instance_reasons.items()},
        "verified": {"checks": verdict.checks, "verified": verdict.verified, "not_verified": verdict.unverified},
        "review": {"total": sum(verdict.review.values()), **verdict.review},
        "source_problems": {"total": sum(verdict.source_problems.values()), **verdict.source_problems},
        "sources": _sources(verdict),
        "possible_leftovers": len(ledger.meta("leftovers", {})),
        "chunks": ledger.scalar("SELECT count(*) FROM chunk"),
        "attempts": ledger.meta("attempts"),
        "engine": ledger.meta("engine"),
        "server_version": ledger.meta("server_version"),
        "deidflow_version": ledger.meta("deidflow_version"),
        "started": ledger.meta("started"),
        "ended": ledger.meta("ended"),
        "seconds": _seconds_between(ledger.meta("started"), ledger.meta("ended")),
        "seconds_by_step": seconds,
        "instances_per_second": _rate(done, seconds.get("apply")),
    }


def provenance(ledger: Ledger) -> dict[str, Any]:
    """Return what ``provenance.json`` holds: enough to tell later whether another run was the same, and with what."""
    config = ledger.meta("config", {})
    options = config.get("options") or {}
    canonical = json.dumps(config, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return {
        "run_id": ledger.meta("run_id"),
        "name": ledger.meta("name"),
        "engine": ledger.meta("engine"),
        "operation": config.get("operation"),
        "manifest_sha256": ledger.meta("manifest_sha256"),
        "config_sha256": sha256(canonical.encode()).hexdigest(),
        "dicom_version": options.get("DicomVersion"),
        "profile": config.get("profile"),
        "profile_sha256": ledger.meta("profile_sha256"),
        "hardening": config.get("hardening"),
        "verify": config.get("verify"),
        "scope": ledger.meta("scope"),
        "key_fingerprint": ledger.meta("key_fingerprint"),
        "deidflow_version": ledger.meta("deidflow_version"),
        "versions": ledger.meta("versions", {}),
        "server_version": ledger.meta("server_version"),
        "host": ledger.meta("host"),
        "created": ledger.meta("created"),
        "started": ledger.meta("started"),
        "ended": ledger.meta("ended"),
        "attempts": ledger.meta("attempts"),
    }


def _sources(verdict: Verdict) -> dict[str, int]:
    """Return what became of sources that were to be deleted; 0 of all where none were."""
    return asdict(verdict.sources or DeletedSources())


def _with_total(counts: Mapping[Outcome, int]) -> dict[str, int]:
    return {"total": sum(counts.values()), **{str(outcome): counts.get(outcome, 0) for outcome in Outcome}}


def _seconds_between(start: str | None, end: str | None) -> float | None:
    if not start or not end:
        return None
    return round((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds(), 3)


def _rate(count: int, seconds: float | None) -> float | None:
    """Return how many per second; None when nothing was measured."""
    return round(count / seconds, 1) if seconds else None
