"""One edit of one file in memory, as a worker does it; and how tests read what came out.

Public names: ``KEY``, ``SCOPE``, ``PSEUDONYMS``, ``Edit``, ``anonymized``, ``modified``, ``read``, ``all_files``.
"""

from __future__ import annotations

import io
import warnings
from copy import copy
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pydicom.data
from pydicom import Dataset, dcmread

from deidflow.tasks.core.engine.protocol import PlannedInstance
from deidflow.tasks.core.pseudonyms.kept_identifiers import GivenIdentifiers
from deidflow.tasks.core.pseudonyms.new_identifiers import new_identifiers
from deidflow.tasks.core.pseudonyms.original_uids import OriginalUids
from deidflow.tasks.core.pseudonyms.pseudonyms import Key, Pseudonyms
from deidflow.tasks.core.request.profile_choice import KEPT_UIDS, Option
from deidflow.tasks.core.request.request import Operation, Request, parse_request
from deidflow.tasks.local.deidentification.compile import compile_request
from deidflow.tasks.local.deidentification.ps3_15 import Ps315
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.editing.items.shared_items import SharedItems
from deidflow.tasks.local.editing.references import References
from deidflow.tasks.local.editing.series.shared_header import SharedHeaders
from deidflow.tasks.local.folder.index import identify
from deidflow.tasks.local.worker import Compiled, edit_source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deidflow.tasks.core.request.profile_choice import ProfileChoice

KEY: Final = Key(bytes(range(32)))
SCOPE: Final = "tests"
PSEUDONYMS: Final = Pseudonyms(KEY, SCOPE)

PACKAGE: Final = Path(pydicom.data.__file__).parent


def all_files() -> list[Path]:
    """Return every file that pydicom's package carries, DICOM or not."""
    return sorted(path for path in PACKAGE.rglob("*") if path.is_file())


@lru_cache
def _profile(choice: ProfileChoice) -> Ps315:
    if choice.pixels is None:
        return Ps315(choice, KEY, SCOPE)
    profile = copy(_profile(replace(choice, pixels=None)))  # many tests have rules of their own, and all else alike
    profile.pixels = choice.pixels
    return profile


@dataclass
class Edit:
    """A request, and the files that are edited in one run with it.

    Attributes:
        request: Parsed.
        hardening: See ``compile_request``.
        profile: The PS3.15 profile, instead of the request's ``DicomVersion``.
        others: Further files of the run, whose kept and replaced identifiers references must follow.

    """

    request: Request
    hardening: bool = True
    profile: ProfileChoice | None = None
    others: Sequence[bytes] = field(default_factory=tuple)

    def plan(self, source: SourceFile) -> PlannedInstance:
        """Return the instance with its new identifiers."""
        original, _ = identify(source, source.scan())
        new = new_identifiers(original, self.request, self._pseudonyms())
        return PlannedInstance(1, b"", source.size, 0, original, new)

    def compiled(self, source: SourceFile) -> Compiled:
        """Return the request, ready for a run of this file and the others."""
        given = GivenIdentifiers()
        named: set[str] = set()
        for data in self.others:
            with SourceFile.of_bytes(data) as other:
                self._note(given, named, other)
        self._note(given, named, source)
        profile = _profile(self.profile) if self.profile is not None else None
        tables = compile_request(self.request, hardening=self.hardening, profile=profile)
        references = References(self._pseudonyms(), given.uids, given.patient_ids, OriginalUids(named))
        return Compiled(self.request, tables, references, SharedHeaders(), SharedItems())

    def apply(self, source: SourceFile) -> bytes:
        """Edit an open file."""
        return edit_source(source, self.plan(source), self.compiled(source)).to_bytes()

    def __call__(self, data: bytes) -> bytes:
        """Edit a file in memory."""
        with SourceFile.of_bytes(data) as source:
            return self.apply(source)

    def _note(self, given: GivenIdentifiers, named: set[str], source: SourceFile) -> None:
        original, frame = identify(source, source.scan())
        named.update((*original[1:], frame))
        given.add(original, frame, self.request, self.plan(source).new)

    def _pseudonyms(self) -> Pseudonyms:
        modify = self.request.operation is Operation.MODIFY
        return Pseudonyms(KEY, SCOPE, self.request.content_hash() if modify else None)


def modify(body: dict[str, Any], **keywords: Any) -> Edit:
    """Return the edit that a body of ``bulk-modify`` asks for."""
    return Edit(parse_request(Operation.MODIFY, body), **keywords)


def anonymize(body: dict[str, Any], **keywords: Any) -> Edit:
    """Return the edit that a body of ``bulk-anonymize`` asks for; profile 2023b unless it names one."""
    return Edit(parse_request(Operation.ANONYMIZE, {"DicomVersion": "2023b", "Force": True, **body}), **keywords)


def deidentify(choice: ProfileChoice, body: dict[str, Any] | None = None, **keywords: Any) -> Edit:
    """Return the edit that the profile makes, with the lists of a body laid over it."""
    members = {"Force": True, **(body or {})}
    if Option.RETAIN_UIDS in choice.options:  # as Defaults.of does
        members["Keep"] = [*members.get("Keep", ()), *map(str, KEPT_UIDS)]
    return Edit(parse_request(Operation.ANONYMIZE, members), profile=choice, **keywords)


def modified(data: bytes, body: dict[str, Any], **keywords: Any) -> Dataset:
    """Modify a file and read the result."""
    return read(modify(body, **keywords)(data))


def anonymized(data: bytes, body: dict[str, Any] | None = None, **keywords: Any) -> Dataset:
    """Anonymize a file and read the result."""
    return read(anonymize(body or {}, **keywords)(data))


def read(data: bytes) -> Dataset:
    """Read a file with pydicom, all values decoded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = dcmread(io.BytesIO(data), force=True)
        for element in dataset.iterall():
            _ = element.value
    return dataset
