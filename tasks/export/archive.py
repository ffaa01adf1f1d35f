"""What an export is written into: plain files, or archives whose bytes depend on their content alone.

ZIP files are stored without compression (what a compressor makes depends on its version, and much DICOM is compressed
already), with the time 1980-01-01 00:00 and mode 0644 for every file, in the order of identifiers.

Public names: ``Archive``, ``encrypt_file``, ``seal_file``, ``sealed_path``, ``check_recipients``, ``sha256_of``,
``checksum_lines``.
"""

from __future__ import annotations

import zipfile
from hashlib import sha256
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from deidflow.tasks.core.errors import BadText, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_PIECE_BYTES: Final = 1 << 20
_MOMENT: Final = (1980, 1, 1, 0, 0, 0)
_UNIX: Final = 3
_FILE_MODE: Final = 0o100644 << 16


class Archive:
    """One ZIP file that is being written."""

    def __init__(self, path: Path) -> None:
        """Begin it.

        Args:
            path: Of a file that is not there yet.

        """
        self.path = path
        self._zip = zipfile.ZipFile(path, "x", zipfile.ZIP_STORED)

    def add(self, name: str, content: BinaryIO) -> None:
        """Add a file, read to its end."""
        info = zipfile.ZipInfo(name, _MOMENT)
        info.create_system = _UNIX
        info.external_attr = _FILE_MODE
        with self._zip.open(info, "w", force_zip64=True) as target:
            while piece := content.read(_PIECE_BYTES):
                target.write(piece)

    def close(self) -> None:
        """End it."""
        self._zip.close()


def check_recipients(recipients: Sequence[str]) -> None:
    """Make sure that archives can be encrypted for all recipients.

    Raises:
        BadText: One is no age public key.
        InvalidInput: The library is not installed.

    """
    _keys(recipients)


def _keys(recipients: Sequence[str]) -> list[Any]:
    if not recipients:
        return []
    try:
        import pyrage  # noqa: PLC0415 (an extra)
    except ImportError:
        raise InvalidInput("recipients need the extra age: install deidflow[age]") from None
    keys = []
    for number, text in enumerate(recipients, 1):
        try:
            keys.append(pyrage.x25519.Recipient.from_str(text.strip()))
        except pyrage.RecipientError:
            raise BadText(
                f"number {number} must be an age public key: age1 and 58 more letters and digits (age-keygen makes one)"
            ) from None
    return keys


def sealed_path(path: Path) -> Path:
    """Return the path that a file gets by being encrypted."""
    return path.with_name(f"{path.name}.age")


def encrypt_file(path: Path, recipients: Sequence[str]) -> Path:
    """Encrypt a file for some recipients, and remove it; return the new one, whose name ends with ``.age``.

    Each time the bytes are others, as they must be.
    """
    target = sealed_path(path)
    seal_file(path, target, recipients)
    path.unlink()
    return target


def seal_file(path: Path, target: Path, recipients: Sequence[str]) -> None:
    """Encrypt a file for some recipients into one that is not there yet."""
    import pyrage  # noqa: PLC0415 (an extra)

    with path.open("rb") as plain, target.open("xb") as encrypted:
        pyrage.encrypt_io(plain, encrypted, _keys(recipients))


def sha256_of(file: BinaryIO) -> str:
    """Return the SHA-256 of a file from where it stands, in hex."""
    digest = sha256()
    while piece := file.read(_PIECE_BYTES):
        digest.update(piece)
    return digest.hexdigest()


def checksum_lines(sums: Mapping[str, str]) -> Iterator[str]:
    """Yield lines as ``sha256sum`` writes and checks them, in the order of names.

    Args:
        sums: The SHA-256 in hex of each file, by its name relative to the folder.

    """
    for name in sorted(sums):
        yield f"{sums[name]}  {name}\n"
