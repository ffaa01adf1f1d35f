"""The conditions of the accepted differences: whether a difference is the one that an entry of the table means.

Public names: one function for each entry of ``accepted.ACCEPTED``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tasks.core.identifiers import Level
from tasks.core.request import Operation
from tasks.core.tags import (
    DEIDENTIFICATION_METHOD,
    ENCAPSULATED_DOCUMENT,
    PATIENT_ID,
    PATIENT_NAME,
    PIXEL_DATA,
    SERIES_INSTANCE_UID,
    SPECIFIC_CHARACTER_SET,
    STUDY_INSTANCE_UID,
    Path,
    dictionary_vr,
)
from tasks.local.rules import REFERENCED_UIDS
from tasks.local.subject import padded_uid
from tasks.local.values import choose_vr
from tests.contract.parity.compare import ORTHANC_UID, OUR_PATIENT_ID, OUR_UID, decoded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.contract.parity.compare import Case, Difference
    from tests.contract.parity.reader import Element

_MISTAKES: Final = (
    "unknown; known are",
    "deidflow decides itself",
    "is true or false",
    "is a number from 1 to 100",
    "is one of",
    "stands twice",
    "unknown tag",
    "an index is a number",
    "a value is text in quotes",
    "is no sequence, so its value is text",
    "KeepSource",
)
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_NEWER_VRS: Final = frozenset({"OV", "SV", "UV"})
_NUMBER_VRS: Final = frozenset({"US", "SS", "UL", "SL", "FL", "FD", "AT"})
_META_ADDED_BY_ORTHANC: Final = frozenset({0x00020002, 0x00020003, 0x00020010})


def _is_anonymize(case: Case) -> bool:
    return case.operation is Operation.ANONYMIZE


def _text(element: Element | None) -> str:
    return element.value.decode("latin-1").strip(" \0") if element is not None else ""


def _at_top(case: Case, tag: int, member: str) -> bool:
    """Whether the request names a top-level tag in a list."""
    return case.request is not None and Path((), tag) in getattr(case.request.edits, member)


def patient_name(case: Case, found: Difference) -> bool:
    """The engine's own form of PatientName."""
    if not (_is_anonymize(case) and found.kind == "value" and found.tag == PATIENT_NAME and not found.where):
        return False
    assert found.files is not None
    ours = found.files[2].dataset
    patient_id = decoded(ours.get(PATIENT_ID), ours.get(SPECIFIC_CHARACTER_SET))
    new_name = f"Anonymized^{patient_id[:8]}".rstrip(" ")
    written = decoded(found.ours, ours.get(SPECIFIC_CHARACTER_SET))
    return re.fullmatch(r"Anonymized[0-9]+", _text(found.theirs)) is not None and written == new_name


def deidentification_method(case: Case, found: Difference) -> bool:
    """The engine's own DeidentificationMethod."""
    if not _is_anonymize(case) or found.tag != DEIDENTIFICATION_METHOD or found.where:
        return False
    version = case.body.get("DicomVersion")
    if _text(found.ours) != f"deidflow - PS 3.15-{version} Table E.1-1 Basic Profile":
        return False
    return found.theirs is None or _text(found.theirs).startswith("Orthanc ") or found.theirs == found.source


def patient_id_without_original(case: Case, found: Difference) -> bool:
    """A PatientID made for a source that has none."""
    if not _is_anonymize(case) or found.tag != PATIENT_ID or found.where or found.ours is None:
        return False
    absent = found.kind == "extra" and found.source is None
    empty = found.kind == "mapping" and not _text(found.source)
    return (absent or empty) and OUR_PATIENT_ID.fullmatch(found.ours.value) is not None


def padding_stays(case: Case, found: Difference) -> bool:
    """Blanks at the end of an untouched value."""
    if found.kind != "value" or found.source is None or found.theirs is None or found.ours is None:
        return False
    same = found.ours.value == found.source.value
    return same and found.ours.value.rstrip(b" \0") == found.theirs.value.rstrip(b" \0")


def group_length(case: Case, found: Difference) -> bool:
    """The length of a group."""
    return found.kind in ("value", "extra", "missing") and found.tag & 0xFFFF == 0 and found.tag >> 16 != 2


def encapsulated_vr(case: Case, found: Difference) -> bool:
    """The VR of untouched encapsulated pixels."""
    theirs, ours, source = found.theirs, found.ours, found.source
    if found.kind != "vr" or found.tag != PIXEL_DATA or theirs is None or ours is None or source is None:
        return False
    return ours.undefined and theirs.value == ours.value and ours.vr == source.vr and theirs.vr == "OB"


