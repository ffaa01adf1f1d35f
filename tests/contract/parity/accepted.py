"""The differences between Orthanc and the local engine that are meant to be, each as narrow as possible, with its reason.

Every entry is a rule of deidflow's own, which goes before parity, or a mistake of Orthanc's that is not repeated. What no
entry accepts is a failure.

Public names: ``Accepted``, ``ACCEPTED``, ``accepting_entry``.
"""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Final, NamedTuple

from pydicom.charset import convert_encodings, decode_bytes

from tasks.core.request import Operation
from tasks.core.tags import (
    DEIDENTIFICATION_METHOD,
    ENCAPSULATED_DOCUMENT,
    IDENTIFIERS,
    PATIENT_ID,
    PATIENT_NAME,
    PIXEL_DATA,
    SPECIFIC_CHARACTER_SET,
    Path,
    dictionary_vr,
)
from tasks.local.rules import REFERENCED_UIDS
from tasks.local.subject import padded_uid
from tasks.local.values import choose_vr
from tests.contract.parity.compare import ORTHANC_UID, OUR_PATIENT_ID, OUR_UID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.contract.parity.compare import Case, Difference
    from tests.contract.parity.reader import Element

_NEWER_VRS: Final = frozenset({"OV", "SV", "UV"})
_NUMBER_VRS: Final = frozenset({"US", "SS", "UL", "SL", "FL", "FD", "AT"})
_META_ADDED_BY_ORTHANC: Final = frozenset({0x00020002, 0x00020003, 0x00020010})


class Accepted(NamedTuple):
    """One accepted difference.

    Attributes:
        name: Short, for the report.
        reason: Why it is right, with the rule or the reference.
        holds: Whether a difference is this one.

    """

    name: str
    reason: str
    holds: Callable[[Case, Difference], bool]


def _is_anonymize(case: Case) -> bool:
    return case.operation is Operation.ANONYMIZE


def _text(element: Element | None) -> str:
    return element.value.decode("latin-1").strip(" \0") if element is not None else ""


def _at_top(case: Case, tag: int, member: str) -> bool:
    """Whether the request names a top-level tag in a list."""
    return case.request is not None and Path((), tag) in getattr(case.request.edits, member)


def _patient_name(case: Case, found: Difference) -> bool:
    if not (_is_anonymize(case) and found.kind == "value" and found.tag == PATIENT_NAME and not found.where):
        return False
    assert found.files is not None
    patient_id = _text(found.files[2].dataset.get(PATIENT_ID))
    new_name = f"Anonymized^{patient_id[:8]}".rstrip()
    return re.fullmatch(r"Anonymized[0-9]+", _text(found.theirs)) is not None and _text(found.ours) == new_name


def _deidentification_method(case: Case, found: Difference) -> bool:
    if not _is_anonymize(case) or found.tag != DEIDENTIFICATION_METHOD or found.where:
        return False
    version = case.body.get("DicomVersion")
    if _text(found.ours) != f"deidflow - PS 3.15-{version} Table E.1-1 Basic Profile":
        return False
    return found.theirs is None or _text(found.theirs).startswith("Orthanc ") or found.theirs == found.source


def _patient_id_without_original(case: Case, found: Difference) -> bool:
    if not _is_anonymize(case) or found.tag != PATIENT_ID or found.where or found.ours is None:
        return False
    absent = found.kind == "extra" and found.source is None
    empty = found.kind == "mapping" and not _text(found.source)
    return (absent or empty) and OUR_PATIENT_ID.fullmatch(found.ours.value) is not None


def _padding_stays(case: Case, found: Difference) -> bool:  # noqa: ARG001
    if found.kind != "value" or found.source is None or found.theirs is None or found.ours is None:
        return False
    same = found.ours.value == found.source.value
    return same and found.ours.value.rstrip(b" \0") == found.theirs.value.rstrip(b" \0")


def _group_length(case: Case, found: Difference) -> bool:  # noqa: ARG001
    return found.kind in ("value", "extra", "missing") and found.tag & 0xFFFF == 0 and found.tag >> 16 != 2


