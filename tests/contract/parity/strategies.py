"""Requests drawn at random from a grammar of valid and invalid bodies.

Public names: ``calls``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from tests.contract.parity.requests import ANONYMIZE, MODIFY, TARGETS, data

if TYPE_CHECKING:
    from deidflow.tasks.core.request.request import Operation

_TEXTS = (
    "PatientName", "StudyDescription", "0008,0080", "(0010,4000)", "AccessionNumber", "00080060", "PatientComments",
    "0009,1001", "0009,0010", "StudyDate", "0010-0040", "DeidentificationMethod", "SpecificCharacterSet",
)  # fmt: skip
_NUMBERS = ("Rows", "0018,9219", "0018,6016", "0018,6020", "0008,9459", "0018,6028")
_UIDS = ("FrameOfReferenceUID", "ReferencedSOPInstanceUID", "SOPClassUID", "0008,3010")
_BINARIES = ("0028,1201", "5400,1010", "OverlayData", "0009,1002")
_SEQUENCES = (
    "ReferencedSeriesSequence", "ReferencedImageSequence", "0040,A730", "RequestAttributesSequence", "0008,1110",
)  # fmt: skip
_IDENTIFIERS = st.sampled_from(["PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
_WRONG_TAGS = st.sampled_from(
    ["nope", "patientname", "0010:0010", "", "ReferencedSeriesSequence[0]", "a.b", "[0].Rows"]
)

_TEXT = st.one_of(
    st.text(alphabet="abcXYZ019 ^\\=._-", max_size=12),
    st.text(alphabet="aéßĄЖあ東가", max_size=4),
    st.binary(max_size=6).map(data),
)
_NUMBER = st.one_of(
    st.integers(-70_000, 70_000).map(str), st.floats(allow_nan=False).map(str), st.sampled_from(["", "x", " 1", "1e2"])
)
_UID = st.lists(st.integers(0, 99).map(str), min_size=1, max_size=5).map(lambda parts: "1.2.77." + ".".join(parts))
_BINARY = st.one_of(st.binary(max_size=8).map(data), st.sampled_from(["", "text"]))
_WRONG_VALUES = st.sampled_from([1, True, ["a"], {"a": "b"}, 1.5])

_PLAIN_TAGS = st.sampled_from([*_TEXTS, *_NUMBERS, *_UIDS, *_BINARIES])
_SEQUENCE_TAGS = st.sampled_from(_SEQUENCES)
_TARGETS = st.sampled_from([*TARGETS, "1.2.840.10008.1.2.4.70", "1.2.3", "x"])
_INDEX = st.sampled_from(["0", "1", "*", "7"])


@st.composite
def _paths(draw: st.DrawFn) -> str:
    steps = [f"{draw(_SEQUENCE_TAGS)}[{draw(_INDEX)}]" for _ in range(draw(st.integers(1, 2)))]
    last = draw(st.one_of(_PLAIN_TAGS, _SEQUENCE_TAGS, _IDENTIFIERS))
    return ".".join([*steps, last])


def _value_of(tag: str) -> st.SearchStrategy[Any]:
    name = tag.rsplit("].", 1)[-1]
    for tags, values in ((_NUMBERS, _NUMBER), (_UIDS, _UID), (_BINARIES, _BINARY)):
        if name in tags:
            return values
    if name in _SEQUENCES:
        return _items()
    if name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        return _UID
    if name == "SpecificCharacterSet":
        return st.sampled_from(["ISO_IR 100", "ISO_IR 192", ""])
    return _TEXT


@st.composite
def _items(draw: st.DrawFn, depth: int = 1) -> list[dict[str, Any]]:
    items = []
    for _ in range(draw(st.integers(0, 2))):
        tags = draw(st.lists(st.sampled_from([*_TEXTS, *_NUMBERS, *_UIDS]), max_size=3, unique=True))
        item = {tag: draw(_value_of(tag)) for tag in tags if tag != "SpecificCharacterSet"}
        if depth and draw(st.booleans()):
            item["ReferencedStudySequence"] = draw(_items(depth - 1))
        items.append(item)
    return items


@st.composite
def _bodies(draw: st.DrawFn) -> dict[str, Any]:
    anything = st.one_of(_PLAIN_TAGS, _PLAIN_TAGS, _SEQUENCE_TAGS, _paths())
    body: dict[str, Any] = {}
    replaced = draw(st.lists(anything, max_size=4, unique=True))
    if replaced:
        body["Replace"] = {tag: draw(_value_of(tag)) for tag in replaced}
    for member in ("Remove", "Keep"):
        named = draw(st.lists(anything, max_size=3, unique=True))
        if named:
            body[member] = named
    if draw(st.integers(0, 3)) == 0:
        tag = draw(_IDENTIFIERS)
        body.setdefault("Replace", {})[tag] = draw(_value_of(tag))
        body["Force"] = draw(st.integers(0, 5)) != 0
    if draw(st.integers(0, 3)) == 0:
        body.setdefault("Keep", []).append(draw(_IDENTIFIERS))
        body["Force"] = True
    if draw(st.integers(0, 9)) == 0:
        broken = draw(st.sampled_from(["tag", "value", "type"]))
        if broken == "tag":
            body.setdefault("Remove", []).append(draw(_WRONG_TAGS))
        elif broken == "value":
            body.setdefault("Replace", {})["PatientName"] = draw(_WRONG_VALUES)
        else:
            body[draw(st.sampled_from(["Replace", "Remove", "Keep"]))] = draw(st.sampled_from(["x", 1, True]))
    return body


@st.composite
def calls(draw: st.DrawFn, versions: tuple[str, ...]) -> tuple[Operation, dict[str, Any]]:
    """Draw an operation and its body."""
    body = draw(_bodies())
    if draw(st.integers(0, 7)) == 0:
        body["Transcode"] = draw(_TARGETS)
    if draw(st.booleans()):
        if draw(st.booleans()):
            body["RemovePrivateTags"] = True
        if draw(st.integers(0, 2)) == 0:
            body["Level"] = draw(st.sampled_from(["Patient", "Study", "Series", "Instance"]))
            body["Force"] = True
        return MODIFY, body
    if draw(st.integers(0, 3)) == 0:
        body["KeepPrivateTags"] = True
    return ANONYMIZE, {"DicomVersion": draw(st.sampled_from(versions)), **body}
