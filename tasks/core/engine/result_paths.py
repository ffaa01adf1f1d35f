"""Where a result stands in a destination folder: its name follows from its identifiers alone.

``PatientID/StudyInstanceUID/SeriesInstanceUID/SOPInstanceUID.dcm``, each part written so that it is safe on any file
system.

Public names: ``relative_path``, ``open_result``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from deidflow.tasks.core.errors import InstanceFailed, os_error_text
from deidflow.tasks.core.files.beneath import KeptFolder, open_plain_file
from deidflow.tasks.core.files.plain_files import NotPlainError
from deidflow.tasks.core.outcomes import ReasonCode

if TYPE_CHECKING:
    from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers
    from deidflow.tasks.core.files.opened import OpenedFile

_MAX_NAME_BYTES: Final = 200
_SAFE_AS_IT_IS: Final = re.compile(r"[\w^-](?:[\w^ .-]{0,198}[\w^-])?", re.ASCII)
"""Nearly all identifiers, told in a fraction of the time that quoting takes."""


def relative_path(new: DicomIdentifiers) -> str:
    """Return the name of a result within the destination.

    Letters, digits and ``-_. ^`` stand for themselves, all else as ``%XX`` of its UTF-8 bytes; so do dots and blanks at
    either end; an empty name is ``%``; a very long one is shortened with a hash.
    """
    *folders, instance = new
    return f"{_folder(*folders)}/{_safe_name(instance)}.dcm"


@lru_cache(maxsize=4096)
def _folder(patient_id: str, study: str, series: str) -> str:
    """Return the folder of a series, for which its instances ask one after the other, or in any order (a crosswalk)."""
    return "/".join(map(_safe_name, (patient_id, study, series)))


def _safe_name(text: str) -> str:
    if _SAFE_AS_IT_IS.fullmatch(text):
        return text
    name = quote(text, safe=" ^", errors="surrogateescape").replace("~", "%7E")
    if not name:
        return "%"
    if name[0] in ". ":
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if name[-1] in ". ":
        name = f"{name[:-1]}%{ord(name[-1]):02X}"
    if len(name) > _MAX_NAME_BYTES:
        # No name but a shortened one holds a tilde, so that a shorter identifier cannot have the same name.
        name = f"{name[:100]}~{sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()}"
    return name


def open_result(destination: str, new: DicomIdentifiers, kept: KeptFolder | None = None) -> OpenedFile:
    """Open a result for reading; no link below the destination is followed.

    Args:
        destination: The folder.
        new: Identifiers of the result.
        kept: Of the destination, where results are read one after the other.

    Raises:
        InstanceFailed: ``result-missing`` where it is not there, ``result-differs`` where something else is or it
            cannot be read.

    """
    if kept is not None:
        return _open(kept, new)
    with KeptFolder(destination) as folder:
        return _open(folder, new)


def _open(kept: KeptFolder, new: DicomIdentifiers) -> OpenedFile:
    above, _, name = relative_path(new).encode().rpartition(b"/")
    try:
        return open_plain_file(kept.descriptor(above), name)
    except NotPlainError:
        text = "a link or something else that is no plain file stands where the result belongs, or on the way to it"
        raise InstanceFailed(ReasonCode.RESULT_DIFFERS, text) from None
    except FileNotFoundError:
        raise InstanceFailed(ReasonCode.RESULT_MISSING, "the result is not in the destination") from None
    except OSError as error:
        text = f"the result cannot be read: {os_error_text(error)}"
        raise InstanceFailed(ReasonCode.RESULT_DIFFERS, text) from None
