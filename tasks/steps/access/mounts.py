"""Folders of a config that lay on a share when a run used them last, and are empty where nothing is mounted any more.

Emptiness alone says nothing: a site may take both sources and results away every night. So does another place alone: a
project may have moved to another disk, with all it holds.

Public names: ``mounts_of``, ``lost_mount``, ``is_as_mounted``, ``lost_mounts``, ``empty_source``.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from deidflow.tasks.core.files.mounts import is_empty, mount_of
from deidflow.tasks.core.ledger.ledger import FILE_NAME
from deidflow.tasks.core.ledger.run_facts import glance_at_mounts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from deidflow.tasks.core.config.config import Config


def mounts_of(config: Config) -> dict[str, str]:
    """Return where the folders of a config are mounted now, by their paths."""
    return {str(folder): mount_of(folder) for _, folder in _folders(config)}


def lost_mount(folder: Path, mounts: Mapping[str, str]) -> str:
    """Say that a folder is not mounted as it was, "" where it is, or holds something all the same.

    Args:
        folder: Of a config.
        mounts: What ``mounts_of`` returned for a run that used it.

    """
    was = mounts.get(str(folder))
    if was is None or not is_empty(folder) or os.path.ismount(was):
        return ""
    text = f"must be mounted: {folder} holds nothing, and nothing is mounted at {was} any more"
    return f"{text}, where an earlier run used it (if it has moved to this disk for good, put any file into it)"


def is_as_mounted(folder: Path, mounts: Mapping[str, str]) -> bool:
    """Whether a folder holds anything, and is mounted where a run found it.

    Args:
        folder: Of a config.
        mounts: What ``mounts_of`` returned for the run.

    """
    return mounts.get(str(folder)) == mount_of(folder) and not is_empty(folder)


def lost_mounts(config: Config) -> dict[str, str]:
    """Say the same of the folders of a config, by their keys, as the last run in ``report.runs_dir`` found each."""
    lost = {}
    for key, folder in _folders(config):
        if is_empty(folder):  # which is rare, and ledgers may be many
            noted = (mounts for mounts in _noted(config.report.runs_dir) if str(folder) in mounts)
            if text := lost_mount(folder, next(noted, {})):
                lost[key] = f"{text}; mount it, or name another folder"
    return lost


def empty_source(config: Config) -> str:
    """Say that the source folder holds nothing at all, "" where it does, or what is done of it is deleted anyway."""
    folder = config.source.folder
    if folder is None or not config.defaults.settings.keep_source or not is_empty(folder):
        return ""
    return f"source.folder is empty: {folder}; if it is a share, see whether it is mounted"


def _folders(config: Config) -> Iterator[tuple[str, Path]]:
    if config.source.folder is not None:
        yield "source.folder", config.source.folder
    if config.destination is not None and config.destination.folder is not None:
        yield "destination.folder", config.destination.folder


def _noted(runs_dir: Path) -> Iterator[Mapping[str, str]]:
    """Yield what runs noted of their folders, the last one first."""
    found = []
    with contextlib.suppress(OSError):
        found = sorted(runs_dir.glob(f"*/{FILE_NAME}"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found:
        yield glance_at_mounts(path)
