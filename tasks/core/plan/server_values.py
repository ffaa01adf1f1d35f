"""New values that an Orthanc refuses, drops or writes elsewhere.

Source: ``Replace`` on 1.10.1, 1.12.7 and 1.13.0 (measured, each VR; ``tests/contract/test_values.py``); several numbers
since 1.12.5 (release notes).

Public names: ``check_values``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import ENCAPSULATED_DOCUMENT, PIXEL_DATA, describe_tag, dictionary_vr
from deidflow.tasks.core.plan.server_abilities import shown
from deidflow.tasks.core.request.data_uris import OCTETS, PDF, parse_embedded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.core.plan.server_abilities import Version
    from deidflow.tasks.core.request.edits import Edits, Value

_SEVERAL_NUMBERS_SINCE: Final[Version] = (1, 12, 5)
_LONG_NUMBERS_SINCE: Final[Version] = (1, 13, 0)
_SEVERAL_TAGS_SINCE: Final[Version] = (1, 13, 0)
_WORDS_AS_NUMBERS_SINCE: Final[Version] = (1, 13, 0)
_MODELS_SINCE: Final[Version] = (1, 12, 7)

_NUMBERS: Final = frozenset({"US", "SS", "UL", "SL", "FL", "FD", "OF", "OD", "OL"})
_LONG_NUMBERS: Final = frozenset({"SV", "UV", "OV"})
_OVERLAY_DATA: Final = 0x60003000


def check_values(edits: Edits, version: Version) -> Iterator[tuple[str, str]]:
    """Yield the values of ``Replace`` that a version cannot write: the column, and why."""
    for path, value in edits.replace.items():
        for tag, text in _texts(path.tag, value):
            problem = _problem(tag, text, version)
            if problem:
                inner = "" if tag == path.tag else f"{describe_tag(tag)}: "
                yield f"Replace.{path.describe()}", f"{inner}{problem}"


def _texts(tag: int, value: Value) -> Iterator[tuple[int, str]]:
    if isinstance(value, str):
        if value:
            yield tag, value
        return
    for item in value:
        for inner_tag, inner in item:
            yield from _texts(inner_tag, inner)


def _problem(tag: int, text: str, version: Version) -> str:
    vr = dictionary_vr(tag) or ""
    content = parse_embedded(text)
    if content is not None and vr not in ("", "OB", "OW", "OB or OW"):
        text = (content.content or b"").decode("latin-1")  # read as text, as the routes do
    here = f"the server is {shown(version)}"
    several = "\\" in text
    if vr in _NUMBERS and several and version < _SEVERAL_NUMBERS_SINCE:
        return f"several numbers in VR {vr} need Orthanc {shown(_SEVERAL_NUMBERS_SINCE)}; {here}"
    if vr in _LONG_NUMBERS and version < _LONG_NUMBERS_SINCE:
        return f"a value in VR {vr} needs Orthanc {shown(_LONG_NUMBERS_SINCE)}; {here}"
    if vr == "AT" and several and version < _SEVERAL_TAGS_SINCE:
        return f"several tags need Orthanc {shown(_SEVERAL_TAGS_SINCE)}, earlier ones drop all but the first; {here}"
    if vr.startswith("US or ") and vr.endswith("OW"):
        return "no Orthanc writes lookup tables; use engine: local"
    if vr == "US or SS" and "-" in text:
        return "an Orthanc takes no negative numbers here, whatever PixelRepresentation says; use engine: local"
    return "" if content is None else _content_problem(tag, vr, content.mime, version)


def _content_problem(tag: int, vr: str, mime: str, version: Version) -> str:
    """Say what is wrong with a data URI."""
    words = tag != PIXEL_DATA and (vr == "OW" or tag & 0xFF00FFFF == _OVERLAY_DATA)
    if mime == OCTETS and words and version >= _WORDS_AS_NUMBERS_SINCE:
        return f"Orthanc {shown(version)} takes no data URI for VR OW; use engine: local"
    if tag == ENCAPSULATED_DOCUMENT and mime not in (PDF, OCTETS) and version < _MODELS_SINCE:
        return f"models need Orthanc {shown(_MODELS_SINCE)}; the server is {shown(version)}"
    return ""
