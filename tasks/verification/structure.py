"""Whether a result is a whole file: read from its preamble to its last byte by the verifier's own reader.

What the source itself lacks is not held against its result.

Public names: ``check_structure``, ``content_hash``.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode

if TYPE_CHECKING:
    from typing import BinaryIO

    from deidflow.tasks.verification.reader import Read

_PIECE_BYTES: Final = 1 << 20


def content_hash(file: BinaryIO) -> str:
    """Return the SHA-256 of a whole file in hex."""
    file.seek(0)
    digest = sha256()
    while data := file.read(_PIECE_BYTES):
        digest.update(data)
    return digest.hexdigest()


def check_structure(result: Read, source: Read) -> None:
    """Look at what reading a result to its end came to.

    Raises:
        InstanceFailed: ``result-differs``: it is cut off, has bytes behind its last element, or cannot be read to its
            end, and nothing of the same kind is wrong with its source.

    """
    if result.fault and result.fault != source.fault:
        raise InstanceFailed(ReasonCode.RESULT_DIFFERS, f"the result {result.fault}")
