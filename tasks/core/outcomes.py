"""What became of a row or an instance: a closed set of outcomes and a closed list of reasons.

Public names: ``Outcome``, ``ReasonCode``, ``worst``, ``reason_text``, ``REMEDIES``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable


class Outcome(StrEnum):
    """One per manifest row and one per instance."""

    DONE = "done"
    FAILED = "failed"
    NOT_FOUND = "not_found"
    INVALID = "invalid"
    MISSING = "missing"
    CANCELLED = "cancelled"


SEVERITY: Final = (Outcome.FAILED, Outcome.MISSING, Outcome.CANCELLED, Outcome.NOT_FOUND, Outcome.INVALID, Outcome.DONE)
"""Worst first; a row has the worst outcome of its instances."""


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the worst outcome; ``done`` when there is none.

    >>> worst([Outcome.DONE, Outcome.CANCELLED, Outcome.MISSING])
    <Outcome.MISSING: 'missing'>
    """
    return min(outcomes, key=SEVERITY.index, default=Outcome.DONE)


class ReasonCode(StrEnum):
    """Why something is not ``done``; the only part of a reason that reaches logs, Prefect and public reports."""

    NOT_FOUND = "not-found"
    INVALID_ROW = "invalid-row"
    DAMAGED = "damaged"
    NESTING_TOO_DEEP = "nesting-too-deep"
    UNSUPPORTED = "unsupported"
    AMBIGUOUS_SOURCE = "ambiguous-source"
    SOURCE_CHANGED = "source-changed"
    SOURCE_UNREADABLE = "source-unreadable"
    CHARACTER_SET = "character-set"
    BAD_VALUE = "bad-value"
    IDENTIFIER_COLLISION = "identifier-collision"
    DESTINATION_CONFLICT = "destination-conflict"
    TRANSCODING_FAILED = "transcoding-failed"
    RESULT_MISSING = "result-missing"
    RESULT_DIFFERS = "result-differs"
    PIXEL_DATA_DIFFERS = "pixel-data-differs"
    REFERENCE_BROKEN = "reference-broken"
    IDENTIFIER_LEFT = "identifier-left"
    UNSTABLE = "unstable"
    SERVER_ERROR = "server-error"
    WORKER_DIED = "worker-died"
    DESTINATION_UNUSABLE = "destination-unusable"
    INTERRUPTED = "interrupted"
    INTERNAL_ERROR = "internal-error"


REMEDIES: Final[dict[ReasonCode, str]] = {
    ReasonCode.NOT_FOUND: "Check the identifier with `deidflow inventory`; `deidflow resume` looks for it again.",
    ReasonCode.INVALID_ROW: "Correct the row in the manifest and start a new run.",
    ReasonCode.DAMAGED: "Fetch the file again from where it came from, then `deidflow resume`.",
    ReasonCode.NESTING_TOO_DEEP: "The file nests sequences deeper than any real object does; have its origin checked.",
    ReasonCode.UNSUPPORTED: "The file uses an encoding that the local engine does not edit; try `engine: orthanc`.",
    ReasonCode.AMBIGUOUS_SOURCE: "Two different files claim to be the same instance; remove the wrong one.",
    ReasonCode.SOURCE_CHANGED: "The file changed after the plan was frozen; start a new run.",
    ReasonCode.SOURCE_UNREADABLE: "Give the user of deidflow the right to read the file, then `deidflow resume`.",
    ReasonCode.CHARACTER_SET: "The new value has characters that the file's SpecificCharacterSet lacks; use others.",
    ReasonCode.BAD_VALUE: "The new value cannot be written with the element's value representation; correct it.",
    ReasonCode.IDENTIFIER_COLLISION: "Several instances would get the same identifiers; give each its own.",
    ReasonCode.DESTINATION_CONFLICT: "Another object stands where the result belongs; empty the destination or set "
    "destination.overwrite.",
    ReasonCode.TRANSCODING_FAILED: "No codec could convert the pixel data. Install the extra `codecs` (engine local) "
    "or the plugin GDCM (Orthanc), then `deidflow resume`; or run failures.csv with another options.Transcode.",
    ReasonCode.RESULT_MISSING: "The result vanished after it was written; `deidflow resume` writes it again.",
    ReasonCode.RESULT_DIFFERS: "The result was changed by something else; remove it, then `deidflow resume`.",
    ReasonCode.PIXEL_DATA_DIFFERS: "The pixel data of the result is not the source's; please report this.",
    ReasonCode.REFERENCE_BROKEN: "A reference inside the result points to the wrong object; please report this.",
    ReasonCode.IDENTIFIER_LEFT: "An original identifier is left in the result; add the element to Remove.",
    ReasonCode.UNSTABLE: "The study was still arriving; `deidflow resume` later, or set orthanc.accept_unstable.",
    ReasonCode.SERVER_ERROR: "See the server's own log, then `deidflow resume`.",
    ReasonCode.WORKER_DIED: "A worker process was killed (memory?); lower execution.workers, then `deidflow resume`.",
    ReasonCode.DESTINATION_UNUSABLE: "Make room or give the right to write, then `deidflow resume`.",
    ReasonCode.INTERRUPTED: "`deidflow resume` goes on where the run stopped.",
    ReasonCode.INTERNAL_ERROR: "A mistake in deidflow; please report it with the output of --debug.",
}
"""What to do about each reason, for people."""


def reason_text(code: ReasonCode, text: str = "") -> str:
    """Return the form that reports use: ``<code>: <text>``, the remedy standing in for a missing text.

    >>> reason_text(ReasonCode.DAMAGED, "truncated at byte 12")
    'damaged: truncated at byte 12'
    """
    return f"{code}: {text or REMEDIES[code]}"