def meta_of_modify(case: Case, found: Difference) -> bool:
    """File meta information that the source lacks."""
    if found.kind != "meta" or _is_anonymize(case) or found.ours is not None or found.source is not None:
        return False
    return found.tag in _META_ADDED_BY_ORTHANC


def unknown_vr(case: Case, found: Difference) -> bool:
    """Public elements with VR UN: Orthanc leaves them, the engine goes by the tag."""
    source, theirs = found.source, found.theirs
    if source is None or source.vr != "UN" or theirs is None or theirs.vr != "UN":
        return False
    untouched = theirs.value == source.value
    return found.kind in ("value", "vr", "shape") and untouched and dictionary_vr(found.tag) is not None


def sequence_as_unknown(case: Case, found: Difference) -> bool:
    """Sequences sent as UN with undefined length stay so; DCMTK writes them, and what is in them, with VRs."""
    theirs, ours, source = found.theirs, found.ours, found.source
    if found.kind != "vr" or theirs is None or ours is None or source is None or found.files is None:
        return False
    if ours.vr == "" and found.where and not found.files[2].implicit:
        return theirs.vr != ""
    return source.vr == ours.vr == "UN" and source.undefined and theirs.vr == "SQ"


def meta_of_dataset(case: Case, found: Difference) -> bool:
    """Meta information that contradicts the dataset, or that has nothing to follow."""
    if found.kind != "meta" or found.tag not in (0x00020002, 0x00020003) or found.files is None:
        return False
    source, _, ours = found.files
    tag = 0x00080016 if found.tag == 0x00020002 else 0x00080018
    before, after = source.dataset.get(tag), ours.dataset.get(tag)
    if before is not None and before.vr == "UN" and _text(found.ours) == _text(after):
        return True
    if not _is_anonymize(case):
        kept = _text(found.ours) == _text(found.source)
        if after is None:
            return kept
        unknown = before is not None and before.vr == "UN"
        return kept and _text(before) == _text(after) and (_text(found.source) != _text(before) or unknown)
    if tag != 0x00080016 or (after is not None and after.vr != "UN" and after.value):
        return False
    return _text(found.ours) == (_text(after) or _text(found.source) or _text(before))


def lost_text(case: Case, found: Difference) -> bool:
    """New text that the engine wrote as requested, and Orthanc in bytes that the declared set does not read so."""
    theirs, ours = found.theirs, found.ours
    if found.kind != "value" or theirs is None or ours is None or found.files is None or case.request is None:
        return False
    requested = {text.rstrip(" ") for _, text in _texts(case.request.edits.replace.items()) if not text.isascii()}
    declared = _declared(found)
    # pydicom reads Shift JIS where JIS X 0201 is declared, which Orthanc writes without the escape sequences.
    unannounced = b"\x1b" in ours.value and b"\x1b" not in theirs.value
    return decoded(ours, declared) in requested and (unannounced or decoded(theirs, declared) not in requested)


def control_characters(case: Case, found: Difference) -> bool:
    """New text in a file of plain ASCII, from which Orthanc drops control characters."""
    theirs, ours = found.theirs, found.ours
    if found.kind != "value" or theirs is None or ours is None or case.request is None:
        return False
    texts = [text for _, text in _texts(case.request.edits.replace.items()) if _CONTROL.search(text)]
    return any(_CONTROL.sub("", text).strip() == _text(theirs).strip() for text in texts)


def _declared(found: Difference) -> Element | None:
    """Return the SpecificCharacterSet that counts for an element of the engine's result."""
    assert found.files is not None
    dataset = found.files[2].dataset
    declared = dataset.get(SPECIFIC_CHARACTER_SET)
    for tag, index in found.where:
        items = dataset[tag].items
        if items is None or index >= len(items):
            break
        dataset = items[index]
        declared = dataset.get(SPECIFIC_CHARACTER_SET, declared)
    return declared


def empty_number_in_item(case: Case, found: Difference) -> bool:
    """A number or AT below top level that is to be emptied."""
    if found.kind != "only-ours" or case.request is None:
        return False
    replace = case.request.edits.replace.items()
    below = [(path, value) for path, value in replace if path.is_nested or isinstance(value, tuple)]
    return any(not text and choose_vr(tag) in _NUMBER_VRS for tag, text in _texts(below))


def odd_spelling_in_item(case: Case, found: Difference) -> bool:
    """A tag in parentheses or between blanks inside an item, which Orthanc takes everywhere else."""
    return found.kind == "only-ours" and _has_odd_spelling(case.body.get("Replace"))


