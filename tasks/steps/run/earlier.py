"""The runs before this one: a state file beside the run folders, which is brought up to date before each plan.

Nothing writes to it when a run ends: what has changed is found by the ledgers' own sizes and times, so that a run that
was killed at any moment, resumed, verified or withdrawn is known as it is.

Public names: ``earlier_runs``, ``synced_state``, ``state_path``, ``hold_config``, ``where_of``, ``changed_basis``.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from deidflow.tasks.core.config.pixel_rules.sources import of_the_site
from deidflow.tasks.core.errors import DeidflowError, InvalidInput, Problem, Unusable, os_error_text
from deidflow.tasks.core.files.locks import lock_beside, patience
from deidflow.tasks.core.ledger.ledger import FILE_NAME, Ledger, may_have_ledger
from deidflow.tasks.core.ledger.state.before import Before
from deidflow.tasks.core.ledger.state.loading import load_run, note_run, peek
from deidflow.tasks.core.ledger.state.state import RunPlace, State
from deidflow.tasks.core.pseudonyms.pseudonyms import HOW_TO_MAKE_A_KEY
from deidflow.tasks.core.request.request import Operation
from deidflow.tasks.steps.access.choice import store_of
from deidflow.tasks.steps.access.other_addresses import find_under_other_addresses, in_one_folder
from deidflow.tasks.steps.run.identity import run_identity
from deidflow.tasks.steps.run.run_folder import may_be_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from deidflow.tasks.core.config.config import Config
    from deidflow.tasks.core.files.locks import Waits
    from deidflow.tasks.core.ledger.state.loading import LedgerFacts

_NOT_BASIS: Final = frozenset(
    {"operation", "engine", "source", "destination", "options", "manifest", "pseudonyms.scope"}
) | {"deidflow's major version"}
"""Keys of a run's identity that stand elsewhere: in its place, or in the options of its rows."""
_KEY: Final = "pseudonyms (the key)"
_STATE_SUFFIX: Final = ".state.db"
_WITHOUT_IT: Final = (
    ". To go on without that run, move its folder out of report.runs_dir; its results stay where they are, and those "
    "of which nothing else is known are made again"
)


def state_path(config: Config) -> Path:
    """Return where the state of a config's runs is."""
    return config.report.runs_dir / f"{config.name}{_STATE_SUFFIX}"


@contextlib.contextmanager
def hold_config(config: Config, waits: Waits | None = None) -> Iterator[None]:
    """Hold an incremental config for this process alone: two of its runs at a time would do the same twice.

    Args:
        config: Of the run.
        waits: Whether to try again while another run holds it; None for what the config says.

    Raises:
        Unusable: Another run of it is under way.

    """
    if not config.incremental:
        yield
        return
    config.report.runs_dir.mkdir(parents=True, exist_ok=True)
    if waits is None:
        waits = patience(config.execution.lock_wait_seconds or 0, threading.Event())
    with lock_beside(config.report.runs_dir / f".{config.name}.lock", f"the config {config.name}", waits):
        yield


@contextlib.contextmanager
def earlier_runs(
    config: Config, fingerprint: str, *, exclude: str = "", redo: bool = False, keeps: bool = True
) -> Iterator[Before | None]:
    """Give the runs before a run of a config, None when there are none at its place.

    Args:
        config: Of the run that is planned.
        fingerprint: Of its key.
        exclude: Its ID, if it is planned already.
        redo: Whether rows whose options have changed are done again.
        keeps: Whether the state file may be written; otherwise a private copy is, and thrown away.

    Raises:
        InvalidInput: A run folder was written by another version of deidflow, and is not known yet.
        Unusable: An earlier run is under way, or the state cannot be read or written, or the server cannot be asked.

    """
    where = where_of(config, fingerprint)
    with synced_state(config, where, exclude=exclude, keeps=keeps) as state:
        if state is None:
            yield None
            return
        find_under_other_addresses(state, config, where)
        at_place = [run for run in state.runs().values() if run.where.place == where.place and run.run_id != exclude]
        path = state.path
        unsettled = [run.run_id for run in at_place if run.is_unsettled and run.is_loaded]
        if config.incremental and unsettled:
            text = f"the run {unsettled[-1]} was interrupted, and the Orthanc may hold results of it; finish it first: "
            raise InvalidInput(f"{text}deidflow resume {config.report.runs_dir / unsettled[-1]}")
        state.close()  # the planner's connection reads it now
        overwrites = config.destination is not None and config.destination.overwrite
        yield Before(path, where, exclude, config.incremental, redo, overwrites) if at_place else None


