"""Conditions of the accepted differences in single values that deidflow makes otherwise.

Public names: one function for each entry of ``accepted.ACCEPTED``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import (
    DATA_SET_TRAILING_PADDING,
    DEIDENTIFICATION_METHOD,
    PATIENT_ID,
    PATIENT_IDENTITY_REMOVED,
    PATIENT_NAME,
    SIGNATURES,
    SPECIFIC_CHARACTER_SET,
    uid_tags,
)
from deidflow.tasks.local.deidentification.orthanc_profiles import REFERENCED_UIDS
from deidflow.tasks.local.editing.references import padded_uid
from tests.contract.parity.differences import ORTHANC_UID, OUR_PATIENT_ID, OUR_UID, decoded
from tests.contract.parity.facts import at_top, declared_charset, is_anonymize, text_of, texts_of
from tests.contract.parity.reader import dataset_at

if TYPE_CHECKING:
    from tests.contract.parity.differences import Case, Difference

_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")


def patient_name(case: Case, found: Difference) -> bool:
    """The engine's own form of PatientName."""
    if not (is_anonymize(case) and found.kind == "value" and found.tag == PATIENT_NAME and not found.where):
        return False
    assert found.files is not None
    ours = found.files[2].dataset
    patient_id = decoded(ours.get(PATIENT_ID), ours.get(SPECIFIC_CHARACTER_SET))
    new_name = f"Anonymized^{patient_id[:8]}".rstrip(" ")
    written = decoded(found.ours, ours.get(SPECIFIC_CHARACTER_SET))
    return re.fullmatch(r"Anonymized[0-9]+", text_of(found.theirs)) is not None and written == new_name


def deidentification_method(case: Case, found: Difference) -> bool:
    """The engine's own DeidentificationMethod."""
    if not is_anonymize(case) or found.tag != DEIDENTIFICATION_METHOD or found.where:
        return False
    version = case.body.get("DicomVersion")
    own = f"deidflow - PS 3.15-{version} Table E.1-1 Basic Profile"
    if text_of(found.ours) not in (own, f"{text_of(found.source)}\\{own}"):
        return False
    return (
        found.theirs is None
        or text_of(found.theirs).startswith("Orthanc ")
        or (found.source is not None and found.theirs.value == found.source.value)
    )


def patient_id_without_original(case: Case, found: Difference) -> bool:
    """A PatientID made for a source that has none."""
    if not is_anonymize(case) or found.tag != PATIENT_ID or found.where or found.ours is None:
        return False
    absent = found.kind == "extra" and found.source is None
    empty = found.kind == "mapping" and not text_of(found.source)
    return (absent or empty) and OUR_PATIENT_ID.fullmatch(found.ours.value) is not None


def lost_text(case: Case, found: Difference) -> bool:
    """New text that the engine wrote as requested, and Orthanc in bytes that the declared set does not read so."""
    theirs, ours = found.theirs, found.ours
    if found.kind != "value" or theirs is None or ours is None or found.files is None or case.request is None:
        return False
    requested = {text.rstrip(" ") for _, text in texts_of(case.request.edits.replace.items()) if not text.isascii()}
    declared = declared_charset(found)
    # pydicom reads Shift JIS where JIS X 0201 is declared, which Orthanc writes without the escape sequences.
    unannounced = b"\x1b" in ours.value and b"\x1b" not in theirs.value
    return decoded(ours, declared) in requested and (unannounced or decoded(theirs, declared) not in requested)


def control_characters(case: Case, found: Difference) -> bool:
    """New text in a file of plain ASCII, from which Orthanc drops control characters."""
    theirs, ours = found.theirs, found.ours
    if found.kind != "value" or theirs is None or ours is None or case.request is None:
        return False
    texts = [text for _, text in texts_of(case.request.edits.replace.items()) if _CONTROL.search(text)]
    return any(_CONTROL.sub("", text).strip() == text_of(theirs).strip() for text in texts)


def named_reference(case: Case, found: Difference) -> bool:
    """Nested identifiers that the request names at top level: Orthanc leaves or maps them, the engine follows."""
    theirs, ours, source = found.theirs, found.ours, found.source
    if not is_anonymize(case) or found.kind != "value" or theirs is None or ours is None:
        return False
    named = [tag for tag in REFERENCED_UIDS if at_top(case, tag, "keep") or at_top(case, tag, "replace")]
    untouched = found.tag in named and bool(found.where) and (source is None or theirs.value == source.value)
    given = {padded_uid(text) for _, text in texts_of(case.request.edits.replace.items())} if case.request else set()
    untouched = untouched or (found.tag in named and bool(found.where) and theirs.value in given)
    if untouched and (OUR_UID.fullmatch(ours.value) or ours.value in case.given):
        return True
    other = ORTHANC_UID.fullmatch(theirs.value) is not None or theirs.value.startswith(b"data:")
    return bool(named) and ours.value in case.given and other