def _has_odd_spelling(value: object, *, in_item: bool = False) -> bool:
    if isinstance(value, list):
        return any(_has_odd_spelling(item, in_item=True) for item in value)
    if not isinstance(value, dict):
        return False
    odd = in_item and any("(" in name or name != name.strip() for name in value)
    return odd or any(_has_odd_spelling(inner, in_item=in_item) for inner in value.values())


def refused_text(case: Case, found: Difference) -> bool:
    """Text that the engine refuses; where it is an element at top level, Orthanc did lose some of it."""
    if found.kind != "not-done" or found.detail != "character-set" or case.request is None:
        return False
    texts = _texts(case.request.edits.replace.items())
    removed = any(path.tag == SPECIFIC_CHARACTER_SET for path in case.request.edits.remove)
    return removed or any(not text.isascii() or tag == SPECIFIC_CHARACTER_SET for tag, text in texts)


def named_reference(case: Case, found: Difference) -> bool:
    """Nested identifiers that the request names at top level: Orthanc leaves or maps them, the engine follows."""
    theirs, ours, source = found.theirs, found.ours, found.source
    if not _is_anonymize(case) or found.kind != "value" or theirs is None or ours is None:
        return False
    named = [tag for tag in REFERENCED_UIDS if _at_top(case, tag, "keep") or _at_top(case, tag, "replace")]
    untouched = found.tag in named and bool(found.where) and (source is None or theirs.value == source.value)
    given = {padded_uid(text) for _, text in _texts(case.request.edits.replace.items())} if case.request else set()
    untouched = untouched or (found.tag in named and bool(found.where) and theirs.value in given)
    if untouched and (OUR_UID.fullmatch(ours.value) or ours.value in case.given):
        return True
    other = ORTHANC_UID.fullmatch(theirs.value) is not None or theirs.value.startswith(b"data:")
    return bool(named) and ours.value in case.given and other


def newer_tag(case: Case, found: Difference) -> bool:
    """An attribute in Replace that the server's dictionary lacks: it writes UN."""
    theirs = found.theirs
    bad_value = found.kind == "not-done" and found.detail == "bad-value"
    if (bad_value or found.kind == "only-ours") and case.request is not None:
        replaced = [path.tag for path in case.request.edits.replace]
        return any(dictionary_vr(tag) in _NEWER_VRS for tag in replaced)
    if found.kind not in ("vr", "value") or theirs is None or found.ours is None or theirs.vr != "UN":
        return False
    return not found.tag & 0x10000 and found.source is None and found.ours.vr == choose_vr(found.tag)


def version_of_numbers(case: Case, found: Difference) -> bool:
    """Several values in numbers (from 1.12 on) and AT (1.13), and negative ones in US or SS."""
    if case.request is None:
        return False
    several = [text for text in _replaced_texts(case, _NUMBER_VRS) if "\\" in text]
    if found.kind == "only-ours":
        old = case.version == "1.10.1" and bool(several)
        pairs = _texts(case.request.edits.replace.items())
        signed = any(dictionary_vr(tag) == "US or SS" and text.startswith("-") for tag, text in pairs)
        return old or signed or any("\\" in text for text in _replaced_texts(case, ("AT",)))
    return found.kind == "value" and dictionary_vr(found.tag) == "AT" and bool(several)


def patient_of_study(case: Case, found: Difference) -> bool:
    """Orthanc 1.11.3 and later compare new patient attributes with the other studies that they hold (reference 2.1)."""
    return found.kind == "accepted" and "Trying to change patient tags in a study" in found.detail


def _replaced_texts(case: Case, vrs: Iterable[str]) -> list[str]:
    """Return the new values of elements of some VRs, at any depth of the request."""
    assert case.request is not None
    return [text for tag, text in _texts(case.request.edits.replace.items()) if choose_vr(tag) in vrs]


def _texts(pairs: Iterable[tuple[Path | int, object]]) -> Iterator[tuple[int, str]]:
    for key, value in pairs:
        tag = key if isinstance(key, int) else key.tag
        if isinstance(value, str):
            yield tag, value
        elif isinstance(value, tuple):
            for item in value:
                yield from _texts(item)


def lookup_table(case: Case, found: Difference) -> bool:
    """A lookup table given as bytes."""
    if case.request is None or found.kind != "only-ours":
        return False
    return any(
        (dictionary_vr(tag) or "") in ("US or OW", "US or SS or OW") and text.startswith("data:")
        for tag, text in _texts(case.request.edits.replace.items())
    )