@contextlib.contextmanager
def synced_state(
    config: Config, where: RunPlace, *, exclude: str = "", keeps: bool = True, strict: bool = False
) -> Iterator[State | None]:
    """Give the state of a config's runs, brought up to date; None when there never were any runs.

    Args:
        config: Whose runs are wanted.
        where: They put their results.
        exclude: ID of a run that this process works on.
        keeps: Whether the state file may be written; otherwise a private copy is, and thrown away.
        strict: Whether a run of the config that cannot be read is an error, as it is for an incremental config.

    Raises:
        InvalidInput: A run folder was written by another version of deidflow, and is not known yet, is damaged, or may
            not be read.
        Unusable: An earlier run is under way, or the state cannot be read or written.

    """
    folders = [folder for folder in _run_folders(config.report.runs_dir) if folder.name != exclude]
    path = state_path(config)
    if not folders and not path.exists():
        yield None
        return
    scratch = None
    with contextlib.ExitStack() as held:
        if not keeps:
            scratch = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="deidflow-")))
            if path.exists():
                shutil.copyfile(path, scratch / path.name)
            path = scratch / path.name
        state = held.enter_context(State(path))
        with state.transaction():
            _Sync(state, where, exclude, scratch, strict=strict or config.incremental).all(folders)
        yield state


def _copied(folder: Path, scratch: Path) -> Path:
    """Copy a ledger, with the times that tell whether it has changed: opening one writes to it."""
    copy = scratch / folder.name
    copy.mkdir()
    for name in (FILE_NAME, f"{FILE_NAME}-wal"):
        with contextlib.suppress(FileNotFoundError):
            shutil.copy2(folder / name, copy / name)
    return copy


def _run_folders(runs_dir: Path) -> list[Path]:
    """Return the folders that have a ledger, or may have one: not every user may look into those of others.

    Raises:
        Unusable: The folder of the runs cannot be read.

    """
    try:
        return sorted(folder for folder in runs_dir.iterdir() if folder.is_dir() and may_have_ledger(folder))
    except FileNotFoundError:
        return []
    except OSError as error:
        text = f"{runs_dir} cannot be read: {os_error_text(error)}"
        raise Unusable(f"{text}; give this user the right to read it, or name another report.runs_dir") from None


class _Sync:
    """Brings a state up to date; what cannot be read now, or any more, matters to an incremental run only."""

    def __init__(self, state: State, where: RunPlace, exclude: str, scratch: Path | None, *, strict: bool) -> None:
        self._state = state
        self._where = where
        self._exclude = exclude
        self._scratch = scratch
        self._strict = strict

    def all(self, folders: list[Path]) -> None:
        """Read the ledgers that have changed."""
        for one in self._state.runs().values():
            if in_one_folder(one.where, self._where):
                self._state.move(one.number, self._where.place)
        known = self._state.runs()
        for gone in known.keys() - {folder.name for folder in folders} - {self._exclude}:
            if not known[gone].is_loaded:  # what it delivered is true without its folder, too
                self._state.forget(gone)
        for folder in folders:
            run = known.get(folder.name)
            is_known = run is not None and run.stamp == _stamp(folder)
            if run is None or not is_known or not (run.is_loaded or not self._wants(run.where)):
                self._read(folder)

    def _wants(self, its: RunPlace) -> bool:
        return its.name == self._where.name or its.place == self._where.place

    def _read(self, original: Path) -> None:
        may_be_own = self._strict and may_be_of(self._where.name, original.name)
        try:
            _require_readable(original / FILE_NAME)
            folder = original if self._scratch is None else _copied(original, self._scratch)
            facts = peek(folder / FILE_NAME, original / FILE_NAME)
        except InvalidInput:
            if may_be_own:
                raise
            return
        if facts is None:
            if may_be_own:
                raise Unusable(f"{original}: another deidflow is working on this run; wait until it has ended")
            return  # somebody else's, and under way
        where = _where(facts)
        if in_one_folder(where, self._where):
            where = where._replace(place=self._where.place)
        if self._wants(where):
            try:
                self._load(folder, original, facts, where)
            except InvalidInput as error:
                if self._strict:
                    raise InvalidInput(f"{error}{_WITHOUT_IT}") from None
            except DeidflowError:
                if self._strict:
                    raise
            else:
                return
        note_run(self._state, folder.name, _stamp(folder), where, facts.created)

    def _load(self, folder: Path, original: Path, facts: LedgerFacts, where: RunPlace) -> None:
        with Ledger.open(folder / FILE_NAME, original / FILE_NAME) as ledger:
            number = note_run(self._state, folder.name, "", where, facts.created)
            load_run(self._state, ledger, number, where, str(facts.config.get("verify", "full")))
        # Opening a ledger changes its time.
        self._state.stamp(number, _stamp(folder))


