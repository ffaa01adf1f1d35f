"""The identifiers of DICOM and of Orthanc, and how the second follow from the first.

Orthanc's identifier is the SHA-1 of the DICOM identifiers down to its level, joined by ``|`` (Orthanc Book, "Orthanc
identifiers"; the same on 1.10.1, 1.12.7 and 1.13.0).

Public names: ``Level``, ``DicomIdentifiers``, ``orthanc_id``, ``is_orthanc_id``, ``dropped_byte``.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from hashlib import sha1
from typing import Final, NamedTuple

_ORTHANC_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{8}){4}")


class Level(StrEnum):
    """The four levels of the DICOM information model that Orthanc knows, from the top."""

    PATIENT = "patient"
    STUDY = "study"
    SERIES = "series"
    INSTANCE = "instance"

    @property
    def depth(self) -> int:
        """0 for a patient to 3 for an instance."""
        return _DEPTH[self]


_DEPTH: Final = {level: depth for depth, level in enumerate(Level)}


def is_orthanc_id(text: str) -> bool:
    """Whether the text has the form of an Orthanc identifier.

    >>> is_orthanc_id("b6589fc6-ab0dc82c-f12099d1-c2d40ab9-94e8410c")
    True
    """
    return _ORTHANC_ID.fullmatch(text) is not None


_FIRST_NONCHARACTER: Final = 0xFDD0
_DROPPED: Final = re.compile("[\ufdd0-\ufdef]{2}")


def dropped_byte(byte: int) -> str:
    """Return what stands in an identifier for a byte that the file's character set lacks.

    An Orthanc drops such bytes, and makes one patient of those that differ in nothing else. Two of the 32 noncharacters
    U+FDD0 to U+FDEF, which no text holds, keep them apart; Orthanc's own identifier is made without them.

    >>> orthanc_id("M" + dropped_byte(0xFC) + "ller") == orthanc_id("Mller")
    True
    """
    return chr(_FIRST_NONCHARACTER + (byte >> 4)) + chr(_FIRST_NONCHARACTER + 0x10 + (byte & 0xF))


def _hash(joined: str) -> str:
    if not joined.isascii():
        joined = _DROPPED.sub("", joined)
    digest = sha1(joined.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()
    return f"{digest[:8]}-{digest[8:16]}-{digest[16:24]}-{digest[24:32]}-{digest[32:]}"


_parent_hash: Final = lru_cache(maxsize=4096)(_hash)


@lru_cache(maxsize=4096)
def _parents(patient_id: str, study_instance_uid: str, series_instance_uid: str) -> tuple[str, str, str, str]:
    """Return the identifiers above an instance, and what its own begins with."""
    study = f"{patient_id}|{study_instance_uid}"
    series = f"{study}|{series_instance_uid}"
    return _parent_hash(patient_id), _parent_hash(study), _parent_hash(series), series


def orthanc_id(*dicom_ids: str) -> str:
    """Compute the Orthanc identifier of a patient (1 argument), study (2), series (3) or instance (4).

    Args:
        dicom_ids: PatientID, StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID, as Orthanc decodes them: character
            set applied, trailing padding dropped, "" for an absent PatientID.

    >>> orthanc_id("0")
    'b6589fc6-ab0dc82c-f12099d1-c2d40ab9-94e8410c'
    """
    return _hash("|".join(dicom_ids))


class DicomIdentifiers(NamedTuple):
    """The four DICOM identifiers of one instance, decoded and without padding."""

    patient_id: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str

    def orthanc_id(self, level: Level) -> str:
        """Return the Orthanc identifier of this instance or one of its parents."""
        joined = "|".join(self[: level.depth + 1])
        # Parents repeat from instance to instance, instances do not.
        return _hash(joined) if level is Level.INSTANCE else _parent_hash(joined)

    def orthanc_ids(self) -> tuple[str, str, str, str]:
        """Return all four, patient first."""
        patient_id, study_uid, series_uid, sop_uid = self
        patient, study, series, joined = _parents(patient_id, study_uid, series_uid)
        return patient, study, series, _hash(f"{joined}|{sop_uid}")
