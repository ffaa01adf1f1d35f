"""A request under comparison and one difference that it shows: what the conditions of accepted ones look at.

Public names: ``Case``, ``Difference``, ``Step``, ``decoded``, and the forms of generated identifiers.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from pydicom.charset import convert_encodings, decode_bytes

from deidflow.tasks.core.dicom.tags import describe_tag
from deidflow.tasks.core.errors import InvalidInput
from deidflow.tasks.core.request.request import Operation, Request, parse_request

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.contract.parity.reader import DicomFile, Element

ORTHANC_UID: Final = re.compile(rb"1\.2\.276\.0\.7230010\.3\.1\.([234])\.[0-9.]+\0?")
OUR_UID: Final = re.compile(rb"2\.25\.[0-9]{30,39}\0?")
ORTHANC_PATIENT_ID: Final = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
OUR_PATIENT_ID: Final = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@dataclass
class Case:
    """One request.

    Attributes:
        operation: Which route.
        body: Without ``Resources``.
        hardening: Whether the engine hardens.
        version: Of the server.
        given: UIDs that the request keeps or gives, padded; filled by ``compare``.
        originals: UIDs of studies, series, instances and frames of reference before; likewise.

    """

    operation: Operation
    body: Mapping[str, Any]
    hardening: bool = False
    version: str = "1.10.1"
    given: set[bytes] = field(default_factory=set)
    originals: set[bytes] = field(default_factory=set)

    @cached_property
    def request(self) -> Request | None:
        """The request as the engine reads it, None when it refuses it."""
        try:
            return parse_request(self.operation, self.body)
        except InvalidInput:
            return None


Step = tuple[int, int]


@dataclass(slots=True)
class Difference:
    """One difference in one place.

    Attributes:
        kind: ``missing`` and ``extra`` elements (seen from the engine), ``vr``, ``value``, ``shape`` (sequence or not),
            ``items`` (their number), ``pixels``, ``order``, ``meta``; of a whole file ``not-done``, ``only-ours``,
            ``unreadable``; of the request ``refused``, ``accepted``, ``answer``, ``mapping``.
        where: Sequences and items on the way.
        tag: The element, 0 for none.
        source: As it was, None when it was absent.
        theirs: Orthanc's.
        ours: The engine's.
        files: Source and both results, in the order source, Orthanc, engine; None above the file.
        detail: For people.
        name: Of the source.
        raw: The files' bytes, in the same order; b"" for one that is not there.

    """

    kind: str
    where: tuple[Step, ...] = ()
    tag: int = 0
    source: Element | None = None
    theirs: Element | None = None
    ours: Element | None = None
    files: tuple[DicomFile, DicomFile, DicomFile] | None = None
    detail: str = ""
    name: str = ""
    raw: tuple[bytes, bytes, bytes] = (b"", b"", b"")

    def __str__(self) -> str:
        """Name the place and what stands there."""
        element = [describe_tag(self.tag)] if self.tag else []
        path = ".".join([*(f"{describe_tag(tag)}[{index}]" for tag, index in self.where), *element])
        shown = [f"{side}={_show(element)}" for side, element in self._sides() if element or side != "source"]
        return f"{self.kind} {path} {' '.join(shown)} {self.detail} ({self.name})"

    def _sides(self) -> Iterator[tuple[str, Element | None]]:
        if self.tag:
            yield from (("source", self.source), ("orthanc", self.theirs), ("deidflow", self.ours))


def _show(element: Element | None) -> str:
    if element is None:
        return "-"
    if element.items is not None:
        return f"{element.vr}<{len(element.items)} items>"
    return f"{element.vr}{element.value[:48]!r}({len(element.value)})"


def decoded(element: Element | None, charset: Element | None) -> str:
    """Return text as pydicom reads it, without its padding."""
    if element is None:
        return ""
    declared = charset.value.decode("ascii", "replace").strip(" \0") if charset else ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = decode_bytes(element.value, convert_encodings(declared.split("\\")), set())
    return text.rstrip("\0" if element.vr == "UN" else "\0 ")
