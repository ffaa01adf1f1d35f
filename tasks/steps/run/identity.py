"""What makes two runs the same one.

Public names: ``run_identity``, ``other_identifiers``, ``differences``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from deidflow.tasks.core.errors import Problem
from deidflow.tasks.core.version import deidflow_version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deidflow.tasks.core.config.config import Config

_MAJOR: Final = "deidflow's major version"
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
    identity[_MAJOR] = _major_version()
    return identity


def _major_version() -> str:
    return deidflow_version().split(".")[0]


def other_identifiers(stored: Mapping[str, Any]) -> list[Problem]:
    """Return that this version gives other identifiers than the one that began a run."""
    was = str(stored.get(_MAJOR))
    text = f"must be {was}, as when the run began: another one gives other identifiers; finish the run with that one"
    return [Problem(text, key=_MAJOR)] if was != _major_version() else []


def differences(stored: Mapping[str, Any], current: dict[str, Any]) -> list[Problem]:
    """Name what differs between two identities."""
    text = "must be as it was when the run began; restore it to resume this run, or start a new one"
    return [Problem(text, key=name) for name in current if stored.get(name) != current[name]]