def _encapsulated_vr(case: Case, found: Difference) -> bool:  # noqa: ARG001
    theirs, ours, source = found.theirs, found.ours, found.source
    if found.kind != "vr" or found.tag != PIXEL_DATA or theirs is None or ours is None or source is None:
        return False
    return ours.undefined and theirs.value == ours.value and ours.vr == source.vr and theirs.vr == "OB"


def _meta_of_modify(case: Case, found: Difference) -> bool:
    if found.kind != "meta" or _is_anonymize(case) or found.ours is not None or found.source is not None:
        return False
    return found.tag in _META_ADDED_BY_ORTHANC


def _unknown_vr(case: Case, found: Difference) -> bool:
    """Public elements with VR UN: Orthanc leaves them, the engine goes by the tag."""
    source, theirs = found.source, found.theirs
    if not _is_anonymize(case) or source is None or source.vr != "UN" or theirs is None or theirs.vr != "UN":
        return False
    untouched = theirs.value == source.value
    return found.kind in ("value", "vr", "shape") and untouched and dictionary_vr(found.tag) is not None


def _sequence_as_unknown(case: Case, found: Difference) -> bool:  # noqa: ARG001
    """Sequences sent as UN with undefined length stay so; DCMTK writes them, and what is in them, with VRs."""
    theirs, ours, source = found.theirs, found.ours, found.source
    if found.kind != "vr" or theirs is None or ours is None or source is None or found.files is None:
        return False
    if ours.vr == "" and found.where and not found.files[2].implicit:
        return theirs.vr != ""
    return source.vr == ours.vr == "UN" and source.undefined and theirs.vr == "SQ"


def _meta_of_dataset(case: Case, found: Difference) -> bool:
    """Meta information that contradicts the dataset, or that has nothing to follow."""
    if found.kind != "meta" or found.tag not in (0x00020002, 0x00020003) or found.files is None:
        return False
    source, _, ours = found.files
    tag = 0x00080016 if found.tag == 0x00020002 else 0x00080018  # noqa: PLR2004
    before, after = source.dataset.get(tag), ours.dataset.get(tag)
    if not _is_anonymize(case):
        kept = _text(found.ours) == _text(found.source)
        if after is None:
            return kept
        unknown = before is not None and before.vr == "UN"
        return kept and _text(before) == _text(after) and (_text(found.source) != _text(before) or unknown)
    if tag != 0x00080016 or (after is not None and after.vr != "UN" and after.value):
        return False
    return _text(found.ours) == (_text(after) or _text(found.source))


def _lost_text(case: Case, found: Difference) -> bool:
    """New text that the engine wrote as requested, and Orthanc in bytes that the declared set does not read so."""
    theirs, ours = found.theirs, found.ours
    if found.kind != "value" or theirs is None or ours is None or found.files is None or case.request is None:
        return False
    requested = {text.rstrip(" ") for _, text in _texts(case.request.edits.replace.items()) if not text.isascii()}
    declared = _text(found.files[2].dataset.get(SPECIFIC_CHARACTER_SET))
    return _decoded(ours, declared) in requested and _decoded(theirs, declared) not in requested


