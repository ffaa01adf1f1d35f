"""What tells later whether a result is still the bytes that were found right.

A SHA-256 takes as long as everything else that verifying a result of 512 KiB does. So what verifying notes is an
authentication tag, which takes a twentieth: AES-GMAC (NIST SP 800-38D, 2007) under a key that is drawn for this one
result and stands beside it, ``gmac KEY TAG`` in hex. Who does not know the key cannot make other bytes that have the
tag; who can read it, in the ledger, could as well write another one there. What has a SHA-256 keeps it: a result that
its writer held in memory (an Orthanc's), and those of earlier releases.

Public names: ``evidence_of``, ``is_evidence_of``.
"""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

if TYPE_CHECKING:
    from typing import BinaryIO

_MARK: Final = "gmac"
_KEY_BYTES: Final = 16
_ONLY_NONCE: Final = bytes(12)
"""Each key has one tag only."""
_PIECE_BYTES: Final = 1 << 20


def evidence_of(content: bytes | BinaryIO, like: str = "") -> str:
    """Return the evidence of a result.

    Args:
        content: All its bytes, or its file, which is read from its start.
        like: Evidence that this is to be compared with, and is made in the same way; "" for a new one.

    Raises:
        OSError: It cannot be read.

    """
    mark, _, rest = like.partition(" ")
    if like and mark != _MARK:
        return _sha256_of(content)
    key = bytes.fromhex(rest.partition(" ")[0]) if like else os.urandom(_KEY_BYTES)
    return f"{_MARK} {key.hex()} {_tag_of(content, key).hex()}"


def is_evidence_of(evidence: str, content: bytes | BinaryIO) -> bool:
    """Whether a result is what evidence was made of; raise as ``evidence_of``."""
    return evidence_of(content, evidence) == evidence


def _sha256_of(content: bytes | BinaryIO) -> str:
    if isinstance(content, bytes):
        return sha256(content).hexdigest()
    content.seek(0)
    digest = sha256()
    while piece := content.read(_PIECE_BYTES):
        digest.update(piece)
    return digest.hexdigest()


def _tag_of(content: bytes | BinaryIO, key: bytes) -> bytes:
    if isinstance(content, bytes):
        return AESGCM(key).encrypt(_ONLY_NONCE, b"", content)
    content.seek(0)
    state = Cipher(AES(key), GCM(_ONLY_NONCE)).encryptor()
    while piece := content.read(_PIECE_BYTES):
        state.authenticate_additional_data(piece)
    state.finalize()
    return state.tag
