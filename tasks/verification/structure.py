"""Whether a result is a whole file: read from its preamble to its last byte by the verifier's own reader.

What the source itself lacks is not held against its result.

Public names: ``check_structure``, ``content_hash``, ``is_what_was_read``.
"""

from __future__ import annotations

import os
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import PIXEL_DATA
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.files.excerpts import HEAD_BYTES, TAIL_BYTES, excerpt, is_excerpt
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.verification.reader import read_dicom

if TYPE_CHECKING:
    from typing import BinaryIO

    from deidflow.tasks.core.engine.protocol import PlannedInstance
    from deidflow.tasks.core.files.opened import OpenedFile
    from deidflow.tasks.verification.reader import Read

_PIECE_BYTES: Final = 1 << 20


def content_hash(file: BinaryIO) -> str:
    """Return the SHA-256 of a whole file in hex."""
    file.seek(0)
    digest = sha256()
    while data := file.read(_PIECE_BYTES):
        digest.update(data)
    return digest.hexdigest()


def is_what_was_read(source: OpenedFile, planned: PlannedInstance, content: str) -> bool:
    """Whether a source is what its result was made from: by size and time, or else, after a copy, by its content.

    An excerpt tells it where nothing but pixels is outside of that, which are compared with the result's.

    Args:
        source: Its stream is left at its start; what came from an Orthanc, which changes no instance in place, is in
            memory.
        planned: Says what the file was like.
        content: Its SHA-256 when it was edited, or that of an excerpt, "" when that was not noted.

    """
    if source.is_in_memory or (source.size, source.mtime_ns) == (planned.size, planned.mtime_ns):
        return True
    stream = source.stream()
    if is_excerpt(content):
        head = _read(stream, HEAD_BYTES, 0)
        is_same = excerpt(head, partial(_read, stream), source.size) == content and _only_pixels_are_outside(stream)
    else:
        is_same = bool(content) and content_hash(stream) == content
    stream.seek(0)
    return is_same


def _read(source: BinaryIO, length: int, start: int) -> bytes:
    source.seek(start)
    return source.read(length)


def _only_pixels_are_outside(source: BinaryIO) -> bool:
    """Whether what an excerpt of a file leaves out is within the value of its pixel data."""
    size = os.fstat(source.fileno()).st_size
    if size <= HEAD_BYTES + TAIL_BYTES:
        return True
    source.seek(0)
    read = read_dicom(source)
    return (
        read.is_whole
        and read.size == size  # not inflated
        and any(
            tag == PIXEL_DATA and items is None and start <= HEAD_BYTES and end >= size - TAIL_BYTES
            for tag, _, start, end, items in read.elements
        )
    )


def check_structure(result: Read, source: Read) -> None:
    """Look at what reading a result to its end came to.

    Raises:
        InstanceFailed: ``result-differs``: it is cut off, has bytes behind its last element, or cannot be read to its
            end, and nothing of the same kind is wrong with its source.

    """
    if result.fault and result.fault != source.fault:
        raise InstanceFailed(ReasonCode.RESULT_DIFFERS, f"the result {result.fault}")
