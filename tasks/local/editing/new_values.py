"""What a rule makes of the value of one element: the bytes that a result gets for those of its source.

The functions that rules carry see and give text, or items; reading and writing it in the VR and the character set of
the dataset is done here.

Public names: ``CharacterSets``, ``changed_element``, ``check_kept_text``, ``finished``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from deidflow.tasks.core.dicom.tags import PATIENT_ID, describe_tag, dictionary_vr
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.pseudonyms.original_uids import WELL_KNOWN
from deidflow.tasks.local.dicom_file.encoding import element_header
from deidflow.tasks.local.dicom_file.values import NUMBER_VRS, choose_vr, encode_element, encode_value
from deidflow.tasks.local.editing.actions import Action, Original

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deidflow.tasks.core.request.edits import Value
    from deidflow.tasks.local.dicom_file.character_sets import CharacterSet
    from deidflow.tasks.local.dicom_file.elements import Element, Read
    from deidflow.tasks.local.dicom_file.encoding import Encoding
    from deidflow.tasks.local.editing.actions import Rule
    from deidflow.tasks.local.editing.references import InstanceIdentifiers, References
    from deidflow.tasks.local.editing.spans import Output


_STANDARD: Final = WELL_KNOWN.encode()
_PADDED_WITH_NUL: Final = frozenset({"OB", "OW", "UI", "UN"})
"""VRs in which UIDs may stand; in all others that hold text blanks are the padding (PS3.5 section 6.2)."""


class CharacterSets(NamedTuple):
    """Of one dataset.

    Attributes:
        old: That its values are written in.
        new: That those of the result are.

    """

    old: CharacterSet
    new: CharacterSet


def changed_element(
    rule: Rule,
    element: Element,
    read: Read,
    identifiers: InstanceIdentifiers,
    charsets: CharacterSets,
    encoding: Encoding,
) -> bytes | None:
    """Return a whole element with its new value, None when it stays as it is.

    Args:
        rule: Neither removal nor one that stays.
        element: As it stands in the source.
        read: Reads bytes of the source.
        identifiers: The instance.
        charsets: Of the dataset.
        encoding: Of the dataset.

    Raises:
        InstanceFailed: The new value cannot be written.

    """
    tag, vr, _, value, end, sequence = element
    if not rule.of_the_run and (vr == "UN" or sequence is not None):  # a name sent as a sequence
        vr = choose_vr(tag)
    if rule.action is Action.EMPTY:
        return None if value == end and vr == element[1] else element_header(tag, vr, 0, encoding)
    raw = read(value, end) if vr != "SQ" else b""
    if rule.action is Action.REPLACE_UID:
        mapped = _mapped(tag, vr, raw, rule, identifiers.references)
        data: bytes | None = None if mapped == raw else _as_vr(mapped, tag, vr)
    elif rule.new_bytes is not None:
        data = rule.new_bytes(raw)
    else:
        assert rule.new_value is not None  # noqa: S101 (a rule of any other kind has one)
        text, is_whole = _text(tag, vr, raw, charsets.old), charsets.old.knows(raw)
        new = rule.new_value(Original(tag, vr, text, is_given=False, is_whole=is_whole), identifiers)
        if isinstance(new, tuple):
            return encode_element(tag, new, charsets.new, encoding)
        data = None if new is None else encode_value(tag, vr, new, charsets.new, encoding)
    if data is None or data == raw:
        return None
    try:
        return element_header(tag, vr, len(data), encoding) + data
    except OverflowError as error:
        raise InstanceFailed(ReasonCode.BAD_VALUE, f"{describe_tag(tag)}: {error}") from None


def _mapped(tag: int, vr: str, raw: bytes, rule: Rule, references: References) -> bytes:
    if rule.of_the_run:
        # Some objects have UIDs like 1.1, and archives write numbers with VR UN.
        return references.map_originals(raw) if vr == "UI" or dictionary_vr(tag) in {None, "UI"} else raw
    if rule.spares_registered and _STANDARD in raw:
        return references.map_unregistered(raw)
    return references.map_uid_value(raw)


def check_kept_text(element: Element, raw: bytes, charsets: CharacterSets) -> None:
    """Refuse to declare another character set over text that would read differently in it (Orthanc does not).

    Raises:
        InstanceFailed: It would.

    """
    tag, vr = element[0], element[1]

    def read_in(charset: CharacterSet) -> tuple[str, str]:
        identifier = charset.decode_patient_id(raw, is_padded=vr != "UN") if tag == PATIENT_ID else ""
        return charset.decode(raw, is_person_name=vr == "PN"), identifier

    if read_in(charsets.old) != read_in(charsets.new):
        message = f"{describe_tag(tag)} keeps text that the new SpecificCharacterSet would garble"
        raise InstanceFailed(ReasonCode.CHARACTER_SET, message)


def _as_vr(uids: bytes, tag: int, vr: str) -> bytes:
    """Return a padded value of VR UI as another VR has it; numbers are as long as they are."""
    if vr in NUMBER_VRS:
        message = f"the new value of {describe_tag(tag)} cannot be written with VR {vr}"
        raise InstanceFailed(ReasonCode.BAD_VALUE, message)
    return uids[:-1] + b" " if vr not in _PADDED_WITH_NUL and uids.endswith(b"\0") else uids


def _text(tag: int, vr: str, raw: bytes, charset: CharacterSet) -> str:
    """Return a value as text; a PatientID as identifiers are made of it (docs/decisions/0011)."""
    if tag == PATIENT_ID:
        return charset.decode_patient_id(raw)
    return charset.decode(raw, is_person_name=vr == "PN").rstrip(" \0")


def finished(
    output: Output,
    pending: list[int],
    new_values: Mapping[int, Value],
    source_end: int,
    charset: CharacterSet,
    encoding: Encoding,
) -> Output:
    """Append new elements that stand behind all others, and close the last group."""
    for tag in reversed(pending[1:]):
        output.append(tag, encode_element(tag, new_values[tag], charset, encoding), source_end, encoding)
    if output.group >= 0:
        output.close_group(source_end, encoding)
    return output
