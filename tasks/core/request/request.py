"""The arguments of one bulk call, as Orthanc's ``/tools/bulk-modify`` and ``/tools/bulk-anonymize`` read them.

Public names: ``Operation``, ``Settings``, ``Request``, ``parse_settings``, ``parse_edits``, ``parse_request``,
``check_request``, ``request_faults``, ``RequestFault``, ``orthanc_name``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.dicom.tags import (
    IDENTIFIERS,
    PATIENT_ID,
    SERIES_INSTANCE_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    Path,
    TagSyntaxError,
    describe_tag,
    parse_path,
)
from deidflow.tasks.core.errors import BadText, InvalidInput, Problem
from deidflow.tasks.core.request.edits import Edits, parse_path_list, parse_value, value_to_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

DICOM_VERSIONS: Final = ("2008", "2017c", "2021b", "2023b")
"""Orthanc's anonymization profiles; 2021b since 1.9.4, 2023b since 1.12.1."""

EDIT_KEYS: Final = ("Replace", "Remove", "Keep")
NOT_OURS: Final = {
    "Resources": "deidflow sends the planned instances itself; name the resources in the manifest",
    "Synchronous": "deidflow decides itself how calls are made",
    "Asynchronous": "deidflow decides itself how calls are made",
    "UserData": "deidflow marks its own jobs with it",
}


class Operation(StrEnum):
    """Which of the two routes."""

    ANONYMIZE = "anonymize"
    MODIFY = "modify"


@dataclass(frozen=True, slots=True)
class Settings:
    """The arguments beside the three lists, with Orthanc's defaults and, in the metadata, Orthanc's names.

    Attributes:
        keep_private_tags: Anonymize: no private element is removed, at any depth.
        remove_private_tags: Modify: private elements at top level are removed.
        dicom_version: Anonymize: which profile, one of DICOM_VERSIONS, or "" when not given.
        force: The user knows that identifiers are replaced or kept.
        keep_source: False deletes the sources once all is verified and reported.
        level: Modify: from which level down identifiers are regenerated; None infers it from Replace.
        private_creator: Creator under which private tags of Replace are looked up (Orthanc 1.6.0).
        transcode: Transfer syntax UID of the results, "" for the source's.
        lossy_quality: 1 to 100 for lossy targets (Orthanc 1.12.7), 0 when not given.
        permissive: Go on after an instance failed; deidflow always does, so it is only passed on.
        keep_labels: Orthanc 1.12.3: copy the labels of patient, study and series.
        priority: Orthanc: higher numbers run first.

    """

    keep_private_tags: bool = False
    remove_private_tags: bool = False
    dicom_version: str = ""
    force: bool = False
    keep_source: bool = True
    level: Level | None = None
    private_creator: str = ""
    transcode: str = ""
    lossy_quality: int = 0
    permissive: bool = False
    keep_labels: bool = False
    priority: int = 0


def orthanc_name(field_name: str) -> str:
    """Return Orthanc's spelling: ``keep_private_tags`` is ``KeepPrivateTags``."""
    return "".join(part.capitalize() for part in field_name.split("_"))


SETTING_KEYS: Final = tuple(orthanc_name(field.name) for field in fields(Settings))
_FIELD_OF: Final = {orthanc_name(field.name): field for field in fields(Settings)}


