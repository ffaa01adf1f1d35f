"""Generated DICOM files: every VR, all encodings, sequences of every form, private blocks, odd corners.

Public names: ``PROPERTY``, ``files``, ``File``, ``readable_files``, ``series_of_files``.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from pydicom._dicom_dict import DicomDictionary

from tests.dicom_files import (
    BIG,
    CT_STORAGE,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    RLE,
    Element,
    Item,
    Syntax,
    elements,
    encapsulated,
    encode,
    file_bytes,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

PROPERTY: Final = settings(
    max_examples=60,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)

# Elements that the generator sets itself, or that change how others are read.
_TAKEN: Final = frozenset({0x00080005, 0x00080016, 0x00080018, 0x00100020, 0x0020000D, 0x0020000E, 0x7FE00010})

_TAGS: Final[dict[str, list[int]]] = {}
for _tag, (_vr, _vm, _, _retired, _) in sorted(DicomDictionary.items()):
    # Two per VR in every group from 0008 on: small files with few tags keep the search near what matters.
    if _tag >> 16 >= 0x0008 and _tag not in _TAKEN and not _retired and len(_vr) == 2:
        _of_vr = _TAGS.setdefault(_vr, [])
        if sum(known >> 16 == _tag >> 16 for known in _of_vr) < 2:
            _of_vr.append(_tag)

_SEQUENCES: Final = _TAGS.pop("SQ")
_PLAIN_TAGS: Final = [(tag, vr) for vr, tags in sorted(_TAGS.items()) for tag in tags]
_NUMBERS: Final = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "UV": "Q", "SV": "q", "AT": "HH"}
_FLOATS: Final = {"FL": "f", "FD": "d", "OF": "f", "OD": "d"}
_WORDS: Final = {"OW": "H", "OL": "L", "OV": "Q"}
_TEXT: Final = st.text(st.characters(codec="ascii", categories=["Lu", "Ll", "Nd"]), max_size=12)
_SAMPLES: Final = {
    "AS": ("", "042Y"),
    "DA": ("", "20240131", "20240131\\20240201"),
    "DS": ("", "1.5", "-0.25\\1e3 ", "12"),
    "DT": ("", "20240131153000.25", "2024"),
    "IS": ("", "12", "-3\\4 "),
    "TM": ("", "153000", "1530"),
    "UI": ("", "1.2.840.10008.1.2", "1.2.3", "1.2\\3.4.5"),
    "UR": ("", "http://example.org"),
}


def _padded(text: str, vr: str) -> bytes:
    data = text.encode("ascii")
    return data + (b"\0" if vr == "UI" else b" ") * (len(data) % 2)


def _values(vr: str, syntax: Syntax) -> st.SearchStrategy[bytes]:
    """Return values that are valid for a VR, so that pydicom's reading is beyond doubt."""
    if vr in _NUMBERS or vr in _WORDS:
        code = _NUMBERS.get(vr) or _WORDS[vr]
        size = struct.calcsize(f"<{code}")
        return st.integers(0, 5).flatmap(lambda count: st.binary(min_size=count * size, max_size=count * size))
    if vr in _FLOATS:
        numbers = st.lists(st.floats(width=32, allow_nan=False), max_size=4)
        return numbers.map(lambda values: struct.pack(f"{syntax.prefix}{len(values)}{_FLOATS[vr]}", *values))
    if vr in ("OB", "UN"):
        return st.binary(max_size=40).map(lambda data: data + b"\0" * (len(data) % 2))
    if vr in _SAMPLES:
        return st.sampled_from([_padded(text, vr) for text in _SAMPLES[vr]])
    return _TEXT.map(lambda text: _padded(text, vr))


@st.composite
def _plain(draw: st.DrawFn, syntax: Syntax) -> Element:
    tag, vr = draw(st.sampled_from(_PLAIN_TAGS))
    return Element(tag, vr, draw(_values(vr, syntax)))


@st.composite
def _private(draw: st.DrawFn, syntax: Syntax) -> list[Element]:
    group = draw(st.sampled_from([0x0009, 0x0029, 0x7001]))
    numbers = draw(st.lists(st.integers(0x1000, 0x10FF), max_size=3, unique=True))
    block = [Element(group << 16 | 0x10, "LO", b"CREATOR1")]
    for number in numbers:
        # In implicit VR nothing tells the VR of a private element: pydicom reads UN.
        vr = draw(st.sampled_from(["LO", "UN", "OB", "US", "SQ"])) if syntax.explicit else "UN"
        value = (Item(()),) if vr == "SQ" else draw(_values(vr, syntax))
        block.append(Element(group << 16 | number, vr, value, vr == "SQ"))
    return block


@st.composite
def _sequence(draw: st.DrawFn, syntax: Syntax, depth: int) -> Element:
    as_unknown = syntax.explicit and draw(st.integers(0, 5)) == 0
    inner = IMPLICIT if as_unknown else syntax
    items = tuple(
        Item(tuple(draw(_datasets(inner, depth + 1))), draw(st.booleans())) for _ in range(draw(st.integers(0, 3)))
    )
    return Element(
        draw(st.sampled_from(_SEQUENCES)), "UN" if as_unknown else "SQ", items, as_unknown or draw(st.booleans())
    )


