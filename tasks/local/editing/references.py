"""The instance being edited: its identifiers before and after, and how the values that refer to others are mapped.

Public names: ``References``, ``InstanceIdentifiers``, ``CleaningNotes``, ``padded_uid``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pydicom.config import IGNORE
from pydicom.uid import UID

from deidflow.tasks.core.dicom.tags import IDENTIFIERS
from deidflow.tasks.core.pseudonyms.original_uids import OriginalUids

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers
    from deidflow.tasks.core.pseudonyms.pseudonyms import Pseudonyms

_MAX_CACHED_UIDS: Final = 100_000
_MAX_CACHED_BYTES: Final = 256
"""A UID has at most 64; a few of them in one value are no rarity."""
_REGISTERED: Final = frozenset(
    {"Well-known frame of reference", "Well-known SOP Instance", "Synchronization Frame of Reference"}
)
"""Kinds of UIDs of the standard where others have one of their own: atlases, UTC, palettes (PS3.6 tables A-1, A-2)."""

_WHITE_SPACE: Final = "\t\r\n\f\v\0"


@dataclass(slots=True)
class References:
    """How identifiers inside a dataset are mapped to those of the results, for all instances of a run.

    Attributes:
        pseudonyms: Generator for all that is not given.
        uids: New UIDs of originals that a request keeps or replaces.
        patient_ids: New PatientIDs of patients to which a request gives one.
        originals: UIDs of the run's objects before, which are mapped wherever they stand.
        names: Further names of a patient, by original PatientID (by StudyInstanceUID where that is empty), where
            objects of the run differ in them.

    """

    pseudonyms: Pseudonyms
    uids: Mapping[str, str] = field(default_factory=dict)
    patient_ids: Mapping[str, str] = field(default_factory=dict)
    originals: OriginalUids = field(default_factory=OriginalUids)
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    _cache: dict[bytes, bytes] = field(default_factory=dict)

    def map_uid_value(self, raw: bytes) -> bytes:
        """Map the value of a UID element, each of its UIDs by itself; empty ones stay empty."""
        mapped = self._cache.get(raw)
        if mapped is None:
            if len(self._cache) >= _MAX_CACHED_UIDS:
                self._cache.clear()
            new = "\\".join(map(self._map_uid, self._uids_of(raw)))
            mapped = padded_uid(new)
            if len(raw) <= _MAX_CACHED_BYTES:
                self._cache[raw] = mapped
        return mapped

    def map_unregistered(self, raw: bytes) -> bytes:
        """Map like ``map_uid_value``, but leave those UIDs that the standard registers for everybody."""
        uids = self._uids_of(raw)
        new = [uid if _registered_as(uid) in _REGISTERED else self._map_uid(uid) for uid in uids]
        return raw if new == uids else padded_uid("\\".join(new))

    def map_originals(self, raw: bytes) -> bytes:
        """Map those UIDs of a value that name objects of the run; return the same bytes where there are none.

        Args:
            raw: The value of an element that holds UIDs, whatever VR it is sent with, or whose VR nobody knows.

        """
        if not raw.lstrip()[:1].isdigit() and b"\\" not in raw:
            return raw
        uids = self._uids_of(raw)
        known = [uid in self.originals for uid in uids]
        if not any(known):
            return raw
        return padded_uid(
            "\\".join(self._map_uid(uid) if is_known else uid for uid, is_known in zip(uids, known, strict=True))
        )

    def _uids_of(self, raw: bytes) -> list[str]:
        """Return the UIDs of a value without padding; white space around an original is some, too."""
        uids = raw.decode("latin-1").replace(" ", "").split("\\")
        return [self._bare(uid.rstrip("\0")) for uid in uids]

    def _bare(self, uid: str) -> str:
        bare = uid.strip(_WHITE_SPACE)
        return bare if bare != uid and bare in self.originals and uid not in self.originals else uid

    def _map_uid(self, uid: str) -> str:
        if not uid:
            return ""
        return self.uids.get(uid) or self.pseudonyms.uid(uid)


@dataclass(slots=True)
class CleaningNotes:
    """What cleaning the texts of an instance came to.

    Attributes:
        removed: How many words, numbers and other stretches went or were moved.
        unknown: Words that stayed although nothing vouches for them.

    """

    removed: int = 0
    unknown: set[str] = field(default_factory=set)

    def add(self, other: CleaningNotes) -> None:
        """Add those of a part of the instance."""
        self.removed += other.removed
        self.unknown |= other.unknown


@dataclass(slots=True)
class InstanceIdentifiers:
    """One instance.

    Attributes:
        original: Identifiers of the source.
        new: Identifiers of the result.
        patient_name: PatientName of the result, None when the request leaves or removes it.
        references: Mapping of everything that refers to others.
        shift_days: Days to add to the patient's dates, where the request says that.
        own: What the table's ``naming`` made of the values that identify; None where it asks for none.
        notes: What cleaning came to so far.

    """

    original: DicomIdentifiers
    new: DicomIdentifiers
    patient_name: str | None
    references: References
    shift_days: int | None = None
    own: object = None
    notes: CleaningNotes = field(default_factory=CleaningNotes)

    def new_identifiers(self, given: Collection[int]) -> dict[int, str]:
        """Return the new values, by tag, of those identifiers that differ from the original ones or are given."""
        return {
            tag: new
            for tag, old, new in zip(IDENTIFIERS, self.original, self.new, strict=True)
            if old != new or tag in given
        }

    def other_names(self) -> tuple[str, ...]:
        """Return what other objects of the run call the patient."""
        names = self.references.names
        return names.get(self.original.patient_id or self.original.study_instance_uid, ()) if names else ()

    def map_patient_id(self, original: str) -> str:
        """Return the new PatientID of a patient that an item names; "" stays ""."""
        if not original:
            return ""
        if original == self.original.patient_id:
            return self.new.patient_id
        return self.references.patient_ids.get(original) or self.references.pseudonyms.patient_id(original)


def padded_uid(uid: str) -> bytes:
    """Return the bytes of a UI value (PS3.5 section 9.1: padded with NUL to an even length)."""
    data = uid.encode("latin-1", "replace")
    return data + b"\0" if len(data) % 2 else data


def _registered_as(uid: str) -> str:
    """Return the kind of a UID that the standard registers, "" of any other; pydicom is not to warn of what is none."""
    return UID(uid, validation_mode=IGNORE).type
