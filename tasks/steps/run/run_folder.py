"""The run folder: its name, its files, and whether a config still belongs to it.

Public names: ``Run``, ``new_run_id``, ``check_run_id``, ``make_folder``, ``require_own_folder``, ``no_run_folder``,
``create_run``, ``open_run``, ``run_identity``, ``take_config``, ``go_on_with``, ``clear_leftovers``.
"""

from __future__ import annotations

import contextlib
import os
import platform
import pwd
import re
import secrets
import shutil
import socket
import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from deidflow.tasks.core.config.config import Config
from deidflow.tasks.core.errors import InvalidInput, Problem, Unusable, os_error_text
from deidflow.tasks.core.files.locks import patience
from deidflow.tasks.core.files.plain_files import read_plain_file
from deidflow.tasks.core.files.private_files import replace_file, sync_folder
from deidflow.tasks.core.ledger.ledger import FILE_NAME, Ledger
from deidflow.tasks.core.ledger.run_facts import change_facts, read_facts, read_manifest
from deidflow.tasks.core.pseudonyms.pseudonyms import Key
from deidflow.tasks.core.version import deidflow_version
from deidflow.tasks.local.deidentification import ps3_15
from deidflow.tasks.local.deidentification.orthanc_profiles import profile_sha256
from deidflow.tasks.steps.run.moved import override_run, relocated, renamed_folders
from deidflow.tasks.steps.run.settings import load_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from deidflow.tasks.core.files.locks import Waits
    from deidflow.tasks.core.ledger.run_facts import RunFacts

KEY_FILE: Final = "pseudonym.key"
CONFIG_FILE: Final = "config.yaml"
MANIFEST_FILE: Final = "manifest.csv"
"""Config and manifest as they were given; what counts is in the ledger."""
SCRATCH_PREFIX: Final = "scratch-"
_RUN_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LIBRARIES: Final = ("prefect", "pydicom", "httpx", "pandas", "numpy")


@dataclass(slots=True)
class Run:
    """An open run.

    Attributes:
        folder: The run folder.
        ledger: Open, for this process alone.
        config: The effective one; ``execution``, ``verify``, ``report`` and ``orthanc`` may be those of this attempt.
        key: Secret of its generated identifiers.
        stop: Set when the work is to end as soon as that can be done cleanly.
        held: What is given back when it is closed.
        lock_wait_s: How long to wait for a destination that another run holds; None for what the config says.

    """

    folder: Path
    ledger: Ledger
    config: Config
    key: Key
    stop: threading.Event = field(default_factory=threading.Event)
    held: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    lock_wait_s: float | None = None

    def waits(self) -> Waits:
        """Return what says whether to go on waiting for the destination, from now."""
        seconds = self.config.execution.lock_wait_seconds if self.lock_wait_s is None else self.lock_wait_s
        return patience(seconds or 0, self.stop)

    def close(self) -> None:
        """Close the ledger."""
        self.ledger.close()
        self.held.close()

    def passed_on(self) -> Run:
        """Return the same open run for the caller alone: for threads that still work on this one, it is closed."""
        return Run(
            self.folder,
            self.ledger.passed_on(),
            self.config,
            self.key,
            held=self.held.pop_all(),
            lock_wait_s=self.lock_wait_s,
        )


