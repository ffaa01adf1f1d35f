"""Conditions of the accepted differences in whole files and requests: what one side refuses and the other does.

Public names: one function for each entry of ``accepted.ACCEPTED``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.dicom.tags import (
    ENCAPSULATED_DOCUMENT,
    PATIENT_ID,
    PIXEL_DATA,
    SERIES_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    Path,
    TagSyntaxError,
    dictionary_vr,
    parse_path,
)
from deidflow.tasks.local.dicom_file.values import choose_vr
from deidflow.tasks.local.transcoding.codecs import can_write
from tests.contract.parity.facts import NUMBER_VRS, at_top, is_anonymize, replaced_texts, texts_of
from tests.contract.parity.reader import read_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.parity.differences import Case, Difference

_MEMBERS: Final = frozenset(
    {"Resources", "Replace", "Remove", "Keep", "KeepPrivateTags", "RemovePrivateTags", "DicomVersion", "Force", "Level"}
    | {"KeepSource", "PrivateCreator", "Transcode", "LossyQuality", "KeepLabels", "Permissive", "Synchronous"}
    | {"Asynchronous", "Priority", "UserData"}
)
"""docs/orthanc.md, Options."""

_SELECTOR_UN_VALUE: Final = 0x0072006D
_NUMBERS: Final = re.compile(r"-?[0-9]+(?:\\-?[0-9]+)*", re.ASCII)
_NEWER_VRS: Final = frozenset({"OV", "SV", "UV"})


def empty_number_in_item(case: Case, found: Difference) -> bool:
    """A number or AT below top level that is to be emptied."""
    if found.kind != "only-ours" or case.request is None:
        return False
    replace = case.request.edits.replace.items()
    below = [(path, value) for path, value in replace if path.is_nested or isinstance(value, tuple)]
    return any(not text and choose_vr(tag) in NUMBER_VRS for tag, text in texts_of(below))


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


def newer_tag(case: Case, found: Difference) -> bool:
    """An attribute in Replace that the server's dictionary lacks: it writes UN."""
    theirs = found.theirs
    bad_value = found.kind == "not-done" and found.detail == "bad-value"
    if (bad_value or found.kind == "only-ours") and case.request is not None:
        replaced = [path.tag for path in case.request.edits.replace]
        return any(dictionary_vr(tag) in _NEWER_VRS for tag in replaced)
    ours = found.ours
    if found.kind not in ("vr", "value") or theirs is None or ours is None or found.source is not None:
        return False
    if found.tag & 0x10000:
        return False
    # In implicit VR only the padding tells.
    padded_as_un = theirs.vr == ours.vr == "" and theirs.value == ours.value[:-1] + b"\0" and ours.value[-1:] == b" "
    return padded_as_un or (theirs.vr == "UN" and ours.vr == choose_vr(found.tag))


def version_of_numbers(case: Case, found: Difference) -> bool:
    """Several values in numbers (from 1.12 on) and AT (1.13), and negative ones in US or SS."""
    if case.request is None:
        return False
    several = [text for text in replaced_texts(case, NUMBER_VRS) if "\\" in text]
    if found.kind == "only-ours":
        old = case.version == "1.10.1" and bool(several)
        pairs = texts_of(case.request.edits.replace.items())
        signed = any(dictionary_vr(tag) == "US or SS" and text.startswith("-") for tag, text in pairs)
        return old or signed or any("\\" in text for text in replaced_texts(case, ("AT",)))
    return found.kind == "value" and dictionary_vr(found.tag) == "AT" and bool(several)


def patient_of_study(case: Case, found: Difference) -> bool:
    """Orthanc 1.11.3 and later compare new attributes of a patient with other studies (docs/orthanc.md, Versions)."""
    return found.kind == "accepted" and "Trying to change patient tags in a study" in found.detail


def lookup_table(case: Case, found: Difference) -> bool:
    """A lookup table given as bytes or numbers; since 1.13.0 what are no numbers in any OW but pixels and waveforms."""
    if case.request is None or found.kind != "only-ours":
        return False
    tables, words = {"US or OW", "US or SS or OW"}, {"OW", "OB or OW"}
    newer = case.version not in {"1.10.1", "1.12.7"}
    pairs = [(dictionary_vr(tag) or "", text) for tag, text in texts_of(case.request.edits.replace.items())]
    return any(
        (vr in tables and (text.startswith("data:") or _NUMBERS.fullmatch(text)))
        or (newer and vr in words and text.startswith("data:"))
        or (newer and vr == "OW" and text and not _NUMBERS.fullmatch(text))
        for vr, text in pairs
    )


