"""Which attributes rules about pixels may ask for, and how a condition on one is written.

Public names: ``read_condition``, ``ASKED``, ``wildcards``.
"""

from __future__ import annotations

import difflib
import fnmatch
import math
import re
from typing import TYPE_CHECKING, Any, Final

from pydicom.datadict import tag_for_keyword

from deidflow.tasks.core.pixels.conditions import All, AnyOf, Not, Test

if TYPE_CHECKING:
    from collections.abc import Callable

    from deidflow.tasks.core.pixels.conditions import Condition

    Complaint = Callable[[str, str], None]
    """Takes what is wrong: the dotted key, and what a good value looks like."""

ASKED: Final = {
    keyword: tag
    for keyword in (
        *("Modality", "SOPClassUID", "ImageType", "BurnedInAnnotation", "ConversionType", "PresentationIntentType"),
        *("Manufacturer", "ManufacturerModelName", "SoftwareVersions", "SecondaryCaptureDeviceManufacturer"),
        *("SecondaryCaptureDeviceManufacturerModelName", "SecondaryCaptureDeviceSoftwareVersions"),
        *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated"),
        *("BitsStored", "LossyImageCompression", "UltrasoundColorDataPresent", "PixelSpacing", "SeriesNumber"),
        *("StudyDescription", "SeriesDescription", "ProtocolName", "BodyPartExamined", "ViewPosition"),
        *("AcquisitionDeviceProcessingDescription", "ImageComments", "DerivationDescription", "WindowWidth"),
    )
    if (tag := tag_for_keyword(keyword)) is not None
}
"""Attributes that tell of the device, the kind of image and its size, by keyword. None of them names one device or
one person: what is to be painted is a matter of the kind, and a rule file is no place for identifiers."""

_BOUNDS: Final = ("min", "max")
_FORMS: Final = (
    "must be a text (* is for any characters, ? for one), a number, a list of these, {min: 480, max: 600}, or "
    "{present: true}"
)


def read_condition(group: object, key: str, complain: Complaint) -> Condition:
    """Read a group of conditions, all of which must hold; ``not`` and ``any`` are groups of their own.

    Args:
        group: Keywords of ``ASKED`` and what their values must be.
        key: Dotted key of the group.
        complain: Takes every problem.

    """
    if not isinstance(group, dict) or not group:
        complain(key, "must be a group of conditions, as in {Modality: US, Rows: 480}")
        return All(())
    parts: list[Condition] = []
    for name, value in group.items():
        inner = f"{key}.{name}"
        if name == "not":
            parts.append(Not(read_condition(value, inner, complain)))
        elif name == "any":
            parts.append(_read_any(value, inner, complain))
        elif name not in ASKED:
            complain(inner, _unknown(str(name)))
        else:
            test = _read_test(ASKED[name], value, inner, complain)
            parts += [] if test is None else [test]
    return All(tuple(parts))


def _read_any(value: object, key: str, complain: Complaint) -> Condition:
    if not isinstance(value, list) or not value:
        complain(key, "must be a list of groups of conditions, one of which must hold")
        return AnyOf(())
    return AnyOf(tuple(read_condition(group, f"{key}.{number}", complain) for number, group in enumerate(value)))


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name, [*ASKED, "not", "any"], 1)
    hint = f"did you mean {close[0]}? The" if close else "the"
    return f"unknown attribute; {hint} attributes here are {', '.join(ASKED)}, and not, any"


def _read_test(tag: int, value: object, key: str, complain: Complaint) -> Condition | None:
    """Return the test of one attribute, None when it is wrong."""
    values = value if isinstance(value, list) and value else [value]
    parts = [part for one in values if (part := _read_one(tag, one)) is not None]
    if len(parts) < len(values):
        complain(key, _FORMS)
        return None
    return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))


def _read_one(tag: int, value: Any) -> Test | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        return Test(tag, (wildcards(value),)) if value.strip() else None
    if _is_number(value):
        return Test(tag, least=value, most=value)
    if isinstance(value, dict) and set(value) == {"present"} and isinstance(value["present"], bool):
        return Test(tag, is_present=value["present"])
    if isinstance(value, dict) and value and set(value) <= set(_BOUNDS):
        bounds = [value.get(name) for name in _BOUNDS]
        if all(one is None or _is_number(one) for one in bounds):
            least, most = bounds
            return None if least is not None and most is not None and least > most else Test(tag, (), least, most)
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def wildcards(text: str) -> re.Pattern[str]:
    """Return a pattern for a whole value: ``*`` is for any characters, ``?`` for one; case does not matter."""
    return re.compile(fnmatch.translate(text.strip().replace("[", "[[]")), re.IGNORECASE)
