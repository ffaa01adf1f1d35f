"""Data URIs in ``Replace``: bytes, or a document or an image that a route makes attributes of.

Source: the bulk routes of Orthanc (1.10.1, 1.12.7 and 1.13.0, measured). ``application/octet-stream`` stands for the
bytes of any element; other types are text, but for PixelData and EncapsulatedDocument at the top level.

Public names: ``EmbeddedContent``, ``parse_embedded``, ``pdf_of``, ``PDF``, ``OCTETS``, ``IMAGES``.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final, NamedTuple

PDF: Final = "application/pdf"
OCTETS: Final = "application/octet-stream"
IMAGES: Final = ("image/png", "image/jpeg")
"""What an Orthanc decodes into pixels, with the attributes that describe them."""

_PDF_SIGNATURE: Final = b"%PDF-"
_DATA_URI: Final = re.compile(r"data:([^;,]*);base64,(.*)", re.DOTALL)


class EmbeddedContent(NamedTuple):
    """A data URI.

    Attributes:
        mime: Its type in small letters, ``application/pdf``.
        content: Decoded, None where that is impossible.

    """

    mime: str
    content: bytes | None


def parse_embedded(text: str) -> EmbeddedContent | None:
    """Read a data URI of any type, None for other text."""
    match = _DATA_URI.fullmatch(text)
    if match is None:
        return None
    encoded = match[2]
    try:
        # Padding may be missing, as for Orthanc.
        content = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return EmbeddedContent(match[1].lower(), None)
    return EmbeddedContent(match[1].lower(), content)


def pdf_of(text: str) -> bytes | None:
    """Return the document of a data URI that holds a PDF, None for anything else."""
    embedded = parse_embedded(text)
    if embedded is None or embedded.mime != PDF or embedded.content is None:
        return None
    return embedded.content if embedded.content.startswith(_PDF_SIGNATURE) else None
