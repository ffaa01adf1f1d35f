"""Generated identifiers, derived from a secret key: the same original always gets the same new one.

No table is kept, so chunks, workers, machines and resumed runs agree by themselves, and whoever lacks the key can
neither recompute nor reverse the mapping. The format is fixed for all releases of one major version (golden values in
the tests).

Public names: ``Key``, ``Kind``, ``Pseudonyms``, ``new_key``, ``is_key_itself``, ``length_prefixed``.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from enum import StrEnum
from functools import lru_cache, partial
from hashlib import sha256
from typing import Final
from uuid import UUID

from deidflow.tasks.core.errors import BadText

FORMAT: Final = "deidflow/1"
MIN_KEY_BYTES: Final = 32
_FIELD_LENGTH_BYTES: Final = 8

HOW_TO_MAKE_A_KEY: Final = "make a key with: openssl rand -hex 32"
WHAT_TO_DO_WITHOUT_A_KEY: Final = (
    "put back the key of earlier runs, since another one gives every patient another pseudonym; where there were none, "
    f"{HOW_TO_MAKE_A_KEY}"
)


class Kind(StrEnum):
    """What an original value is. All UIDs are of one kind, so that a reference by any attribute follows its target."""

    PATIENT = "patient"
    UID = "uid"


class Key:
    """The secret; its text never shows in ``repr``, logs or exceptions."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        """Take at least 32 bytes.

        Raises:
            BadText: It is shorter.

        """
        if len(secret) < MIN_KEY_BYTES:
            message = f"the key must have at least {MIN_KEY_BYTES} bytes; {HOW_TO_MAKE_A_KEY}"
            raise BadText(message)
        self._secret = secret

    @classmethod
    def parse(cls, text: str) -> Key:
        """Read a key written in hex or base64.

        Raises:
            BadText: It is neither, shorter than 32 bytes, or nothing but zeros.

        """
        stripped = "".join(text.split())
        for decode in (bytes.fromhex, partial(base64.b64decode, validate=True)):
            try:
                secret = decode(stripped)
            except ValueError:
                continue
            if not any(secret):  # what reading from the wrong device gives
                message = f"the key must be random bytes, not zeros; {HOW_TO_MAKE_A_KEY}"
                raise BadText(message)
            return cls(secret)
        message = f"the key must be hex or base64; {HOW_TO_MAKE_A_KEY}"
        raise BadText(message)

    def __repr__(self) -> str:
        """Name the fingerprint only."""
        return f"Key({self.fingerprint})"

    def __reduce__(self) -> tuple[type[Key], tuple[bytes]]:
        """Travel to worker processes of the same run."""
        return Key, (self._secret,)

    @property
    def fingerprint(self) -> str:
        """Eight hex digits that tell two keys apart and reveal neither."""
        return hmac.new(self._secret, b"deidflow fingerprint", sha256).hexdigest()[:8]

    def hmac(self, message: bytes) -> hmac.HMAC:
        """Return HMAC-SHA-256 over the message, ready for more."""
        return hmac.new(self._secret, message, sha256)


def new_key() -> str:
    """Return 32 fresh random bytes in hex."""
    return secrets.token_hex(MIN_KEY_BYTES)


def is_key_itself(text: str) -> bool:
    """Whether a text is a key, never to be shown: people write it where the name of its variable or file belongs."""
    try:
        Key.parse(text)
    except BadText:
        return False
    return True


def length_prefixed(*texts: str) -> bytes:
    """Return fields of a message to be keyed: of each its length in bytes (8 bytes, big endian), and it in UTF-8."""
    fields = (text.encode("utf-8", "surrogateescape") for text in texts)
    return b"".join(len(field).to_bytes(_FIELD_LENGTH_BYTES, "big") + field for field in fields)


class Pseudonyms:
    """Generator of new identifiers for one key, scope and, for modify, set of options.

    Every field is preceded by its length, so that no two field lists give one message.
    """

    def __init__(self, key: Key, scope: str, options: str | None = None) -> None:
        """Prepare the part of the message that all values share.

        Args:
            key: The secret.
            scope: Name of the project; pseudonyms of different scopes cannot be joined.
            options: Hash of the row's effective options for modify (an edited copy is another object), None for
                anonymize.

        """
        self._tail = b"" if options is None else length_prefixed(options)
        self._prefix = {kind: key.hmac(length_prefixed(FORMAT, scope, kind)) for kind in Kind}
        self.uid = lru_cache(maxsize=65536)(self._uid)
        self.patient_id = lru_cache(maxsize=4096)(self._patient_id)

    def _number(self, kind: Kind, original: str) -> int:
        mac = self._prefix[kind].copy()
        mac.update(length_prefixed(original) + self._tail)
        number = int.from_bytes(mac.digest()[:16], "big")
        # RFC 9562 section 5.8: version 8, variant 0b10.
        number = number & ~(0xF << 76) | 0x8 << 76
        return number & ~(0x3 << 62) | 0x2 << 62

    def _uid(self, original: str) -> str:
        return f"2.25.{self._number(Kind.UID, original)}"

    def _patient_id(self, original: str) -> str:
        return str(UUID(int=self._number(Kind.PATIENT, original)))
