"""One deidflow at a time per run folder and per destination.

The lock is on the folder itself and is held by the process, so that it leaves no file behind and ends with the process,
however that dies.

Public names: ``lock_folder``.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from tasks.core.errors import Unusable, os_error_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def lock_folder(folder: Path, what: str) -> Iterator[None]:
    """Hold a folder for this process alone.

    Args:
        folder: It exists.
        what: Names it in the error, for example ``the destination``.

    Raises:
        Unusable: Another process holds it, or it cannot be opened.

    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        message = f"{what} {folder} cannot be opened: {os_error_text(error)}"
        raise Unusable(message) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"{what} {folder} is in use by another deidflow run; wait until it has ended"
            raise Unusable(message) from None
        except OSError as error:
            message = f"{what} {folder} cannot be locked: {os_error_text(error)}"
            raise Unusable(message) from None
        yield
    finally:
        os.close(descriptor)
