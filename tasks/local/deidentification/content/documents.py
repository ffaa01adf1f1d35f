"""Encapsulated documents (0042,0011): D in Table E.1-1, by what kind of document it is.

| MIME type | what happens |
| --- | --- |
| application/pdf | replaced by a page without anything on it |
| text/xml (CDA) | replaced by a document with nothing but the elements that CDA requires |
| model/stl, binary | header and attribute octets blanked: the geometry stays |
| model/stl, ASCII | the name of the solid taken out, the geometry stays |
| model/obj, model/mtl, application/x.zip, others | refused: names, comments and paths can stand anywhere in them |

Public names: ``Treatment``, ``treat_document``.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from deidflow.tasks.local.deidentification.content.ranges import Range, UnsafeContentError, blanked

_STL_HEADER: Final = 80
_STL_FACET: Final = 50
_STL_NUMBERS: Final = 48
_STL_LINE: Final = re.compile(
    rb"\s*(?:facet\s+normal(?:\s+[-+0-9.eE]+){3}|outer\s+loop|vertex(?:\s+[-+0-9.eE]+){3}|endloop|endfacet|)\s*"
)


class Treatment(NamedTuple):
    """What stands in the place of a document.

    Attributes:
        content: The new octets, unpadded.
        is_dummy: Whether nothing of the original is left.

    """

    content: bytes
    is_dummy: bool


def treat_document(mime_type: str, content: bytes) -> Treatment:
    """Return what to write in the place of a document.

    Args:
        mime_type: MIME Type of Encapsulated Document (0042,0012); parameters do not count.
        content: The document, up to Encapsulated Document Length where that is there.

    Raises:
        UnsafeContentError: The kind of document cannot be made safe; the instance is refused.

    """
    kind = mime_type.partition(";")[0].strip(" \0").lower()
    if kind == "application/pdf":
        return Treatment(_empty_pdf(), is_dummy=True)
    if kind in ("text/xml", "application/hl7-cda+xml"):
        return Treatment(_EMPTY_CDA, is_dummy=True)
    if kind in ("model/stl", "application/sla"):
        return Treatment(_stl(content), is_dummy=False)
    raise UnsafeContentError("encapsulated documents must be PDF, CDA or STL")


def _empty_pdf() -> bytes:
    """Return a PDF 1.4 of one empty page (ISO 32000-1 section 7.5)."""
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<<>>>>",
    )
    body, offsets = b"%PDF-1.4\n", []
    for number, one in enumerate(objects, 1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, one)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    return body + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n"
        % (size, table, size, len(body))
    )


# CDA R2 requires typeId, id, code, effectiveTime, confidentialityCode, recordTarget, author, custodian and component.
_EMPTY_CDA: Final = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b'<ClinicalDocument xmlns="urn:hl7-org:v3"><typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>'
    b'<id nullFlavor="MSK"/><code nullFlavor="MSK"/><effectiveTime nullFlavor="MSK"/>'
    b'<confidentialityCode nullFlavor="MSK"/><recordTarget><patientRole><id nullFlavor="MSK"/></patientRole>'
    b"</recordTarget>"
    b'<author><time nullFlavor="MSK"/><assignedAuthor><id nullFlavor="MSK"/></assignedAuthor></author>'
    b'<custodian><assignedCustodian><representedCustodianOrganization><id nullFlavor="MSK"/>'
    b"</representedCustodianOrganization></assignedCustodian></custodian>"
    b"<component><nonXMLBody><text/></nonXMLBody></component></ClinicalDocument>\n"
)


def _stl(content: bytes) -> bytes:
    facets = int.from_bytes(content[_STL_HEADER : _STL_HEADER + 4], "little")
    end = _STL_HEADER + 4 + facets * _STL_FACET
    if len(content) >= _STL_HEADER + 4 and end <= len(content) <= end + 1:
        first = _STL_HEADER + 4 + _STL_NUMBERS
        attributes = [Range(at, at + 2) for at in range(first, end, _STL_FACET) if any(content[at : at + 2])]
        return blanked(content[:end], [Range(0, _STL_HEADER), *attributes])
    if content[:5].lower() != b"solid":
        raise UnsafeContentError("the STL document must be a binary or an ASCII one")
    lines = content.rstrip(b"\0 \r\n").split(b"\n")
    if not lines[-1].strip().lower().startswith(b"endsolid") or len(lines) < 2:  # noqa: PLR2004 first and last line
        raise UnsafeContentError("the ASCII STL document must end with endsolid")
    if not all(_STL_LINE.fullmatch(line.lower()) for line in lines[1:-1]):
        raise UnsafeContentError("the ASCII STL document must hold facets and nothing else")
    return b"\n".join((b"solid", *lines[1:-1], b"endsolid\n"))
