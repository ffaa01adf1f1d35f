"""A run: made from an accepted plan, opened by its folder, gone on with by another config.

Public names: ``Run``, ``create_run``, ``open_run``, ``take_config``, ``go_on_with``, ``with_maker``, ``run_key``,
``now``, ``library_versions``.
"""

from __future__ import annotations

import contextlib
import os
import platform
import pwd
import socket
import threading
import zlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.config.config import Config
from deidflow.tasks.core.errors import InvalidInput, Problem, Unusable
from deidflow.tasks.core.files.locks import patience
from deidflow.tasks.core.files.plain_files import read_plain_file
from deidflow.tasks.core.files.private_files import replace_file
from deidflow.tasks.core.ledger.ledger import FILE_NAME, Ledger
from deidflow.tasks.core.ledger.run_facts import change_facts, read_facts, read_manifest
from deidflow.tasks.core.pseudonyms.pseudonyms import Key
from deidflow.tasks.core.version import deidflow_version
from deidflow.tasks.local.deidentification import ps3_15
from deidflow.tasks.local.deidentification.orthanc_profiles import profile_sha256
from deidflow.tasks.steps.access.mounts import mounts_of
from deidflow.tasks.steps.run.identity import run_identity
from deidflow.tasks.steps.run.moved import override_run, relocated, renamed_folders
from deidflow.tasks.steps.run.run_folder import make_folder, require_own_folder, unwritable
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
_LIBRARIES: Final = ("prefect", "pydicom", "httpx", "pandas", "numpy")
_CODECS: Final = ("imagecodecs", "pyjpegls", "pylibjpeg", "pylibjpeg-libjpeg", "pylibjpeg-openjpeg", "pylibjpeg-rle")
"""Of the extra ``codecs``, where it is installed."""


@dataclass(slots=True)
class Run:
    """An open run.

    Attributes:
        folder: The run folder.
        ledger: Open, for this process alone.
        config: The effective one; ``execution``, ``verify``, ``report`` and ``orthanc`` may be those of this attempt.
        stop: Set when the work is to end as soon as that can be done cleanly.
        held: What is given back when it is closed.
        lock_wait_s: How long to wait for a destination that another run holds; None for what the config says.

    """

    folder: Path
    ledger: Ledger
    config: Config
    _key: Key | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    held: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    lock_wait_s: float | None = None

    @property
    def key(self) -> Key:
        """Secret of its generated identifiers, for which reports have no use; raises as ``load_key``."""
        return self._key or self.load_key()

    def load_key(self) -> Key:
        """Load the key from where the config says now, or the run folder.

        Raises:
            InvalidInput: It is missing, or not the one that the run was planned with.

        """
        key = run_key(self.config, self.folder)
        if key.fingerprint != read_facts(self.ledger).key_fingerprint:
            text = "the key is not the one this run was planned with; restore it to go on"
            raise InvalidInput([Problem(text, key="pseudonyms")])
        self._key = key
        return key

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
            self._key,
            held=self.held.pop_all(),
            lock_wait_s=self.lock_wait_s,
        )


def now() -> str:
    """Return this moment in UTC, as reports write it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


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
            with_maker(facts),
            run_id=folder.name,
            name=config.name,
            engine=config.engine,
            source_folder=os.path.realpath(config.source.folder) if config.source.folder else None,
            mounts=mounts_of(config),
            run_folder=str(folder.absolute()),
            config=config.to_json(),
            config_file_sha256=sha256(config.file_content).hexdigest() if config.file_content else "",
            identity=run_identity(config, facts.manifest_sha256, key.fingerprint),
            scope=config.scope,
            key_fingerprint=key.fingerprint,
            created=now(),
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
        raise Unusable(unwritable(folder, error), error) from None


@contextlib.contextmanager
def _copies(folder: Path, contents: Mapping[str, bytes]) -> Iterator[None]:
    """Write files before the plan is stored, so that every run has them; without a plan there is nothing to keep.

    A plan that cannot be brought to the disk for certain, or opened there, is one all the same.
    """
    try:
        for name, content in contents.items():
            if content:
                with replace_file(folder / name) as stream:
                    stream.buffer.write(content)
        yield
    except BaseException:
        if not (folder / FILE_NAME).exists():
            for name in contents:
                (folder / name).unlink(missing_ok=True)
        raise


def with_maker(facts: RunFacts) -> RunFacts:
    """Return facts with what works on the run now behind what has so far: programs, machine and user may change."""
    before, current = facts.versions, library_versions()
    return replace(
        facts,
        deidflow_version=_followed_by(facts.deidflow_version, deidflow_version()),
        versions={name: _followed_by(before.get(name, ""), current.get(name, "")) for name in {**before, **current}},
        host=_followed_by(facts.host, socket.gethostname()),
        user=_followed_by(facts.user, _user()),
    )


def _followed_by(before: str, now: str) -> str:
    names = before.split(", ") if before else []
    return before if not now or now in names else ", ".join((*names, now))


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


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that results or reports depend on.

    What is compressed differs between releases of zlib and of the codecs.
    """
    found = {"python": platform.python_version(), "zlib": zlib.ZLIB_RUNTIME_VERSION}
    for name in (*_LIBRARIES, *_CODECS):
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def open_run(folder: Path, overrides: Iterable[str] = ()) -> Run:
    """Open a run by its folder alone.

    Args:
        folder: Of the run.
        overrides: ``KEY=VALUE`` of each ``--set``, of the keys that may change; kept in the ledger.

    Raises:
        InvalidInput: It is no run folder, or what is set makes another run of it.
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
        return Run(folder, ledger, config)
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
    moves_key = _key_place(config) != _key_place(run.config)
    run.config = config
    if moves_key:
        run.load_key()


def _key_place(config: Config) -> tuple[object, object]:
    group = config.pseudonyms
    return (group.key_env, group.key_file) if group is not None else (None, None)


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
