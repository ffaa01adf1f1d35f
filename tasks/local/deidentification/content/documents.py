"""Encapsulated documents (0042,0011) without content, which stand in the place of others (D in Table E.1-1).

Public names: ``empty_pdf``, ``EMPTY_CDA``.
"""

from __future__ import annotations

from typing import Final


def empty_pdf() -> bytes:
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
EMPTY_CDA: Final = (
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