def object_of_the_run(case: Case, found: Difference) -> bool:
    """UIDs that name objects of the run, in elements that Orthanc leaves."""
    source, theirs, ours = found.source, found.theirs, found.ours
    if found.kind != "value" or source is None or theirs is None or ours is None:
        return False
    if ours.vr not in ("UI", "UN", "") and found.tag not in uid_tags():
        return False
    if text_of(theirs) != text_of(source):
        return False
    old, new = (element.value.replace(b" ", b"").rstrip(b"\0").split(b"\\") for element in (source, ours))
    return len(old) == len(new) and all(
        (OUR_UID.fullmatch(after) is not None or padded_uid(after.decode("latin-1")) in case.given)
        if before in case.originals
        else before == after
        for before, after in zip(old, new, strict=True)
    )


def untrue_claim(case: Case, found: Difference) -> bool:
    """PatientIdentityRemoved of a patient whose name or ID the request keeps or gives back."""
    if found.tag != PATIENT_IDENTITY_REMOVED or found.where or found.files is None or text_of(found.ours) != "NO":
        return False
    source, _, ours = found.files
    return is_anonymize(case) and any(
        text_of(source.dataset.get(tag)) and text_of(source.dataset.get(tag)) == text_of(ours.dataset.get(tag))
        for tag in (PATIENT_NAME, PATIENT_ID)
    )


def signatures(case: Case, found: Difference) -> bool:
    """Digital signatures of an object that was changed, under profiles that do not list them, too."""
    listed = found.tag in SIGNATURES or (found.tag == DATA_SET_TRAILING_PADDING and is_anonymize(case))
    return found.kind == "missing" and listed and found.ours is None


def unmarked_private_sequence(case: Case, found: Difference) -> bool:
    """A private value of UN or implicit VR and defined length that holds items, which Orthanc leaves byte for byte."""
    outermost = next((depth for depth, (tag, _) in enumerate(found.where) if tag & 0x10000), -1)
    tag, source, theirs = found.tag, found.source, found.theirs
    if outermost >= 0:
        tag, above = found.where[outermost][0], found.where[:outermost]
        if found.files is None:
            return False
        source, theirs = (dataset_at(file, above).get(tag) for file in found.files[:2])
    return (
        bool(tag & 0x10000)
        and source is not None
        and theirs is not None
        and source.vr in ("UN", "")
        and not source.undefined
        and source.value[:4] in (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
        and theirs.value == source.value
    )


def hardening(case: Case, found: Difference) -> bool:
    """What hardening removes and maps."""
    theirs, ours, source, files = found.theirs, found.ours, found.source, found.files
    if not case.hardening or not is_anonymize(case) or source is None or files is None:
        return False
    if found.kind == "missing" and not found.where:
        return found.tag >> 24 in (0x50, 0x60)
    if not found.where or found.tag not in (PATIENT_NAME, PATIENT_ID) or theirs is None or theirs.value != source.value:
        return False
    if ours is None:  # Remove of a name or ID reaches into kept sequences, too
        return at_top(case, found.tag, "remove")
    new = files[2].dataset.get(found.tag)
    return text_of(ours) == text_of(new) or (
        found.tag == PATIENT_ID and OUR_PATIENT_ID.fullmatch(ours.value) is not None
    )


def empty_uid(case: Case, found: Difference) -> bool:
    """A UID without a value."""
    if not is_anonymize(case) or found.kind != "value" or found.theirs is None or found.ours is None:
        return False
    empty = not text_of(found.source) and not text_of(found.ours)
    return empty and found.source is not None and ORTHANC_UID.fullmatch(found.theirs.value) is not None


def multi_valued_uid(case: Case, found: Difference) -> bool:
    """A UID element with several values."""
    source, theirs, ours = found.source, found.theirs, found.ours
    if not is_anonymize(case) or found.kind != "value" or source is None or theirs is None or ours is None:
        return False
    old, new = (element.value.rstrip(b"\0 ").split(b"\\") for element in (source, ours))
    mapped = all(
        (not before.strip(b" \0") and not after)
        or OUR_UID.fullmatch(after)
        or padded_uid(after.decode("latin-1")) in case.given
        for before, after in zip(old, new, strict=False)
    )
    return len(old) == len(new) > 1 and mapped and ORTHANC_UID.fullmatch(theirs.value) is not None
