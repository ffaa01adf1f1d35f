"""The identifiers of the files of a series, without scanning each of them.

Like ``shared_header``, for reading instead of editing: the first elements of the files of a series are the same in long
runs. Where these are the same bytes again, so are the identifiers in them; only what lies between the runs is read.

Public names: ``SharedIdentifiers``, ``NEEDED``, ``OPTIONAL``, ``PERSONAL``, ``KIND``.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.tags import (
    FRAME_OF_REFERENCE_UID,
    IMAGE_TYPE,
    ISSUER_OF_PATIENT_ID,
    MODALITY,
    PATIENT_BIRTH_DATE,
    PATIENT_ID,
    PATIENT_NAME,
    PATIENT_SEX,
    SERIES_INSTANCE_UID,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    SPECIFIC_CHARACTER_SET,
    STUDY_INSTANCE_UID,
)
from deidflow.tasks.local.dicom_file.elements import changed_tags
from deidflow.tasks.local.dicom_file.encoding import SHORT_VRS

if TYPE_CHECKING:
    from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers
    from deidflow.tasks.local.dicom_file.elements import Element
    from deidflow.tasks.local.dicom_file.encoding import Encoding
    from deidflow.tasks.local.dicom_file.source_file import SourceFile

    Found = tuple[DicomIdentifiers, str, str, str, str, str]
    """Identifiers, FrameOfReferenceUID, whose it says it is, SOPClassUID, why a person should look at it, Modality."""

NEEDED: Final = frozenset({PATIENT_ID, STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID})
OPTIONAL: Final = frozenset({SPECIFIC_CHARACTER_SET, FRAME_OF_REFERENCE_UID})
PERSONAL: Final = (PATIENT_NAME, PATIENT_BIRTH_DATE, PATIENT_SEX, ISSUER_OF_PATIENT_ID)
"""In the order of ``Person``."""
KIND: Final = (SOP_CLASS_UID, IMAGE_TYPE, MODALITY)

_IN_A_RUN: Final = (NEEDED | OPTIONAL | {*PERSONAL, *KIND}) - {SOP_INSTANCE_UID}
_TAG_AND_VR_BYTES: Final = 6
_HEADER_BYTES: Final = 8


class _Step(NamedTuple):
    """Bytes that are the same in all files; or tag and VR of an element of a VR with a short length."""

    raw: bytes
    is_run: bool
    is_sop_instance_uid: bool = False


class SharedIdentifiers:
    """What the files that were read last had in common."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._elements: list[Element] = []
        self._body = b""
        self._gaps: set[int] = set()
        self._steps: list[_Step] = []
        self._encoding: Encoding | None = None
        self._found: Found | None = None

    def recall(self, source: SourceFile) -> Found | None:
        """Return what was found of a file like those before, with its own SOPInstanceUID; None for any other file."""
        if not self._steps or self._found is None or source.layout.deflated:
            return None
        text = self._sop_instance_uid(source) if source.layout.encoding is self._encoding else ""
        if not text or "\0" in text or " " in text:
            return None
        return (self._found[0]._replace(sop_instance_uid=text), *self._found[1:])

    def _sop_instance_uid(self, source: SourceFile) -> str:
        """Walk through the file; return its SOPInstanceUID, "" when it is not like those before."""
        body, position, uid = source.body, source.dataset_start, b""
        unpack, last = source.layout.encoding.tag_vr_length.unpack_from, len(body) - _HEADER_BYTES
        for raw, is_run, is_sop_instance_uid in self._steps:
            if position > last or not body.startswith(raw, position):
                return ""
            if is_run:
                position += len(raw)
                continue
            end = position + _HEADER_BYTES + unpack(body, position)[3]
            if is_sop_instance_uid:
                uid = body[position + _HEADER_BYTES : end]
            position = end
        if position > last:
            return ""
        group, number, *_ = unpack(body, position)
        # Another element that identifies could follow, which those before did not have.
        return "" if group << 16 | number <= FRAME_OF_REFERENCE_UID else uid.rstrip(b"\0").decode("latin-1")

    def learn(self, source: SourceFile, elements: list[Element], found: Found) -> None:
        """Take note of a file that was scanned up to FrameOfReferenceUID."""
        tags = [element[0] for element in elements]
        known = [element[0] for element in self._elements]
        body = source.body
        if tags != known or source.layout.encoding is not self._encoding:
            self._gaps = set()
        elif found[0][:3] != (self._found or found)[0][:3]:
            # What differed within a series does so within the next one like it; a wrong guess costs time alone.
            self._gaps -= _IN_A_RUN
        else:
            self._gaps |= changed_tags(self._elements, self._body, elements, body)
            self._gaps.add(SOP_INSTANCE_UID)
        self._elements, self._body, self._found, self._encoding = elements, body, found, source.layout.encoding
        self._steps = _steps(elements, body, self._gaps, source) if self._gaps else []


def _steps(elements: list[Element], body: bytes, gaps: set[int], source: SourceFile) -> list[_Step]:
    """Return the steps, none where the identifiers do not lie in runs or a gap is more than a short element."""
    tags = [element[0] for element in elements]
    in_order = all(first < second for first, second in pairwise(tags))
    if gaps & _IN_A_RUN or not in_order or not source.layout.encoding.explicit or elements[-1][4] > len(body):
        return []
    steps = []
    run_start = run_end = elements[0][2]
    for tag, vr, start, _, end, sequence in elements:
        if tag not in gaps:
            run_end = end
            continue
        if sequence is not None or vr.encode() not in SHORT_VRS:
            return []
        if run_start < run_end:
            steps.append(_Step(body[run_start:run_end], is_run=True))
        raw = body[start : start + _TAG_AND_VR_BYTES]
        steps.append(_Step(raw, is_run=False, is_sop_instance_uid=tag == SOP_INSTANCE_UID))
        run_start = run_end = end
    if run_start < run_end:
        steps.append(_Step(body[run_start:run_end], is_run=True))
    return steps
