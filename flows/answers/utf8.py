"""Names of files and what is printed are UTF-8, whatever the locale says: a night's task has another than its author.

Python takes the locale's encoding (ISO 8859-1, or ASCII) for names of files, so that a config in UTF-8 names others
than those on the disk. It has a mode that does not, which is chosen before it starts, and which its children inherit.

Public names: ``use_utf8``.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Final

_MODE: Final = "PYTHONUTF8"
_ON: Final = "1"


def use_utf8() -> None:
    """Start this command again where names of files are not UTF-8; let nothing fail since a terminal lacks a letter."""
    # Once only: a Python that was told to pass over its variables (-I) does not know the mode.
    if sys.getfilesystemencoding() != "utf-8" and os.environ.get(_MODE) != _ON:
        os.environ[_MODE] = _ON
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 (the same command, without a shell)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
