"""A PDF as a new EncapsulatedDocument makes an encapsulated PDF of the object, as an Orthanc does.

Source: Orthanc 1.10.1 (``ParsedDicomFile::EmbedContent``, measured), which writes SOPClassUID always, and the other two
where the object has none; from 1.12.7 on it leaves SOPClassUID. Here the request's own word on one of them wins.
Attributes: DICOM PS3.3 section A.45.1 and C.24.2, edition 2026c.

Public names: ``with_document``.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import ENCAPSULATED_DOCUMENT, SOP_CLASS_UID, Path
from deidflow.tasks.core.request.data_uris import pdf_of

if TYPE_CHECKING:
    from deidflow.tasks.core.request.request import Request

_DOCUMENT: Final = Path((), ENCAPSULATED_DOCUMENT)
_GOES_WITH_IT: Final = {
    Path((), SOP_CLASS_UID): "1.2.840.10008.5.1.4.1.1.104.1",
    Path((), 0x00080064): "WSD",  # ConversionType: made at a workstation
    Path((), 0x00420012): "application/pdf",  # MIMETypeOfEncapsulatedDocument
}


def with_document(request: Request) -> Request:
    """Return the request with the attributes that go with a new PDF; the same request where there is none."""
    edits = request.edits
    value = edits.replace.get(_DOCUMENT)
    if not isinstance(value, str) or pdf_of(value) is None:
        return request
    named = set(edits.paths())
    added = {path: text for path, text in _GOES_WITH_IT.items() if path not in named}
    replaced = dataclasses.replace(edits, replace=dict(sorted({**edits.replace, **added}.items())))
    return dataclasses.replace(request, edits=replaced)