def _require_readable(ledger: Path) -> None:
    """Find out whether this user may read a ledger: SQLite does not say why it cannot.

    It is not opened for that: to close it would drop the locks that this process may hold on it, for a run in another
    thread, and let other processes in.

    Raises:
        InvalidInput: It cannot be read.

    """
    try:
        ledger.stat()
        if not os.access(ledger, os.R_OK):
            raise PermissionError(errno.EACCES, "")
    except OSError as error:
        text = f"{ledger} cannot be read: {os_error_text(error)}; what this run has done is not known"
        what = "work as the user who ran it, give its folder to this user, or move it elsewhere"
        raise InvalidInput(f"{text}: {what}") from None


def _stamp(folder: Path) -> str:
    parts = []
    for name in (FILE_NAME, f"{FILE_NAME}-wal"):
        with contextlib.suppress(OSError):
            status = (folder / name).stat()
            parts.append(f"{status.st_size} {status.st_mtime_ns}")
    return " ".join(parts)


def where_of(config: Config, fingerprint: str) -> RunPlace:
    """Return where a run of a config puts its results, and what they depend on."""
    identity = run_identity(config, "", fingerprint)
    return _place(config.name, config.engine, identity, config.scope, config.to_json())


def _where(facts: LedgerFacts) -> RunPlace:
    return _place(facts.name, facts.engine, facts.identity, facts.scope, facts.config)


def _place(name: str, engine: str, identity: Mapping[str, Any], scope: str, config: Mapping[str, Any]) -> RunPlace:
    destination = {k: v for k, v in (identity.get("destination") or {}).items() if v and k in ("folder", "orthanc")}
    server = {"orthanc": (config.get("source") or {}).get("orthanc")}
    place = {"engine": engine, "destination": destination or server, "scope": scope}
    basis = {key: value for key, value in identity.items() if key not in _NOT_BASIS}
    if pixels := basis.get("pixels"):
        basis["pixels"] = pixels | {"rules": of_the_site(pixels["rules"])}
    if engine == "orthanc":  # which makes its own identifiers
        basis.pop(_KEY, None)
    return RunPlace(name, *(json.dumps(data, sort_keys=True) for data in (place, basis)))


def changed_basis(config: Config, before: Before | None, *, has_key: bool, anonymizes: bool) -> list[Problem]:
    """Return what is wrong with a config only because of what earlier runs have put into its destination.

    Args:
        config: Of the run that is planned.
        before: The earlier runs.
        has_key: Whether the config names a key.
        anonymizes: Whether a row does, whatever the config's own operation.

    """
    makes_pseudonyms = config.engine == "local" and (anonymizes or config.operation is Operation.ANONYMIZE)
    if makes_pseudonyms and not has_key and (before is not None or store_of(config).holds_results()):
        text = (
            "must name a key: the destination holds results of an earlier run, and with another key every patient "
            "would be there twice; give that run's key (pseudonym.key in its folder) as key_file, or name "
            f"another destination and a new key; {HOW_TO_MAKE_A_KEY}"
        )
        return [Problem(text, key="pseudonyms")]
    if before is None:
        return []
    problems = _other_basis(before) if config.incremental else []
    if makes_pseudonyms and all(problem.key != _KEY for problem in problems):
        problems += _other_key(config, before)
    return problems


def _other_basis(before: Before) -> list[Problem]:
    """Return in what an incremental config differs from the last of its runs."""
    with State(before.state) as state:
        runs = [run for run in state.runs().values() if run.where[:2] == before.where[:2]]
    if not runs:
        return []
    was, now = json.loads(runs[-1].where.basis), json.loads(before.where.basis)
    keys = [key for key in now if was.get(key) != now[key] and (key == _KEY or not before.redo)]
    text = (
        f"must be as in the earlier run {runs[-1].run_id}, whose results stand in the destination; restore it, or give "
        "the config another name and destination"
    )
    again = ", or do all rows again with --redo and destination.overwrite: true"
    return [Problem(text + ("" if key == _KEY else again), key=key) for key in keys]


def _other_key(config: Config, before: Before) -> list[Problem]:
    """Return that the key is not that of earlier results beside which the run would put its own, under one scope."""
    key = json.loads(before.where.basis).get(_KEY)
    with State(before.state) as state:
        others = [
            run.run_id
            for run in state.runs().values()
            if run.where.place == before.where.place and state.has_anonymized(run)
            if json.loads(run.where.basis).get(_KEY) != key
        ]
    # A folder that was emptied since holds nothing that a new start would be mixed with; a server does not tell.
    is_folder = config.destination is not None and config.destination.folder is not None
    if not others or (is_folder and not store_of(config).holds_results()):
        return []
    text = (
        f"must be that of the earlier run {others[-1]}, whose results stand in the destination under the same scope: "
        "with another key every patient would be there twice; put that key back (without `pseudonyms` it was "
        "pseudonym.key in the run's folder), name another destination, or, to begin anew on purpose, another "
        "pseudonyms.scope"
    )
    return [Problem(text, key=_KEY)]