def strict_identifiers(case: Case, found: Difference) -> bool:
    """What 1.10.1 refuses at run time although Force is given (reference 2.1)."""
    if found.kind != "only-ours" or case.version != "1.10.1" or case.request is None:
        return False
    if _is_anonymize(case):
        return _at_top(case, PATIENT_ID, "keep")
    level = case.request.level()
    patient, study = (_at_top(case, tag, "replace") for tag in (PATIENT_ID, STUDY_INSTANCE_UID))
    if level is Level.PATIENT:
        return not patient
    series = _at_top(case, SERIES_INSTANCE_UID, "replace")
    return patient or (level is not Level.STUDY and study) or (level is Level.INSTANCE and series)


def hardening(case: Case, found: Difference) -> bool:
    """What hardening removes and maps."""
    theirs, ours, source, files = found.theirs, found.ours, found.source, found.files
    if not case.hardening or not _is_anonymize(case) or source is None or files is None:
        return False
    if found.kind == "missing" and not found.where:
        return found.tag >> 24 in (0x50, 0x60)
    if not found.where or found.tag not in (PATIENT_NAME, PATIENT_ID) or theirs is None or theirs.value != source.value:
        return False
    if ours is None:  # Remove of a name or ID reaches into kept sequences, too
        return _at_top(case, found.tag, "remove")
    new = files[2].dataset.get(found.tag)
    return _text(ours) == _text(new) or (found.tag == PATIENT_ID and OUR_PATIENT_ID.fullmatch(ours.value) is not None)


def surely_a_mistake(case: Case, found: Difference) -> bool:
    """A request that the engine refuses, but Orthanc takes."""
    return found.kind == "refused" and any(text in found.detail for text in _MISTAKES)


def newer_keyword(case: Case, found: Difference) -> bool:
    """A keyword that the server's dictionary lacks."""
    return found.kind == "accepted" and found.detail.startswith("500/27") and case.request is not None


def pixels_as_text(case: Case, found: Difference) -> bool:
    """PixelData given as text."""
    if case.request is None or found.kind != "not-done" or found.detail != "bad-value":
        return False
    value = case.request.edits.replace.get(Path((), PIXEL_DATA))
    return isinstance(value, str) and not value.startswith("data:")


def embedded_object(case: Case, found: Difference) -> bool:
    """An image or a document given as a data URI."""
    if case.request is None or found.kind != "not-done" or found.detail != "bad-value":
        return False
    return any(
        text.startswith("data:") and (tag == ENCAPSULATED_DOCUMENT or text.startswith("data:image/"))
        for tag, text in _texts(case.request.edits.replace.items())
        if tag in (ENCAPSULATED_DOCUMENT, PIXEL_DATA)
    )


def private_creator(case: Case, found: Difference) -> bool:
    """The VR of a new private creator, and the padding that goes with it."""
    theirs, ours = found.theirs, found.ours
    if theirs is None or ours is None or not found.tag & 0x10000 or not 0x10 <= found.tag & 0xFFFF <= 0xFF:
        return False
    if found.kind == "vr":
        return (theirs.vr, ours.vr) == ("UN", "LO")
    return found.kind == "value" and ours.vr in ("LO", "") and _text(theirs) == _text(ours)


def collision(case: Case, found: Difference) -> bool:
    """Two results of one identifier."""
    return found.kind == "not-done" and found.detail == "identifier-collision"


def empty_uid(case: Case, found: Difference) -> bool:
    """A UID without a value."""
    if not _is_anonymize(case) or found.kind != "value" or found.theirs is None or found.ours is None:
        return False
    empty = not _text(found.source) and not _text(found.ours)
    return empty and found.source is not None and ORTHANC_UID.fullmatch(found.theirs.value) is not None


def multi_valued_uid(case: Case, found: Difference) -> bool:
    """A UID element with several values."""
    source, theirs, ours = found.source, found.theirs, found.ours
    if not _is_anonymize(case) or found.kind != "value" or source is None or theirs is None or ours is None:
        return False
    old, new = (element.value.rstrip(b"\0 ").split(b"\\") for element in (source, ours))
    mapped = all(
        (not before.strip(b" \0") and not after)
        or OUR_UID.fullmatch(after)
        or padded_uid(after.decode("latin-1")) in case.given
        for before, after in zip(old, new, strict=False)
    )
    return len(old) == len(new) > 1 and mapped and ORTHANC_UID.fullmatch(theirs.value) is not None
