"""A run whose folders were moved or named anew: what may differ, and whether it is still the same run.

Public names: ``relocated``, ``override_run``, ``renamed_places``, ``CHANGEABLE``.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from deidflow.tasks.core.config.checks import cross_check
from deidflow.tasks.core.config.config import Config
from deidflow.tasks.core.config.messages import describe
from deidflow.tasks.core.config.overrides import apply_override
from deidflow.tasks.core.engine.result_paths import relative_path
from deidflow.tasks.core.errors import BadText, InvalidInput, Problem
from deidflow.tasks.core.ledger.results import results_there
from deidflow.tasks.core.ledger.source_records import source_files

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deidflow.tasks.core.ledger.ledger import Ledger

CHANGEABLE: Final = ("source.folder", "source.ignore_damaged", "destination.folder", "destination.overwrite", "verify")
"""Keys that ``--set`` may give to a run that exists, besides the groups ``execution`` and ``orthanc``."""

_GROUPS: Final = ("execution.", "orthanc.")
_PLACES: Final = (("source", "folder"), ("destination", "folder"))
_PATHS: Final = (*_PLACES, ("pseudonyms", "key_file"), ("orthanc", "ca_file"), ("report", "runs_dir"), ("manifest",))


def relocated(config: Config, was: str, now: Path) -> Config:
    """Return a config with its paths as they are after they were moved together with the run folder.

    A path that leads nowhere any more is looked for where it lies as seen from the run folder, so that a project's
    folder may be renamed as a whole.

    Args:
        config: Of the run.
        was: Where the run folder was when the run was last worked on.
        now: Where it is.

    """
    here = os.path.abspath(now)  # noqa: PTH100 (as was was made)
    if was == here:
        return config
    data = config.to_json()
    for *groups, key in _PATHS:
        group: Any = data
        for name in groups:
            group = group.get(name) or {}
        path = group.get(key)
        if path and not os.path.exists(path):  # noqa: PTH110 (pathlib raises where the way is barred)
            moved = os.path.normpath(os.path.join(here, os.path.relpath(path, was)))  # noqa: PTH118
            # A destination may not be made yet.
            if os.path.exists(moved) or not os.path.exists(os.path.dirname(path)):  # noqa: PTH110, PTH120
                group[key] = moved
    return Config.from_json(data)


def override_run(config: Config, overrides: Iterable[str]) -> Config:
    """Return the config of a run that exists with what ``--set`` gives.

    Args:
        config: Of the run.
        overrides: ``KEY=VALUE`` of each; paths start at the current folder.

    Raises:
        InvalidInput: A key may not change, or the config is not sound with it.

    """
    data = config.to_json()
    problems = []
    for override in overrides:
        key = override.partition("=")[0].strip()
        if key not in CHANGEABLE and not key.startswith(_GROUPS):
            good = ", ".join((*CHANGEABLE, *(f"{group}*" for group in _GROUPS)))
            problems.append(Problem(f"must be one of {good}: all else is what makes the run", "--set", key=key))
            continue
        try:
            apply_override(data, override)
        except BadText as error:
            problems.append(replace(error.problem, file="--set", key=key))
    for group, key in _PLACES:
        path = (data.get(group) or {}).get(key)
        if isinstance(path, str) and path:
            data[group][key] = os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111
    try:
        Config.model_validate(data)
    except ValidationError as error:
        problems += describe(error)
    problems += cross_check(data)
    if problems:
        raise InvalidInput(problems)
    return Config.from_json(data)


def renamed_places(ledger: Ledger, was: Config, now: Config) -> list[Problem]:
    """Compare the folders of two configs of one run; what differs in name must hold the same.

    Args:
        ledger: Of the run.
        was: Its config so far.
        now: The one to go on with.

    Returns:
        Why a folder is not the same one, as far as presence and size of the files tell.

    """
    problems = []
    old, new = was.source.folder, now.source.folder
    if old is not None and new is not None and old != new and not _holds_sources(ledger, str(new)):
        text = "must hold the files that the run was planned with; name the folder that they were moved to"
        problems.append(Problem(text, key="source.folder"))
    old, new = (config.destination.folder if config.destination else None for config in (was, now))
    if old is not None and new is not None and old != new and not _holds_results(ledger, str(new)):
        text = "must hold the run's results; name the folder that they were moved to"
        problems.append(Problem(text, key="destination.folder"))
    return problems


def _holds_sources(ledger: Ledger, folder: str) -> bool:
    """Whether some of the planned files are there, and each that is there has its size."""
    found = False
    for path, size in source_files(ledger):
        try:
            status = os.stat(os.path.join(os.fsencode(folder), path))  # noqa: PTH116, PTH118 (bytes)
        except OSError:
            continue
        if status.st_size != size:
            return False
        found = True
    return found


def _holds_results(ledger: Ledger, folder: str) -> bool:
    """Whether one of the results is there, or none was made yet."""
    first = True
    for new in results_there(ledger):
        first = False
        if (Path(folder) / relative_path(new)).is_file():
            return True
    return first