@dataclass(frozen=True, slots=True)
class Request:
    """One bulk call without its ``Resources``.

    Attributes:
        operation: Which route.
        edits: The three lists, normalised: a path stands in one of them only.
        settings: All other arguments.
        shift_days: Days to add to the dates of the row's patient, where the manifest says that (``dates.column``); None
            where it does not. No Orthanc reads it.

    """

    operation: Operation
    edits: Edits
    settings: Settings = Settings()
    shift_days: int | None = None

    def level(self) -> Level:
        """Return the level from which identifiers change.

        For modify ``Level``, or what Orthanc infers: the highest identifier in Replace, else the instance
        (docs/orthanc.md, Options). Anonymize always changes all four.
        """
        if self.operation is Operation.ANONYMIZE:
            return Level.PATIENT
        if self.settings.level is not None:
            return self.settings.level
        for tag, level in (
            (PATIENT_ID, Level.PATIENT),
            (STUDY_INSTANCE_UID, Level.STUDY),
            (SERIES_INSTANCE_UID, Level.SERIES),
        ):
            if Path((), tag) in self.edits.replace:
                return level
        return Level.INSTANCE

    def body(self) -> dict[str, Any]:
        """Return the JSON body that Orthanc reads, without ``Resources`` and without defaults."""
        body: dict[str, Any] = {}
        if self.edits.replace:
            body["Replace"] = {str(path): value_to_json(value) for path, value in self.edits.replace.items()}
        if self.edits.remove:
            body["Remove"] = [str(path) for path in self.edits.remove]
        if self.edits.keep:
            body["Keep"] = [str(path) for path in self.edits.keep]
        for field in fields(Settings):
            value = getattr(self.settings, field.name)
            if value != field.default:
                body[orthanc_name(field.name)] = str(value).capitalize() if field.name == "level" else value
        return body

    def canonical(self) -> str:
        """Return one text for all equal requests, to group rows by."""
        shift = "" if self.shift_days is None else f" {self.shift_days:+d} days"
        return f"{self.operation} {json.dumps(self.body(), sort_keys=True, ensure_ascii=False)}{shift}"

    def content_hash(self) -> str:
        """Return a hash of all that decides what the result holds (for generated identifiers of modify).

        Who is asked (Priority, Permissive, Force) and what happens to the source do not count.
        """
        body = self.body()
        for key in ("Force", "KeepSource", "Permissive", "KeepLabels", "Priority", "KeepPrivateTags", "DicomVersion"):
            body.pop(key, None)
        body["Level"] = str(self.level())
        return sha256(json.dumps(body, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


class RequestFault(NamedTuple):
    """What is wrong with a request as a whole.

    Attributes:
        member: ``Replace``, ``Remove``, ``Keep`` or ``KeepSource``.
        path: The entry of that member, None when it has none.
        text: What is wrong, for people.

    """

    member: str
    path: Path | None
    text: str

    @property
    def where(self) -> str:
        """The member and its entry, ``Replace.PatientID``."""
        return self.member if self.path is None else f"{self.member}.{self.path.describe()}"


def parse_request(operation: Operation, body: Mapping[str, Any]) -> Request:
    """Read a whole body as it is sent to Orthanc, without ``Resources``.

    Raises:
        InvalidInput: With every problem, each under the member's name.

    """
    edits, edit_problems = parse_edits(body)
    settings, setting_problems = parse_settings(body)
    unknown = [
        Problem(NOT_OURS.get(key, f"unknown; the known ones are {', '.join((*EDIT_KEYS, *SETTING_KEYS))}"), column=key)
        for key in body
        if key not in EDIT_KEYS and key not in SETTING_KEYS
    ]
    request = Request(operation, edits.normalized(), settings)
    problems = [*edit_problems, *setting_problems, *unknown, *check_request(request)]
    if problems:
        raise InvalidInput(problems)
    return request


def parse_edits(body: Mapping[str, Any], prefix: str = "") -> tuple[Edits, list[Problem]]:
    """Read ``Replace``, ``Remove`` and ``Keep`` of a body.

    Args:
        body: The JSON or YAML object.
        prefix: What the keys are prefixed with in problems, for example ``options.``.

    """
    problems: list[Problem] = []
    replace = {} if body.get("Replace") is None else body["Replace"]
    values = {}
    if not isinstance(replace, dict):
        problems.append(Problem("must be an object of tags and values", column=f"{prefix}Replace"))
        replace = {}
    for name, value in replace.items():
        where = f"{prefix}Replace.{name}"
        try:
            path = parse_path(str(name))
            if path in values:
                problems.append(Problem("the same element appears twice in Replace", column=where))
            values[path] = parse_value(path.tag, value)
        except BadText as error:
            problems.append(Problem(error.problem.text, column=where))
    lists: dict[str, list[Path]] = {"Remove": [], "Keep": []}
    for key, paths in lists.items():
        texts = [] if body.get(key) is None else body[key]
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            problems.append(Problem("must be a list of tags and paths, each in quotes", column=f"{prefix}{key}"))
            continue
        for text, parsed in parse_path_list(texts):
            if isinstance(parsed, TagSyntaxError):
                problems.append(Problem(str(parsed), column=f"{prefix}{key}.{text}"))
            else:
                paths.append(parsed)
    return Edits(values, tuple(lists["Remove"]), tuple(lists["Keep"])), problems


def parse_settings(body: Mapping[str, Any], prefix: str = "") -> tuple[Settings, list[Problem]]:
    """Read the other arguments of a body; unknown members are the caller's business."""
    problems: list[Problem] = []
    values: dict[str, Any] = {}
    for key, field in _FIELD_OF.items():
        if key not in body:
            continue
        value = body[key]
        problem = _check_setting(field.name, value)
        if problem:
            problems.append(Problem(problem, column=f"{prefix}{key}"))
        elif field.name == "level":
            values["level"] = Level(value.lower())
        else:
            values[field.name] = value
    return Settings(**values), problems


def _check_setting(name: str, value: object) -> str:
    """Return what is wrong with one argument, "" for nothing."""
    if name == "level":
        good = isinstance(value, str) and value.lower() in set(Level)
        return "" if good else f"must be one of {', '.join(level.capitalize() for level in Level)}"
    if name == "dicom_version":
        return "" if value in DICOM_VERSIONS else f"must be one of {', '.join(DICOM_VERSIONS)}, in quotes"
    if name == "lossy_quality":
        good = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 100  # noqa: PLR2004 (percent)
        return "" if good else "must be a number from 1 to 100"
    if name == "priority":
        return "" if isinstance(value, int) and not isinstance(value, bool) else "must be a whole number"
    if name in ("private_creator", "transcode"):
        return "" if isinstance(value, str) else "must be text in quotes"
    return "" if isinstance(value, bool) else "must be true or false"


def check_request(request: Request) -> list[Problem]:
    """Find what is refused before any work, each under its member's name (``Replace.PatientID``, ``KeepSource``)."""
    return [Problem(fault.text, column=fault.where) for fault in request_faults(request)]


def request_faults(request: Request) -> list[RequestFault]:
    """Find what Orthanc refuses before any work, and the combinations with which it loses data.

    Identifiers in Remove, and without ``Force`` in any list (docs/orthanc.md, Options, Which identifiers change;
    Orthanc 1.10.1 to 1.13.0), empty UIDs, and with ``KeepSource: false`` whatever could delete the only copy
    (docs/orthanc.md, hazards 3 and 4).
    """
    edits, settings = request.edits, request.settings
    faults = []
    for member, paths in (("Replace", edits.replace), ("Keep", edits.keep), ("Remove", edits.remove)):
        for path in paths:
            if path.is_nested or path.tag not in IDENTIFIERS:
                continue
            name = describe_tag(path.tag)
            if member == "Remove":
                text = f"{name} cannot be removed: it identifies the object; use Replace"
                faults.append(RequestFault(member, path, text))
            elif not settings.force:
                text = f"{name} in {member} needs Force: true, since it changes what belongs together"
                faults.append(RequestFault(member, path, text))
            if member == "Replace" and path.tag != PATIENT_ID and not str(edits.replace[path]).strip(" \0"):
                faults.append(RequestFault(member, path, "a UID must not be empty"))
    if not settings.keep_source:
        faults += _deletion_faults(request)
    return faults


def _deletion_faults(request: Request) -> list[RequestFault]:
    """Find what must not be combined with ``KeepSource: false``."""
    faults = []
    if request.settings.permissive:
        text = "KeepSource must be true with Permissive: an Orthanc would delete the sources that failed, too"
        faults.append(RequestFault("KeepSource", None, text))
    path = Path((), SOP_INSTANCE_UID)
    for member, paths in (("Replace", request.edits.replace), ("Keep", request.edits.keep)):
        if path in paths:
            text = f"SOPInstanceUID in {member} needs KeepSource: true, since a result could be its own source"
            faults.append(RequestFault(member, path, text))
    return faults