def strict_identifiers(case: Case, found: Difference) -> bool:
    """What 1.10.1 refuses at run time although Force is given (docs/orthanc.md, Which identifiers change)."""
    if found.kind != "only-ours" or case.version != "1.10.1" or case.request is None:
        return False
    if is_anonymize(case):
        return at_top(case, PATIENT_ID, "keep")
    level = case.request.level()
    patient, study = (at_top(case, tag, "replace") for tag in (PATIENT_ID, STUDY_INSTANCE_UID))
    if level is Level.PATIENT:
        return not patient
    series = at_top(case, SERIES_INSTANCE_UID, "replace")
    return patient or (level is not Level.STUDY and study) or (level is Level.INSTANCE and series)


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
        for tag, text in texts_of(case.request.edits.replace.items())
        if tag in (ENCAPSULATED_DOCUMENT, PIXEL_DATA)
    )


def collision(case: Case, found: Difference) -> bool:
    """Two results of one identifier."""
    return found.kind == "not-done" and found.detail == "identifier-collision"


def _complaints(found: Difference) -> list[tuple[str, str]]:
    """Return what the engine refuses a request for: the members, each with the text."""
    lines = found.detail.removeprefix("key ").split("\nkey ")
    return [(member, text) for member, _, text in (line.partition(": ") for line in lines)]


def unknown_member(case: Case, found: Difference) -> bool:
    """A member of the body that neither route has."""
    named = _complaints(found)
    return found.kind == "refused" and all(
        member in case.body and member not in _MEMBERS and text.startswith("unknown; the known ones are")
        for member, text in named
    )


def member_of_the_other_route(case: Case, found: Difference) -> bool:
    """A wrong value for an argument that this route, or this version of it, does not read."""
    unread = {"Level", "RemovePrivateTags"} if is_anonymize(case) else {"KeepPrivateTags", "DicomVersion"}
    if case.version == "1.10.1":
        unread |= {"KeepLabels", "LossyQuality"}
    return found.kind == "refused" and all(member in unread for member, _ in _complaints(found))


def same_element_twice(case: Case, found: Difference) -> bool:
    """One element under two spellings in ``Replace`` or in one item of it."""
    named = _complaints(found)
    stands_twice = found.kind == "refused" and all("appears twice" in text for _, text in named)
    return stands_twice and any(_repeats(level) for level in _levels(case.body.get("Replace")))


def _levels(value: object) -> Iterator[dict[str, object]]:
    """Yield ``Replace`` itself and every item in it."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _levels(inner)


def _repeats(names: dict[str, object]) -> bool:
    try:
        paths = [parse_path(name) for name in names]
    except TagSyntaxError:
        return False
    return len(set(paths)) < len(paths)


def without_codec(case: Case, found: Difference) -> bool:
    """A transfer syntax that Orthanc writes and no codec here."""
    named = _complaints(found)
    target = str(case.body.get("Transcode"))
    return (
        found.kind == "refused"
        and [member for member, _ in named] == ["Transcode"]
        and re.fullmatch(r"1\.2\.840\.10008\.1\.2\.[0-9.]+", target) is not None
        and not can_write(target)
    )


def emptied_unknown(case: Case, found: Difference) -> bool:
    """SelectorUNValue, which the profile 2023b empties: Orthanc fails on its VR."""
    if found.kind != "only-ours" or not is_anonymize(case) or case.body.get("DicomVersion") != "2023b":
        return False
    return _SELECTOR_UN_VALUE in read_file(found.raw[0]).dataset


def kept_value(case: Case, found: Difference) -> bool:
    """A value of the wrong type for an element that ``Keep`` names, too, so that it would not be written."""
    kept = case.body.get("Keep")
    complaints = _complaints(found)
    return found.kind == "refused" and all(
        isinstance(kept, list) and member.removeprefix("Replace.") in kept and text.startswith("a value must be text")
        for member, text in complaints
    )