def now() -> str:
    """Return this moment in UTC, as reports write it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def new_run_id(name: str) -> str:
    """Return ``<name>-<UTC yyyymmddThhmmssZ>-<4 hex>``, at most 64 characters."""
    suffix = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ") + "-" + secrets.token_hex(2)
    return f"{name[: 63 - len(suffix)]}-{suffix}"


def check_run_id(run_id: str) -> None:
    """Refuse what is no run ID.

    Raises:
        InvalidInput: It has other characters than letters, digits, ``-`` and ``_``, or more than 64.

    """
    if not _RUN_ID.fullmatch(run_id):
        raise InvalidInput([Problem("a run ID must be 1 to 64 letters, digits, - and _", "--run-id")])


_IDENTIFYING_KEYS: Final = (
    *("operation", "engine", "source", "destination", "options", "profile", "profile_options", "dates", "text"),
    *("private", "pixels", "hardening"),
)


def run_identity(config: Config, manifest_sha256: str, key_fingerprint: str) -> dict[str, Any]:
    """Return what makes two runs the same one; by the config's keys, so that a difference can be named."""
    data = config.to_json()
    identity = {name: data[name] for name in _IDENTIFYING_KEYS}
    # What counts against the verdict is a matter of one attempt, too.
    identity["source"] = {k: v for k, v in identity["source"].items() if k != "ignore_damaged"}
    if identity["destination"]:
        # Whether other objects are replaced is a matter of one attempt; where results go is not.
        identity["destination"] = {k: v for k, v in identity["destination"].items() if k not in ("overwrite", "mode")}
    identity["manifest"] = manifest_sha256
    identity["pseudonyms.scope"] = config.scope
    identity["pseudonyms (the key)"] = key_fingerprint
    identity["deidflow's major version"] = deidflow_version().split(".")[0]
    return identity


def differences(stored: Mapping[str, Any], current: dict[str, Any]) -> list[Problem]:
    """Name what differs between two identities."""
    text = "must be as it was when the run began; restore it to resume this run, or start a new one"
    return [Problem(text, key=name) for name in current if stored.get(name) != current[name]]


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


def create_run(prepared: Ledger, config: Config, key: Key, folder: Path, new_key_text: str | None) -> Run:
    """Make the run folder and store the frozen plan in it.

    Args:
        prepared: The accepted plan.
        config: The effective config.
        key: Secret of generated identifiers.
        folder: To make; readable for its owner only.
        new_key_text: The key to keep in the folder when none was configured.

    Raises:
        Unusable: The folder cannot be made or written.

    """
    change_facts(
        prepared,
        lambda facts: replace(
            facts,
            run_id=folder.name,
            name=config.name,
            engine=config.engine,
            source_folder=os.path.realpath(config.source.folder) if config.source.folder else None,
            run_folder=str(folder.absolute()),
            config=config.to_json(),
            config_file_sha256=sha256(config.file_content).hexdigest() if config.file_content else "",
            identity=run_identity(config, facts.manifest_sha256, key.fingerprint),
            scope=config.scope,
            key_fingerprint=key.fingerprint,
            created=now(),
            versions=library_versions(),
            deidflow_version=deidflow_version(),
            host=socket.gethostname(),
            user=_user(),
            profile_sha256=_profile_sha256(config),
        ),
    )
    make_folder(folder)
    try:
        # The key first: a plan whose key is lost could never be finished.
        if new_key_text is not None:
            with replace_file(folder / KEY_FILE) as stream:
                stream.write(new_key_text + "\n")
        with _copies(folder, {CONFIG_FILE: config.file_content, MANIFEST_FILE: read_manifest(prepared)}):
            return Run(folder, prepared.store(folder / FILE_NAME), config, key)
    except OSError as error:
        raise Unusable(_unwritable(folder, error), error) from None


@contextlib.contextmanager
def _copies(folder: Path, contents: Mapping[str, bytes]) -> Iterator[None]:
    """Write files before the plan is stored, so that every run has them; without a plan there is nothing to keep."""
    try:
        for name, content in contents.items():
            if content:
                with replace_file(folder / name) as stream:
                    stream.buffer.write(content)
        yield
    except BaseException:
        for name in contents:
            (folder / name).unlink(missing_ok=True)
        raise


def _user() -> str:
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(os.getuid()).pw_name
    return ""


def _profile_sha256(config: Config) -> str | None:
    """Return the hash of the profile's data, None without a profile."""
    if config.profile is not None:
        return ps3_15.profile_sha256()
    dicom_version = config.defaults.settings.dicom_version
    return profile_sha256(dicom_version) if dicom_version else None


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
        raise Unusable(_unwritable(folder, error), error) from None