def _decoded(element: Element, declared: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return decode_bytes(element.value, convert_encodings(declared.split("\\")), set()).rstrip(" ")


def _refused_text(case: Case, found: Difference) -> bool:
    """Text that the engine refuses; where it is an element at top level, Orthanc did lose some of it."""
    if found.kind != "not-done" or found.detail != "character-set" or case.request is None:
        return False
    texts = _texts(case.request.edits.replace.items())
    removed = any(path.tag == SPECIFIC_CHARACTER_SET for path in case.request.edits.remove)
    return removed or any(not text.isascii() or tag == SPECIFIC_CHARACTER_SET for tag, text in texts)


def _named_reference(case: Case, found: Difference) -> bool:
    """Nested identifiers that the request names at top level: Orthanc leaves or maps them, the engine follows."""
    theirs, ours, source = found.theirs, found.ours, found.source
    if not _is_anonymize(case) or found.kind != "value" or theirs is None or ours is None or source is None:
        return False
    named = [tag for tag in REFERENCED_UIDS if _at_top(case, tag, "keep") or _at_top(case, tag, "replace")]
    untouched = found.tag in named and bool(found.where) and theirs.value == source.value
    if untouched and (OUR_UID.fullmatch(ours.value) or ours.value in case.given):
        return True
    return bool(named) and ours.value in case.given and ORTHANC_UID.fullmatch(theirs.value) is not None


def _newer_tag(case: Case, found: Difference) -> bool:
    """An attribute in Replace that the server's dictionary lacks: it writes UN."""
    theirs = found.theirs
    bad_value = found.kind == "not-done" and found.detail == "bad-value"
    if (bad_value or found.kind == "only-ours") and case.request is not None:
        replaced = [path.tag for path in case.request.edits.replace]
        return any(dictionary_vr(tag) in _NEWER_VRS for tag in replaced)
    if found.kind not in ("vr", "value") or theirs is None or found.ours is None or theirs.vr != "UN":
        return False
    return not found.tag & 0x10000 and found.source is None and found.ours.vr == choose_vr(found.tag)


def _version_of_numbers(case: Case, found: Difference) -> bool:
    """Several values in numbers and AT, and negative ones in US or SS, for which 1.10.1 has bugs."""
    if case.request is None or case.version != "1.10.1":
        return False
    texts = _replaced_texts(case, _NUMBER_VRS)
    if found.kind == "only-ours":
        return any("\\" in text or text.startswith("-") for text in texts)
    return found.kind == "value" and dictionary_vr(found.tag) == "AT" and any("\\" in text for text in texts)


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


def _lookup_table(case: Case, found: Difference) -> bool:
    if case.request is None or found.kind != "only-ours":
        return False
    return any(
        (dictionary_vr(tag) or "") in ("US or OW", "US or SS or OW") and text.startswith("data:")
        for tag, text in _texts(case.request.edits.replace.items())
    )


def _pixels_as_text(case: Case, found: Difference) -> bool:
    if case.request is None or found.kind != "not-done" or found.detail != "bad-value":
        return False
    value = case.request.edits.replace.get(Path((), PIXEL_DATA))
    return isinstance(value, str) and not value.startswith("data:")


def _embedded_object(case: Case, found: Difference) -> bool:
    if case.request is None or found.kind != "not-done" or found.detail != "bad-value":
        return False
    return any(
        tag in (PIXEL_DATA, ENCAPSULATED_DOCUMENT) and text.startswith(("data:image/", "data:application/pdf"))
        for tag, text in _texts(case.request.edits.replace.items())
    )


def _private_creator(case: Case, found: Difference) -> bool:  # noqa: ARG001
    theirs, ours = found.theirs, found.ours
    if found.kind != "vr" or theirs is None or ours is None or not found.tag & 0x10000:
        return False
    return 0x10 <= found.tag & 0xFFFF <= 0xFF and (theirs.vr, ours.vr) == ("UN", "LO")  # noqa: PLR2004


def _collision(case: Case, found: Difference) -> bool:  # noqa: ARG001
    return found.kind == "not-done" and found.detail == "identifier-collision"


def _empty_uid(case: Case, found: Difference) -> bool:
    if not _is_anonymize(case) or found.kind != "value" or found.theirs is None or found.ours is None:
        return False
    empty = not _text(found.source) and not _text(found.ours)
    return empty and found.source is not None and ORTHANC_UID.fullmatch(found.theirs.value) is not None


def _multi_valued_uid(case: Case, found: Difference) -> bool:
    source, theirs, ours = found.source, found.theirs, found.ours
    if not _is_anonymize(case) or found.kind != "value" or source is None or theirs is None or ours is None:
        return False
    old, new = (element.value.rstrip(b"\0 ").split(b"\\") for element in (source, ours))
    mapped = all(
        (not before.strip(b" \0") and not after) or OUR_UID.fullmatch(after) or padded_uid(after.decode()) in case.given
        for before, after in zip(old, new, strict=False)
    )
    return len(old) == len(new) > 1 and mapped and ORTHANC_UID.fullmatch(theirs.value) is not None


ACCEPTED: Final = (
    Accepted(
        "PatientName",
        "the engine's is Anonymized^ and the new PatientID's first eight characters, the same in every run",
        _patient_name,
    ),
    Accepted(
        "DeidentificationMethod",
        "names deidflow, always with the profile; Orthanc 1.10.1 leaves it out when there are Replace, Keep or Remove",
        _deidentification_method,
    ),
    Accepted(
        "absent or empty PatientID",
        "is keyed by the StudyInstanceUID, so that strangers are not merged; Orthanc makes them one patient",
        _patient_id_without_original,
    ),
    Accepted("padding", "untouched elements keep theirs, DCMTK strips surplus blanks", _padding_stays),
    Accepted("group lengths", "untouched ones stay, DCMTK computes all anew with its own encoding", _group_length),
    Accepted("encapsulated OW", "untouched PixelData keeps its VR, DCMTK writes OB", _encapsulated_vr),
    Accepted("file meta of modify", "what the source lacks is not added by modify", _meta_of_modify),
    Accepted(
        "elements sent as UN",
        "are treated by their tag; Orthanc leaves their values, identifiers among them, as they are",
        _unknown_vr,
    ),
    Accepted(
        "two results of one identifier",
        "both fail; Orthanc keeps one of them in silence (reference 0, hazard 5)",
        _collision,
    ),
    Accepted(
        "sequences sent as UN", "of undefined length stay UN; DCMTK writes them as SQ", _sequence_as_unknown
    ),
    Accepted(
        "SOP class in the meta information",
        "modify leaves what contradicts the dataset; without a readable SOPClassUID DCMTK writes one of its own",
        _meta_of_dataset,
    ),
    Accepted(
        "characters outside of the set",
        "text that pydicom can encode is written whole, Orthanc drops the characters (reference 0, hazard 8)",
        _lost_text,
    ),
    Accepted(
        "text that cannot be encoded",
        "the instance fails; Orthanc drops the characters in silence (reference 0, hazard 8)",
        _refused_text,
    ),
    Accepted("new attributes", "have their VR; the server's older dictionary makes them UN", _newer_tag),
    Accepted(
        "several numbers",
        "are written, as from Orthanc 1.12 (AT: 1.13) on, and negative ones in US or SS; 1.10.1 refuses both",
        _version_of_numbers,
    ),
    Accepted(
        "references to kept and replaced UIDs",
        "follow them, so that they stay true; Orthanc gives them another UID or leaves the original (reference 3.3)",
        _named_reference,
    ),
    Accepted("lookup tables", "can be given as bytes, Orthanc refuses them", _lookup_table),
    Accepted(
        "images and PDF documents",
        "in Replace are refused: Orthanc makes another object of them than the one that is edited",
        _embedded_object,
    ),
    Accepted("PixelData as text", "is always refused; Orthanc writes it into deflated files only", _pixels_as_text),
    Accepted("private creators", "are LO (PS3.5 section 7.8.1, edition 2026c), Orthanc writes UN", _private_creator),
    Accepted("empty UID", "stays empty; Orthanc gives all empty ones the same new UID (reference 3.3)", _empty_uid),
    Accepted(
        "multi-valued UID", "each is mapped; Orthanc makes them one new UID (reference 3.3)", _multi_valued_uid
    ),
)


def accepting_entry(case: Case, found: Difference) -> Accepted | None:
    """Return the entry that accepts a difference, None when it is a failure."""
    return next((entry for entry in ACCEPTED if entry.holds(case, found)), None)


__all__ = ["ACCEPTED", "IDENTIFIERS", "Accepted", "accepting_entry"]