@st.composite
def _datasets(draw: st.DrawFn, syntax: Syntax, depth: int = 0) -> list[Element]:
    found = draw(st.lists(_plain(syntax), max_size=6 - depth))
    if depth < 3:  # deep enough for lengths of lengths of lengths
        found += draw(st.lists(_sequence(syntax, depth), max_size=2))
    if draw(st.booleans()):
        found += draw(_private(syntax))
    unique = {element.tag: element for element in found}
    return sorted(unique.values(), key=lambda element: element.tag)


class File(NamedTuple):
    """A generated file, and how it was written."""

    data: bytes
    syntax: Syntax
    dataset: tuple[Element, ...]


def _with_group_lengths(dataset: Iterable[Element], syntax: Syntax) -> list[Element]:
    groups: dict[int, list[Element]] = {}
    for element in dataset:
        groups.setdefault(element.tag >> 16, []).append(element)
    written: list[Element] = []
    for group, members in groups.items():
        size = len(encode(members, syntax))
        length = size.to_bytes(4, "little" if syntax.little else "big")
        written += [Element(group << 16, "UL", length), *members]
    return written


@st.composite
def files(draw: st.DrawFn, *, shuffled: bool = False, grouped: bool = True) -> File:
    """Generate a file with the three UIDs, a PatientID or none, and anything else.

    Args:
        draw: Given by hypothesis.
        shuffled: Whether the order of tags may be wrong.
        grouped: Whether there may be group lengths.

    """
    syntax = draw(st.sampled_from([IMPLICIT, EXPLICIT, BIG, DEFLATED, RLE]))
    identifying = elements(
        {
            "SOPClassUID": CT_STORAGE,
            "SOPInstanceUID": draw(st.sampled_from(["1.2.3.1.1.1", "1.2.3.1.1.10"])),
            "PatientID": draw(st.sampled_from([None, "", "P-1", "P-10"])),
            "StudyInstanceUID": "1.2.3.1",
            "SeriesInstanceUID": "1.2.3.1.1",
        },
        syntax,
    )
    others = [element for element in draw(_datasets(syntax)) if element.tag < 0x7FE00000]
    if syntax is RLE:
        others.append(encapsulated(*draw(st.lists(st.binary(max_size=9).map(lambda b: b + b), max_size=3))))
    elif draw(st.booleans()):
        others.append(Element(0x7FE00010, "OW", draw(st.binary(max_size=600).map(lambda b: b + b))))
    if draw(st.booleans()):
        others.append(Element(0xFFFCFFFC, "OB", bytes(draw(st.sampled_from([0, 2, 64])))))
    dataset = sorted([*identifying, *others], key=lambda element: element.tag)
    if grouped and draw(st.booleans()):
        dataset = _with_group_lengths(dataset, syntax)
    if shuffled:
        dataset = draw(st.permutations(dataset))
    preamble = draw(st.sampled_from([bytes(128), b"II*\0" + bytes(124)]))
    data = file_bytes(dataset, syntax, preamble=preamble)
    return File(data, syntax, tuple(dataset))


def _changed(element: Element, number: int) -> Element:
    """Return an element with another value for each instance."""
    if not isinstance(element.value, bytes) or not element.value:
        return element
    return element._replace(value=element.value * (1 + number % 3))


@st.composite
def series_of_files(draw: st.DrawFn) -> list[bytes]:
    """Generate the files of a series: some elements differ in all, others in a few, and some files are damaged."""
    first: File = draw(files(grouped=False))
    varying = draw(st.sets(st.integers(0, len(first.dataset) - 1), max_size=3))
    series = []
    for number in range(draw(st.integers(4, 8))):
        uid = b"1.2.3.1.1.1" + b"0" * (number + 1)
        own = Element(0x00080018, "UI", uid + b"\0" * (len(uid) % 2))
        dataset = [
            own if element.tag == own.tag else _changed(element, number) if at in varying else element
            for at, element in enumerate(first.dataset)
        ]
        if draw(st.integers(0, 4)) == 0:
            at = draw(st.integers(0, len(dataset) - 1))
            change = draw(st.sampled_from(["gone", "value", "twice", "group length"]))
            if change == "gone":
                del dataset[at]
            elif change == "value":
                dataset[at] = _changed(dataset[at], 1)
            elif change == "twice":
                dataset.append(dataset[at])
            else:
                dataset.append(Element(0xFFFC0000, "UL", bytes(4)))
        data = file_bytes(dataset, first.syntax)
        if draw(st.integers(0, 9)) == 0:
            cut = draw(st.integers(200, len(data)))
            data = data[:cut] + (data[cut + 2 :] if draw(st.booleans()) else b"")
        series.append(data)
    return series