def _unwritable(folder: Path, error: OSError) -> str:
    return f"the run folder {folder} cannot be written: {os_error_text(error)}; make room or choose --runs-dir"


def clear_leftovers(folder: Path) -> None:
    """Remove what a killed process left half-written in a run folder; only the holder of its lock calls this."""
    for pattern in (".*.part", "*.tmp", f"{SCRATCH_PREFIX}*"):
        for path in folder.glob(pattern):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that results or reports depend on."""
    return {"python": platform.python_version()} | {name: version(name) for name in _LIBRARIES}


def _make_runs_dir(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        with replace_file(ignore) as stream:
            stream.write("# Run folders re-identify people: they stay out of repositories.\n*\n")


def open_run(folder: Path, overrides: Iterable[str] = ()) -> Run:
    """Open a run by its folder alone.

    Args:
        folder: Of the run.
        overrides: ``KEY=VALUE`` of each ``--set``, of the keys that may change; kept in the ledger.

    Raises:
        InvalidInput: It is no run folder, its key is missing, or what is set makes another run of it.
        Unusable: Another process works on it.

    """
    require_own_folder(folder)
    ledger = Ledger.open(folder / FILE_NAME)
    try:
        facts = read_facts(ledger)
        stored = Config.from_json(dict(facts.config))
        config = relocated(stored, facts.run_folder, folder)
        if overrides := tuple(overrides):
            config = override_run(config, overrides)
        if config != stored:
            go_on_with(ledger, stored, config, folder)
        key = run_key(config, folder)
        _require_key(key, facts.key_fingerprint)
        return Run(folder, ledger, config, key)
    except BaseException:
        ledger.close()
        raise


def go_on_with(ledger: Ledger, was: Config, now: Config, folder: Path) -> None:
    """Keep a config that the run goes on with; its folders may have other names, and hold the same.

    Raises:
        InvalidInput: They do not.

    """
    problems = renamed_folders(ledger, was, now)
    if problems:
        raise InvalidInput(problems)
    identity = run_identity(now, "", "")
    places = {name: identity[name] for name in ("source", "destination")}

    def moved(facts: RunFacts) -> RunFacts:
        folder_now = facts.source_folder
        if was.source.folder != now.source.folder and now.source.folder is not None:
            folder_now = os.path.realpath(now.source.folder)
        return replace(
            facts,
            config=now.to_json(),
            identity={**facts.identity, **places},
            run_folder=str(folder.absolute()),
            source_folder=folder_now,
        )

    change_facts(ledger, moved)


def take_config(run: Run, config: Config) -> None:
    """Go on with a run by another config, which makes the same run; the key may be given in another way.

    Raises:
        InvalidInput: It makes another run, or its key is missing.

    """
    go_on_with(run.ledger, run.config, config, run.folder)
    if _key_place(config) != _key_place(run.config):
        run.key = run_key(config, run.folder)
        _require_key(run.key, read_facts(run.ledger).key_fingerprint)
    run.config = config


def _key_place(config: Config) -> tuple[object, object]:
    group = config.pseudonyms
    return (group.key_env, group.key_file) if group is not None else (None, None)


def _require_key(key: Key, fingerprint: str) -> None:
    if key.fingerprint != fingerprint:
        text = "the key is not the one this run was planned with; restore it to go on"
        raise InvalidInput([Problem(text, key="pseudonyms")])


def run_key(config: Config, folder: Path) -> Key:
    """Return the configured key, or the run's own.

    Raises:
        InvalidInput: There is none.

    """
    configured = load_key(config)
    if configured is not None:
        return configured
    try:
        return Key.parse(read_plain_file(folder / KEY_FILE)[0].decode("ascii"))
    except (OSError, ValueError):
        raise InvalidInput(f"{folder / KEY_FILE}: the key of this run is missing or damaged; restore it") from None
