"""What is true of a run as a whole: one frozen record, kept as JSON by field.

Whoever wants to change something gives the record as it is to be (``dataclasses.replace``); no key is a free string,
and a field that nothing writes or nothing reads is one too many.

Public names: ``RunFacts``, ``read_facts``, ``glance_at_mounts``, ``change_facts``, ``run_nonce``,
``store_manifest``, ``read_manifest``.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import sqlite3
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from deidflow.tasks.core.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from deidflow.tasks.core.ledger.ledger import Ledger


@dataclass(frozen=True, slots=True)
class RunFacts:
    """The facts of one run; moments are ISO 8601 in UTC, whole seconds. None: not known, or not yet.

    Attributes:
        run_id: Also the name of the run folder.
        name: Of the config.
        engine: ``local`` or ``orthanc``.
        config: The effective config, as ``Config.to_json`` gives it.
        identity: What makes two runs the same one, by config key.
        scope: Of the pseudonyms.
        key_fingerprint: Of the key, never the key.
        config_file_sha256: Of the bytes of the config's file, in hex; "" when there was none.
        manifest_name: Of the manifest's file.
        manifest_sha256: Of its bytes, in hex.
        free_columns: Of the manifest, in its order.
        profile_sha256: Of the profile's table, None without a profile.
        source_folder: Where the source folder really is, None on an Orthanc.
        mounts: Where the folders of source and destination were mounted when the run was made, by their paths.
        run_folder: Where the run folder was when the run was last worked on.
        server_version: Of the Orthanc, None without one.
        server_makes_room: Whether it deletes its oldest patients when it is full; None when it does not say.
        notes: What people should know of the plan, such as what the server's version does differently; no identifiers.
        changed_before: How many instances were planned although earlier runs have done them, since their sources
            have changed since then.
        deidflow_version: That made the run; this and the next three name what each attempt had, where they differ.
        versions: Of Python and the libraries that results or reports depend on, by name.
        host: That worked on it.
        user: Of the system, who did; "" for a number without a name.
        created: When the plan was frozen.
        started: When the command that made the run began.
        attempts: How often the run was worked on: once, and once more for each ``resume`` that found work.
        ended: When the last attempt ended, None while one is under way.
        complete: Whether every step of it came to its end and is reported.
        verification_ended: Whether the verification came to its end, with what only the whole run shows.
        deletion_ended: Whether the deletion of sources came to its end.
        export_ended: Whether the export that the config asks for is there.
        deleted_sources: What became of them, see ``deidflow.tasks.core.report.totals.DeletedSources``; None when none
            were to be deleted, or that has not begun.
        unusable: Why the last attempt ended early, for people.
        seconds_by_step: How long each step took over all attempts.
        mark_nonce: What the marks of results on an Orthanc are made from; None until the first is made.
        exports: Folders that the last step has packed, by name, and a hash of the results in each.
        given_exports: Folders that the command has packed, by path, and the same of each.

    """

    run_id: str = ""
    name: str = ""
    engine: str = "local"
    config: Mapping[str, Any] = field(default_factory=dict)
    identity: Mapping[str, Any] = field(default_factory=dict)
    scope: str = ""
    key_fingerprint: str = ""
    config_file_sha256: str = ""
    manifest_name: str = ""
    manifest_sha256: str = ""
    free_columns: tuple[str, ...] = ()
    profile_sha256: str | None = None
    source_folder: str | None = None
    mounts: Mapping[str, str] = field(default_factory=dict)
    run_folder: str = ""
    server_version: str | None = None
    server_makes_room: bool | None = None
    notes: tuple[str, ...] = ()
    changed_before: int = 0
    deidflow_version: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    host: str = ""
    user: str = ""
    created: str | None = None
    started: str | None = None
    attempts: int = 0
    ended: str | None = None
    complete: bool = False
    verification_ended: bool = False
    deletion_ended: bool = False
    export_ended: bool = False
    deleted_sources: Mapping[str, int] | None = None
    unusable: str | None = None
    seconds_by_step: Mapping[str, float] = field(default_factory=dict)
    mark_nonce: str | None = None
    exports: Mapping[str, str] = field(default_factory=dict)
    given_exports: Mapping[str, str] = field(default_factory=dict)

    def with_seconds(self, step: str, seconds: float) -> RunFacts:
        """Return the same with the time of a step added."""
        total = round(self.seconds_by_step.get(step, 0) + seconds, 3)
        return replace(self, seconds_by_step={**self.seconds_by_step, step: total})


_NAMES: Final = tuple(one.name for one in fields(RunFacts))
_LISTS: Final = frozenset({"free_columns", "notes"})
_NONCE_BYTES: Final = 16


def read_facts(ledger: Ledger) -> RunFacts:
    """Return the facts of a run as they are now.

    Raises:
        InvalidInput: The ledger does not hold them as they were written.

    """
    try:
        stored = {key: json.loads(value) for key, value in ledger.select("SELECT key, value FROM meta")}
        given: dict[str, Any] = {name: stored[name] for name in _NAMES if stored.get(name) is not None}
        return RunFacts(**given | {name: tuple(given[name]) for name in _LISTS & given.keys()})
    except (ValueError, TypeError):
        raise InvalidInput(f"{ledger.path} is damaged; restore it from a backup or start a new run") from None


def glance_at_mounts(path: Path) -> Mapping[str, str]:
    """Return ``mounts`` of a ledger of whatever version, which is not changed, nor waited for; empty where unknown."""
    with (
        contextlib.suppress(sqlite3.Error, ValueError),
        contextlib.closing(sqlite3.connect(f"file:{quote(str(path))}?immutable=1", uri=True)) as connection,
    ):
        for (text,) in connection.execute("SELECT value FROM meta WHERE key = 'mounts'"):
            return dict(json.loads(text))
    return {}


def change_facts(ledger: Ledger, change: Callable[[RunFacts], RunFacts]) -> RunFacts:
    """Change facts in one transaction, so that no other thread's change is lost.

    Args:
        ledger: Of the run.
        change: Gets the facts as they are, returns them as they are to be.

    Returns:
        The facts as they are now.

    """
    with ledger.transaction():
        before = read_facts(ledger)
        after = change(before)
        ledger.execute_many(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)",
            [
                (name, json.dumps(getattr(after, name)))  # in ASCII: names of folders may be no UTF-8
                for name in _NAMES
                if getattr(after, name) != getattr(before, name)
            ],
        )
    return after


def run_nonce(ledger: Ledger) -> str:
    """Return what the marks of a run's results on an Orthanc are made from: 128 random bits in hex, drawn once."""
    changed = change_facts(
        ledger, lambda facts: replace(facts, mark_nonce=facts.mark_nonce or secrets.token_hex(_NONCE_BYTES))
    )
    return changed.mark_nonce or ""


def store_manifest(ledger: Ledger, content: bytes, name: str, sha256: str) -> None:
    """Keep the manifest, so that the run folder alone is enough to look again for what was not found.

    Args:
        ledger: Prepared.
        content: Its bytes.
        name: Of its file.
        sha256: Of its bytes, in hex.

    """
    ledger.execute("INSERT INTO manifest VALUES (?)", (content,))
    change_facts(ledger, lambda facts: replace(facts, manifest_name=name, manifest_sha256=sha256))


def read_manifest(ledger: Ledger) -> bytes:
    """Return the manifest as it was read when the plan was made.

    Raises:
        InvalidInput: The ledger does not hold it.

    """
    content = ledger.scalar("SELECT content FROM manifest")
    if not isinstance(content, bytes):
        raise InvalidInput(f"{ledger.path} is damaged: it does not hold the manifest; start a new run")
    return content
