"""The folder of a run on the disk: its name, and how it is made, checked and cleared.

Public names: ``new_run_id``, ``check_run_id``, ``is_run_id``, ``may_be_of``, ``make_folder``, ``require_own_folder``,
``no_run_folder``, ``unwritable``, ``clear_leftovers``.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.errors import InvalidInput, Problem, Unusable, os_error_text, remedy_of
from deidflow.tasks.core.files.private_files import replace_file, sync_folder

if TYPE_CHECKING:
    from pathlib import Path

SCRATCH_PREFIX: Final = "scratch-"
_RUN_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MADE: Final = re.compile(r"(.+)-\d{8}T\d{6}Z-[0-9a-f]{4}")
_LONGEST_NAME: Final = 42
"""Of a config, as far as it stands in a run ID that is made of it."""


def new_run_id(name: str) -> str:
    """Return ``<name>-<UTC yyyymmddThhmmssZ>-<4 hex>``, at most 64 characters."""
    suffix = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ") + "-" + secrets.token_hex(2)
    return f"{name[:_LONGEST_NAME]}-{suffix}"


def is_run_id(text: str) -> bool:
    """Whether a folder of this name may be that of a run."""
    return bool(_RUN_ID.fullmatch(text))


def may_be_of(name: str, run_id: str) -> bool:
    """Whether a run that cannot be read may be one of a config, by its ID: ``ct-chest-...`` is none of ``ct``."""
    if made := _MADE.fullmatch(run_id):
        return made[1] == name[:_LONGEST_NAME]
    return run_id.startswith(f"{name}-")


def check_run_id(run_id: str) -> None:
    """Refuse what is no run ID.

    Raises:
        InvalidInput: It has other characters than letters, digits, ``-`` and ``_``, or more than 64.

    """
    if not is_run_id(run_id):
        raise InvalidInput([Problem("a run ID must be 1 to 64 letters, digits, - and _", "--run-id")])


def no_run_folder(folder: Path) -> str:
    """Say that there is no run where somebody looked for one."""
    what = "must be a run folder" if folder.is_dir() else "not found"
    return f"{what}: {folder}; name the folder that `deidflow run` printed"


def require_own_folder(folder: Path) -> None:
    """Refuse a run folder that is a link, or holds one: what it leads to is not the run's to read, write or lock.

    Args:
        folder: Of a run; it need not be there.

    Raises:
        InvalidInput: It is a link or something else than a folder, or holds a link.
        Unusable: It cannot be looked into.

    """
    if folder.is_symlink():
        raise InvalidInput(f"a run folder must be a folder of its own, not a link: {folder}")
    try:
        with os.scandir(folder) as entries:
            links = [entry.name for entry in entries if entry.is_symlink()]
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise InvalidInput(f"must be a folder: {folder}") from None
    except OSError as error:
        raise Unusable(f"the run folder {folder} cannot be read: {os_error_text(error)}", error) from None
    if links:
        raise InvalidInput(f"a run folder must hold files of its own, not links: {folder / min(links)}")


def make_folder(folder: Path) -> None:
    """Make a run folder, readable for its owner only, and its parent, unless they are there.

    Raises:
        InvalidInput: A link stands there.
        Unusable: They cannot be made.

    """
    require_own_folder(folder)
    try:
        _make_runs_dir(folder.parent)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        folder.chmod(0o700)
        sync_folder(folder.parent)
    except OSError as error:
        raise Unusable(unwritable(folder, error), error) from None


def unwritable(folder: Path, error: OSError) -> str:
    """Say that a run folder cannot be written, and what to do."""
    remedy = f"{remedy_of(error, 'make room')}, or choose --runs-dir"
    return f"the run folder {folder} cannot be written: {os_error_text(error)}; {remedy}"


def _make_runs_dir(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ignore = folder / ".gitignore"
    if not os.path.lexists(ignore):  # a link would have the file made where somebody else wants it
        with replace_file(ignore) as stream:
            stream.write("# Run folders re-identify people: they stay out of repositories.\n*\n")


def clear_leftovers(folder: Path) -> None:
    """Remove what a killed process left half-written in a run folder; only the holder of its lock calls this.

    Raises:
        Unusable: The folder cannot be written.

    """
    try:
        for pattern in (".*.part", "*.tmp", f"{SCRATCH_PREFIX}*"):
            for path in folder.glob(pattern):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
    except OSError as error:
        raise Unusable(unwritable(folder, error), error) from None
