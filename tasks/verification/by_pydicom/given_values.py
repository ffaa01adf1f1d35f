"""Whether a result has the values that its request gives, and none that it takes away; read by pydicom.

An Orthanc (1.10.1 to 1.13.0) drops the characters of a new value that the object's SpecificCharacterSet lacks, without
a word: a name may become another name, or none. So what Replace, Clear and Remove asked for is looked up in the result.

Public names: ``check_given_values``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.multival import MultiValue

from deidflow.tasks.core.dicom.private_tags import creator_of
from deidflow.tasks.core.dicom.tags import IDENTIFIERS, Path, describe_tag
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.request.data_uris import OCTETS, PDF, parse_embedded
from deidflow.tasks.core.request.request import Operation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom import Dataset

    from deidflow.tasks.core.request.edits import Value
    from deidflow.tasks.core.request.request import Request

_PIXEL_DATA_GROUP: Final = 0x7FE0
_OF_THE_SERVER: Final = frozenset({*IDENTIFIERS, 0x00120062, 0x00120063})
"""What an anonymization writes, whatever Remove says: identifiers, PatientIdentityRemoved, DeidentificationMethod."""
_TEXTS: Final = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""Value representations that SpecificCharacterSet applies to (PS3.5 section 6.1.2.3, edition 2026c)."""
_WHOLE_TEXTS: Final = frozenset({"LT", "ST", "UT", "UR"})
"""A backslash separates no values (PS3.5 section 6.2)."""
_STRINGS: Final = _TEXTS | _WHOLE_TEXTS | {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI"}
_BITS: Final = {"US": 16, "SS": 16, "UL": 32, "SL": 32}
_FLOATS: Final = frozenset({"FL", "FD"})
_PRECISION: Final = 1e-6
"""Relative, of a 32-bit number (FL)."""
_BYTES: Final = frozenset({"OB", "UN"})
_PADDING: Final = " \0"
_NOT_WRITTEN: Final = "the server did not write the new value of {}: its value representation does not take it"
_LOST: Final = "the server dropped characters of the new value of {}, which SpecificCharacterSet lacks"


def check_given_values(request: Request, result: Dataset) -> None:
    """Compare a result with the Replace, Clear and Remove of its request.

    What a profile does inside of replaced sequences is its own business: there only text that lost characters counts.
    Pixel data, numbers as bytes, and lookup tables are passed over.

    Args:
        request: The effective options of the row.
        result: Without its pixel data; not changed.

    Raises:
        InstanceFailed: ``character-set`` where characters are missing, ``bad-value`` where the value is another one,
            ``result-differs`` where an element to remove is left.

    """
    edits = request.edits
    kept = {path for path in edits.keep if not path.is_nested}
    for path, value in edits.replace.items():
        if path in kept or path.names_creator or not _is_compared(path.tag):
            continue
        for dataset in _datasets(result, path):
            _check(dataset, path.tag, value, in_full=True, modifies=request.operation is Operation.MODIFY)
    for path in edits.remove:
        if (
            path in kept
            or path in edits.replace
            or path.names_creator
            or path.tag in _OF_THE_SERVER
            or not _is_compared(path.tag)
        ):
            continue
        if any(path.tag in dataset for dataset in _datasets(result, path)):
            text = f"{describe_tag(path.tag)} is left in the result, although it was to be removed"
            raise InstanceFailed(ReasonCode.RESULT_DIFFERS, text)


def _is_compared(tag: int) -> bool:
    return tag >> 16 != _PIXEL_DATA_GROUP and bool(tag & 0xFFFF)


def _datasets(result: Dataset, path: Path) -> Iterator[Dataset]:
    """Yield what holds the element of a path, as far as it is there."""
    found = [result]
    for tag, index in path.parents:
        items = [_items(dataset, tag) for dataset in found]
        found = [item for each in items for item in (each if index < 0 else each[index : index + 1])]
    yield from found


def _items(dataset: Dataset, tag: int) -> list[Dataset]:
    if tag not in dataset or dataset[tag].VR != "SQ":
        return []
    return list(dataset[tag].value or ())


def _check(dataset: Dataset, tag: int, value: Value, *, in_full: bool, modifies: bool) -> None:
    if isinstance(value, tuple):
        items = _items(dataset, tag)
        if len(items) != len(value):
            if in_full:
                raise InstanceFailed(ReasonCode.BAD_VALUE, _NOT_WRITTEN.format(describe_tag(tag)))
            return
        for item, elements in zip(items, value, strict=True):
            for inner, given in elements:
                if not creator_of(inner):
                    _check(item, inner, given, in_full=in_full and modifies, modifies=modifies)
        return
    embedded = parse_embedded(value)
    if embedded is not None and embedded.mime in (OCTETS, PDF):
        if in_full and not _has_bytes(dataset, tag, embedded.content):
            raise InstanceFailed(ReasonCode.BAD_VALUE, _NOT_WRITTEN.format(describe_tag(tag)))
    elif not _has_value(dataset, tag, value, in_full=in_full):
        lost = _is_part(_shown(dataset, tag), value) and not value.isascii()
        code, text = (ReasonCode.CHARACTER_SET, _LOST) if lost else (ReasonCode.BAD_VALUE, _NOT_WRITTEN)
        raise InstanceFailed(code, text.format(describe_tag(tag)))


def _has_bytes(dataset: Dataset, tag: int, content: bytes | None) -> bool:
    if tag not in dataset:
        return not content
    element = dataset[tag]
    if content is None or element.VR not in _BYTES or not isinstance(element.value, bytes):
        return True
    return element.value.rstrip(b" \0") == content.rstrip(b" \0")


def _has_value(dataset: Dataset, tag: int, given: str, *, in_full: bool) -> bool:
    if tag not in dataset or dataset[tag].is_empty:
        return not in_full or not given.strip(_PADDING)
    vr, value = dataset[tag].VR, dataset[tag].value
    if vr == "UN" and dictionary_has_tag(tag):
        # What is too long for its VR, or what the source had as UN. Of other elements nobody knows what the bytes mean.
        vr = dictionary_VR(tag)
    if vr in _STRINGS:
        if not in_full and vr not in _TEXTS:
            return True
        wanted, found = (_parts(text, vr) for text in (given, _shown(dataset, tag)))
        return wanted == found or (vr in ("DS", "IS") and _as_numbers(wanted) == _as_numbers(found))
    if vr in _BITS or vr in _FLOATS:
        return not in_full or _same_numbers(vr, given, value)
    return True


def _shown(dataset: Dataset, tag: int) -> str:
    """Return the text of an element, "" where there is none."""
    value = dataset[tag].value if tag in dataset else None
    if value is None:
        return ""
    if isinstance(value, bytes):
        encodings = convert_encodings(dataset.get("SpecificCharacterSet") or "ISO_IR 6")
        return decode_bytes(value, encodings, set())
    return "\\".join(map(str, value)) if isinstance(value, (MultiValue, list, tuple)) else str(value)


def _parts(text: str, vr: str) -> list[str]:
    """Return values without what is padding: blanks, NULs, and in names what separates nothing."""
    values = [text] if vr in _WHOLE_TEXTS else text.split("\\")
    if vr == "UI":
        return ["".join(value.replace("\0", "").split()) for value in values]
    if vr == "PN":
        groups = ["=".join(group.rstrip("^ ") for group in value.strip(_PADDING).split("=")) for value in values]
        return [group.rstrip("=") for group in groups]
    return [value.strip(_PADDING) for value in values]


def _as_numbers(texts: list[str]) -> list[float] | None:
    try:
        return [float(text) for text in texts]
    except ValueError:
        return None


def _same_numbers(vr: str, given: str, value: Any) -> bool:
    wanted = _as_numbers(given.split("\\"))
    found = list(value) if isinstance(value, (MultiValue, list, tuple)) else [value]
    if wanted is None or any(not isinstance(number, (int, float)) for number in found):
        return True
    if len(wanted) != len(found):
        return False
    if vr in _BITS:
        # A negative number for an unsigned element wraps.
        return all(int(a) % (1 << _BITS[vr]) == int(b) % (1 << _BITS[vr]) for a, b in zip(wanted, found, strict=True))
    pairs = zip(wanted, found, strict=True)
    return all(math.isclose(a, b, rel_tol=_PRECISION) or (math.isnan(a) and math.isnan(b)) for a, b in pairs)


def _is_part(text: str, whole: str) -> bool:
    """Whether a text is what is left of another when characters are dropped."""
    rest = iter(whole)
    return all(character in rest for character in text)
