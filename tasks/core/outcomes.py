"""What became of a row or an instance: a closed set of outcomes and a closed list of reasons.

A reason is a code and a text, two fields from the raise to the report; nothing takes a text apart to learn its code.

Public names: ``Outcome``, ``ReasonCode``, ``Reason``, ``worst``, ``reason_text``, ``REMEDIES``, ``FOUND_BY_VERIFYING``,
``ANOTHER_RUN``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

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
    AMBIGUOUS_ENCODING = "ambiguous-encoding"
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
    UNSAFE_CONTENT = "unsafe-content"
    BURNED_IN_TEXT = "burned-in-text"
    SPLIT_STUDY = "split-study"
    KNOWN_PATIENT = "known-patient"
    WITHDRAWN = "withdrawn"
    UNSTABLE = "unstable"
    SERVER_ERROR = "server-error"
    WORKER_DIED = "worker-died"
    DESTINATION_UNUSABLE = "destination-unusable"
    INTERRUPTED = "interrupted"
    INTERNAL_ERROR = "internal-error"


FOUND_BY_VERIFYING: Final = (
    ReasonCode.RESULT_MISSING,
    ReasonCode.RESULT_DIFFERS,
    ReasonCode.PIXEL_DATA_DIFFERS,
    ReasonCode.REFERENCE_BROKEN,
    ReasonCode.IDENTIFIER_LEFT,
    ReasonCode.WORKER_DIED,
    ReasonCode.INTERNAL_ERROR,
)
"""Reasons of instances that may have been done once."""


REMEDIES: Final[dict[ReasonCode, str]] = {
    ReasonCode.NOT_FOUND: "Check the identifier with `deidflow inventory`; `deidflow resume` looks for it again.",
    ReasonCode.INVALID_ROW: "Correct the row in failures.csv and run that.",
    ReasonCode.DAMAGED: "Fetch the file again from where it came from, then `deidflow resume`.",
    ReasonCode.NESTING_TOO_DEEP: "The file nests sequences deeper than any real object does; have its origin checked, "
    "put a sound file in its place, then `deidflow resume`.",
    ReasonCode.UNSUPPORTED: "The file uses an encoding that the local engine does not edit; convert it, then `deidflow "
    "resume`, or try `engine: orthanc`.",
    ReasonCode.AMBIGUOUS_SOURCE: "Two different files claim to be the same instance; remove the wrong one, then "
    "`deidflow resume`.",
    ReasonCode.AMBIGUOUS_ENCODING: "Programs read the file in different ways; have the system it came from export it "
    "again, then `deidflow resume`; or leave its row out of a new run.",
    ReasonCode.SOURCE_CHANGED: "The file changed after the plan was frozen; `deidflow resume` takes it as it is now, "
    "if it holds the same instance. One that holds another, or is gone, has to be put back first.",
    ReasonCode.SOURCE_UNREADABLE: "Give the user of deidflow the right to read the file, or, on an Orthanc, put "
    "the file back into its storage; then `deidflow resume`.",
    ReasonCode.CHARACTER_SET: "The new value has characters that the file's SpecificCharacterSet lacks; use others, "
    "and run failures.csv with them.",
    ReasonCode.BAD_VALUE: "The new value cannot be written with the element's value representation; correct it, and "
    "run failures.csv with it.",
    ReasonCode.IDENTIFIER_COLLISION: "Several instances would get the same identifiers; give each its own, and run "
    "failures.csv with them.",
    ReasonCode.DESTINATION_CONFLICT: "Another object stands where the result belongs, as one does that was made "
    "before the source changed or deidflow was upgraded; remove it, then `deidflow resume`; or, with engine local, "
    "replace it with `deidflow resume RUN_DIR --set destination.overwrite=true`. If it is other studies of the patient "
    "that say otherwise who it is (the crosswalk says so), edit the patient as a whole in a new run.",
    ReasonCode.TRANSCODING_FAILED: "No codec could convert the pixel data. Install the extra `codecs` (engine local) "
    "or the plugin GDCM (Orthanc), then `deidflow resume`; or run failures.csv with another options.Transcode. Where "
    "the Orthanc converts what it stores (IngestTranscoding), switch that off and resume.",
    ReasonCode.RESULT_MISSING: "The result vanished after it was written; put it back and `deidflow verify`, or let "
    "`deidflow resume` write it again.",
    ReasonCode.RESULT_DIFFERS: "Something else changed the result, which was removed unless the reason says that "
    "it was not; `deidflow resume` writes it again.",
    ReasonCode.PIXEL_DATA_DIFFERS: "The pixel data of the result was not the source's, and the result was removed "
    "unless the reason says that it was not; `deidflow resume` writes it again. If that fails in the same way, please "
    "report it.",
    ReasonCode.REFERENCE_BROKEN: "A reference inside the result pointed to the wrong object, and the result was "
    "removed unless the reason says that it was not; `deidflow resume` writes it again. If that fails in the same way, "
    "please report it.",
    ReasonCode.IDENTIFIER_LEFT: "An original identifier was left in the result, which was removed unless the reason "
    "says that it was not: then remove it there; add the element that the reason names to Remove, or to Keep if it may "
    "stay, and run failures.csv.",
    ReasonCode.UNSAFE_CONTENT: "Where the reason names Keep or Remove, choose one of them and run failures.csv; of "
    "compressed images put an uncompressed copy of the file (dcmdjpeg, dcmdjpls or dcmdrle of DCMTK) in its place, "
    "then `deidflow resume`; name what cannot be looked into in Remove; or leave its row out of a new run.",
    ReasonCode.BURNED_IN_TEXT: "Text may be burned into the pixels: look at the images, add a rule for them to a file "
    "that pixels.rules names, and run failures.csv with that; or let them through with pixels.unmatched: accept.",
    ReasonCode.SPLIT_STUDY: "One study stands under two PatientIDs, in this source or in an earlier run, and would get "
    "two pseudonyms; correct the PatientID in the source and start a new run, or set pseudonyms.allow_merge when that "
    "is meant.",
    ReasonCode.KNOWN_PATIENT: "An Orthanc gives a patient other identifiers in another call than an earlier one did: "
    "give PatientID and PatientName in Replace, one row for each new study, and start a new run; or take engine local. "
    "A study that has grown or changed has to be withdrawn (`deidflow withdraw`) and done as a whole.",
    ReasonCode.WITHDRAWN: "The results were taken back with `deidflow withdraw`; a new run with the row in its "
    "manifest makes them again.",
    ReasonCode.UNSTABLE: "The study was still arriving; `deidflow resume` later, or set orthanc.accept_unstable.",
    ReasonCode.SERVER_ERROR: "See the server's own log, then `deidflow resume`.",
    ReasonCode.WORKER_DIED: "A worker process was killed, or had not enough memory; lower execution.workers, then "
    "`deidflow resume`.",
    ReasonCode.DESTINATION_UNUSABLE: "The Orthanc has no room, or may not store it; make room or give the right to "
    "write, then `deidflow resume`.",
    ReasonCode.INTERRUPTED: "`deidflow resume` goes on where the run stopped.",
    ReasonCode.INTERNAL_ERROR: "This is a bug in deidflow: please report it with the text that crosswalk.csv has for "
    "it, which holds no patient data. `deidflow resume` tries the instance again, with a newer version, too.",
}
"""What to do about each reason, for people."""


ANOTHER_RUN: Final = frozenset(
    {
        *(ReasonCode.INVALID_ROW, ReasonCode.CHARACTER_SET, ReasonCode.BAD_VALUE, ReasonCode.IDENTIFIER_COLLISION),
        *(ReasonCode.IDENTIFIER_LEFT, ReasonCode.BURNED_IN_TEXT, ReasonCode.SPLIT_STUDY, ReasonCode.KNOWN_PATIENT),
        ReasonCode.WITHDRAWN,
    }
)
"""Reasons that resuming a run does not mend: its rows or its config have to be others."""


def reason_text(code: ReasonCode, text: str = "") -> str:
    """Return the form that reports use: ``<code>: <text>``, the remedy standing in for a missing text.

    >>> reason_text(ReasonCode.DAMAGED, "truncated at byte 12")
    'damaged: truncated at byte 12'
    """
    return f"{code}: {text or REMEDIES[code]}"


class Reason(NamedTuple):
    """Why something is not ``done``.

    Attributes:
        code: From the closed list.
        text: For people, without patient data; "" where the code's remedy says it all.

    """

    code: ReasonCode
    text: str = ""

    def __str__(self) -> str:
        """Return the form that reports use, see ``reason_text``."""
        return reason_text(self.code, self.text)
