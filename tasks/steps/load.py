"""Every problem at once: what is checked before anything is planned, whatever else has been found wrong. No Prefect.

Public names: ``load_checked``, ``check_before_planning``.
"""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.errors import InvalidInput, Problem, Unusable, about
from deidflow.tasks.core.files.plain_files import read_plain_file, trouble_with
from deidflow.tasks.core.ledger.ledger import FILE_NAME, Ledger
from deidflow.tasks.core.manifest.columns import INSTANCES, LEVEL, ORTHANC_ID
from deidflow.tasks.core.manifest.manifest import Manifest
from deidflow.tasks.core.plan.intake import add_rows
from deidflow.tasks.core.request.engine_options import names_by_creator, options_without_effect
from deidflow.tasks.export.package import check_choice
from deidflow.tasks.local.transcoding.codecs import can_write, why_not
from deidflow.tasks.steps.access.choice import named_by, store_of
from deidflow.tasks.steps.access.mounts import lost_mounts
from deidflow.tasks.steps.run.run_folder import new_run_id
from deidflow.tasks.steps.run.settings import check_files, load_key, read_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deidflow.tasks.core.config.config import Config
    from deidflow.tasks.core.pseudonyms.pseudonyms import Key

_REQUEST_KEYS: Final = frozenset(
    {"options", "options.Force", "options.Level", "options.DicomVersion", "operation", "engine", "profile"}
)
"""Where one of these is wrong, what is said of a row's request could be wrong as well."""
_OWN_COLUMNS: Final = frozenset({ORTHANC_ID, LEVEL, INSTANCES, ""})
"""What is wrong in these, or with a row as a whole, has nothing to do with its request."""

_MAX_LEDGER_NAME_BYTES: Final = 511
"""MAX_PATHNAME of SQLite on Unix, with what it puts behind the name, less the byte that ends it."""


def load_checked(path: Path, overrides: tuple[str, ...] = (), **places: Path | None) -> Config:
    """Read a config; one that is wrong is checked against files, key, manifest and destination all the same.

    Args:
        path: As ``deidflow.tasks.steps.run.settings.read_config``, like the others.
        overrides: Of ``--set``.
        places: ``manifest`` and ``runs_dir``.

    Raises:
        InvalidInput: With every problem of the config, and of what it names.

    """
    config, found = read_config(path, overrides, **places)
    if config is not None and not found:
        return config
    if config is not None:
        wrong, said = {problem.key for problem in found}, {problem.text for problem in found}
        more = _problems(config)[0]
        of_rows = _manifest_problems(config, with_rows=True)
        more += [p for p in of_rows if wrong.isdisjoint(_REQUEST_KEYS) or p.line <= 1 or p.column in _OWN_COLUMNS]
        _, store = named_by(config)
        if store is not None and (trouble := store.own_trouble()) is not None:
            more.append(trouble)
        # Each row takes over what is wrong in the config's lists; once is enough.
        found += [p for p in more if (p.key not in wrong if p.key else p.column or p.text not in said)]
    raise InvalidInput(found)


def check_before_planning(config: Config, *, skip_invalid: bool) -> Key | None:
    """Check everything that can be checked without reading the source; return the configured key, None without one.

    Args:
        config: Checked by itself.
        skip_invalid: Whether problems of rows are no hindrance.

    Raises:
        InvalidInput: With every problem of files, key, options, manifest and destination.
        Unusable: The destination cannot be used, and that is all.
        TransientError: Likewise, for now.

    """
    problems, key = _problems(config)
    lost = lost_mounts(config)
    if "source.folder" in lost:
        problems.append(Problem(lost["source.folder"], key="source.folder"))
    store = store_of(config)
    trouble = store.trouble() or (Unusable(lost[store.key]) if store.key in lost else None)
    if not problems and trouble is None:
        return key
    problems += _manifest_problems(config, with_rows=not skip_invalid)
    if not problems and trouble is not None:
        raise about(store.key, trouble)  # the source may be an Orthanc, too
    if trouble is not None:
        problems.append(Problem(str(trouble), key=store.key))
    raise InvalidInput(problems)


def _problems(config: Config) -> tuple[list[Problem], Key | None]:
    problems = [*check_files(config), *_option_problems(config)]
    if (text := _in_the_way(config.report.runs_dir)) or (text := _too_long(config)):
        problems.append(Problem(text, key="report.runs_dir"))
    if config.export is not None:
        problems += [replace(one, key=f"export.{one.key}") for one in check_choice(config.export_choice)]
        if text := _in_the_way(config.export.folder):
            problems.append(Problem(text, key="export.folder"))
    if config.execution.runner == "dask" and config.engine == "orthanc":
        problems.append(
            Problem("must be left out with engine orthanc, where the server does the work", key="execution.runner")
        )
    key = None
    try:
        key = load_key(config)
    except InvalidInput as error:
        problems += error.problems
    problems += dict.fromkeys(problem for place in named_by(config) if place for problem in place.problems())
    return problems, key


def _option_problems(config: Config) -> Iterator[Problem]:
    """Yield the options that the engine cannot do, or passes over."""
    settings = config.defaults.settings
    for name, text in options_without_effect(settings, on_server=config.engine == "orthanc"):
        yield Problem(text, key=f"options.{name}")
    if config.engine == "orthanc":
        for name, text in names_by_creator(config.defaults.edits):
            yield Problem(text, key=f"options.{name}")
    if config.engine == "local" and settings.transcode and not can_write(settings.transcode):
        yield Problem(why_not(settings.transcode), key="options.Transcode")


def _manifest_problems(config: Config, *, with_rows: bool) -> list[Problem]:
    """Return what is wrong with the manifest by itself; that it is not there is another check's to say."""
    try:
        content, _ = read_plain_file(config.manifest)
    except OSError:
        return []
    try:
        manifest = Manifest(content, config.defaults, str(config.manifest))
        with Ledger.prepare() as ledger:
            found = add_rows(ledger, manifest)
    except InvalidInput as error:
        return list(error.problems)
    return found if with_rows else []


def _too_long(config: Config) -> str:
    """Say that the name of the folder of runs leaves no room for that of a ledger in it, "" where it does."""
    longest = config.report.runs_dir / new_run_id(config.name) / f"{FILE_NAME}-journal"
    over = len(os.fsencode(longest)) - _MAX_LEDGER_NAME_BYTES
    text = f"must be a folder with a shorter path, by {over} bytes: the database of a run in it has at most"
    return f"{text} {_MAX_LEDGER_NAME_BYTES} bytes for its own" if over > 0 else ""


def _in_the_way(folder: Path) -> str:
    """Say what stands in the place of a folder that is to be made, or of one above it, "" for nothing."""
    try:
        place = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
        return "" if stat.S_ISDIR(os.stat(place).st_mode) else f"must be a folder: {place}"  # noqa: PTH116 (likewise)
    except OSError as error:
        return trouble_with(folder, error)
