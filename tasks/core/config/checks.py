"""What keys of the config say together: everything that the groups cannot check alone.

The checks read the config before it is known to be sound, so that all problems are reported at once.

Public names: ``cross_check``, ``give_default_profile``, ``holder_of``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from deidflow.tasks.core.config.types import check_url
from deidflow.tasks.core.errors import Problem
from deidflow.tasks.core.request.profile_choice import CLEANS_TEXTS, PROFILE_NAME, Option, option_faults, shift_fault
from deidflow.tasks.core.request.request import DICOM_VERSIONS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

_FOR_LOCAL: Final = (
    "must be left out with engine orthanc; give options.DicomVersion instead, or have the profile on an Orthanc by the "
    "local engine: write these two lines, and keep source.orthanc as it is\n"
    "engine: local\n"
    "destination: {{orthanc: {address}}}"
)
_RUNS_DIR: Final = "report.runs_dir"
"""What lies in it re-identifies people as it is."""

_DASK_ADDRESS: Final = re.compile(r"(tcp|tls)://[^\s/:]+:[0-9]{1,5}")


def cross_check(raw: Mapping[str, Any]) -> list[Problem]:
    """Find contradictions between keys.

    Args:
        raw: The whole config with absolute paths, otherwise unchecked.

    """
    checks = (_check_places, _check_folders, _check_profile, _check_deletion, _check_groups)
    return [Problem(text, key=key) for check in checks for key, text in check(raw)]


def give_default_profile(raw: dict[str, Any]) -> None:
    """Put the default of ``profile`` into a config: anonymize on engine local without DicomVersion has one."""
    version = _group(raw, "options").get("DicomVersion")
    if raw.get("operation") == "anonymize" and raw.get("engine", "local") == "local" and version is None:
        raw["profile"] = PROFILE_NAME if raw.get("profile") is None else raw["profile"]


def _group(raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    group = raw.get(key)
    return group if isinstance(group, dict) else {}


def _given(group: Mapping[str, Any], *keys: str) -> list[str]:
    return [key for key in keys if group.get(key) is not None]


def _check_places(raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Where objects come from and go to, by engine."""
    one_of = "give exactly one of folder (files) and orthanc (http://...)"
    if isinstance(raw.get("source"), dict) and len(_given(raw["source"], "folder", "orthanc")) != 1:
        yield "source", one_of
    if raw.get("engine", "local") == "orthanc":
        if raw.get("destination") is not None:
            yield "destination", "must be left out with engine orthanc, which writes back to its own server"
        if "folder" in _given(_group(raw, "source"), "folder"):
            yield (
                "source.folder",
                "must be left out with engine orthanc, which edits what its server holds: give source.orthanc",
            )
    elif raw.get("destination") is None:
        yield "destination", "must be given with engine local: one of folder and orthanc"
    elif len(_given(_group(raw, "destination"), "folder", "orthanc")) != 1:
        yield "destination", one_of
    if _given(_group(raw, "destination"), "mode") and not _given(_group(raw, "destination"), "folder"):
        yield "destination.mode", "must be left out without destination.folder: a server has no permissions of files"
    if _group(raw, "source").get("follow_links") and not _given(_group(raw, "source"), "folder"):
        yield "source.follow_links", "must be left out without source.folder: a server has no links"


def _check_folders(raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """No folder lies in another: results would become sources, and reports results."""
    folders = _folders_of(raw)
    for number, (key, folder) in enumerate(folders):
        for other_key, other in folders[:number]:
            if _is_inside(folder, other) or _is_inside(other, folder):
                yield key, f"must neither lie inside {other_key} nor hold it; give them separate folders"


def _folders_of(raw: Mapping[str, Any]) -> list[tuple[str, Path]]:
    """Return the folders that a config names, by their keys."""
    places = (("source", "folder"), ("destination", "folder"), ("report", "runs_dir"), ("export", "folder"))
    folders = []
    for group, key in places:
        value = _group(raw, group).get(key)
        if isinstance(value, str) and value:
            folders.append((f"{group}.{key}", Path(os.path.realpath(value))))  # Path.resolve raises on loops of links
    return folders


def holder_of(raw: Mapping[str, Any], path: Path) -> str:
    """Return the key of the source or of what is handed over, where a path lies in that folder; "" where in none.

    Args:
        raw: The whole config with absolute paths.
        path: Of a file or folder, which need not be there.

    """
    inner = Path(os.path.realpath(path))
    return next((key for key, folder in _folders_of(raw) if key != _RUNS_DIR and _is_inside(inner, folder)), "")


def _is_inside(inner: Path, outer: Path) -> bool:
    """Whether a folder is another or lies in it, also on a file system that ignores case."""
    try:
        target = outer.stat()
    except OSError:
        return inner.is_relative_to(outer)
    for folder in (inner, *inner.parents):
        try:
            if os.path.samestat(folder.stat(), target):
                return True
        except OSError:
            continue
    return False


def _check_profile(raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    engine = raw.get("engine", "local")
    version = _group(raw, "options").get("DicomVersion")
    good = f"one of {', '.join(DICOM_VERSIONS)}, in quotes"
    if raw.get("profile") is not None:
        if engine == "orthanc":
            yield "profile", _how_on_orthanc(raw)
        elif version is not None:
            yield "profile", "must not be given together with options.DicomVersion; give one of them"
    yield from _check_profile_options(raw)
    if raw.get("operation") == "anonymize" and version is None and engine == "orthanc" and raw.get("profile") is None:
        why = "the server's default changes between versions, so it is always sent"
        yield "options.DicomVersion", f"must be given for anonymize: {good}; {why}"


def _how_on_orthanc(raw: Mapping[str, Any]) -> str:
    address = _group(raw, "source").get("orthanc")
    return _FOR_LOCAL.format(address=address if _is_address(address) else "http://localhost:8042")


def _is_address(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(check_url(value))
    except ValueError:
        return False


def _check_profile_options(raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    options = raw.get("profile_options")
    dates, text = raw.get("dates"), raw.get("text")
    without = f"must be left out without profile: {PROFILE_NAME}"
    if raw.get("engine") == "orthanc":
        without = _how_on_orthanc(raw)
    for key in ("profile_options", "dates", "private", "text", "pixels"):
        if raw.get(key) and raw.get("profile") is None:
            yield key, without
    names = options if isinstance(options, list) else []
    if text and not any(option in names for option in CLEANS_TEXTS):
        yield "text", f"must be left out unless profile_options has one of {', '.join(CLEANS_TEXTS)}"
    if raw.get("pixels") and raw.get("profile") is not None and Option.CLEAN_PIXEL_DATA not in names:
        yield "pixels", f"must be left out without {Option.CLEAN_PIXEL_DATA} among profile_options"
    for text in option_faults(names):
        yield "profile_options", text
    yield from _check_kept(raw, names)
    if not isinstance(dates, dict):
        return
    if dates.get("column") is not None and _given(dates, "shift_days", "whole_weeks"):
        yield "dates", "give one of column and shift_days (with whole_weeks), not both"
    if Option.RETAIN_MODIFIED_DATES not in names:
        yield "dates", f"must be left out without {Option.RETAIN_MODIFIED_DATES} among profile_options"
    days = dates.get("shift_days", [1, 3650])
    if not (isinstance(days, list) and len(days) == 2 and all(type(day) is int for day in days)):  # noqa: PLR2004
        yield "dates.shift_days", "must be two whole numbers, as in [1, 3650]"
    elif fault := shift_fault(*days, whole_weeks=dates.get("whole_weeks") is True):
        yield "dates.shift_days", fault


def _check_kept(raw: Mapping[str, Any], names: Collection[object]) -> Iterator[tuple[str, str]]:
    """What goes with options that keep UIDs and private elements."""
    settings = _group(raw, "options")
    if Option.RETAIN_UIDS in names and settings.get("KeepSource") is False:
        yield "options.KeepSource", f"must be true with {Option.RETAIN_UIDS}, since a result could be its own source"
    if Option.RETAIN_SAFE_PRIVATE in names and settings.get("KeepPrivateTags") is True:
        yield (
            "options.KeepPrivateTags",
            f"must be left out with {Option.RETAIN_SAFE_PRIVATE}, which keeps what is known to be safe",
        )
    if raw.get("private") and raw.get("profile") is not None and Option.RETAIN_SAFE_PRIVATE not in names:
        yield "private", f"must be left out without {Option.RETAIN_SAFE_PRIVATE} among profile_options"


def _check_deletion(raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if _group(raw, "options").get("KeepSource") is False and raw.get("verify", "full") != "full":
        yield (
            "options.KeepSource",
            "must be true unless verify is full: sources are deleted only when their results have been read back",
        )
    if _group(raw, "options").get("KeepSource") is False and _group(raw, "source").get("follow_links") is True:
        yield "options.KeepSource", "must be true with source.follow_links: what a link leads to is not ours to delete"


def _check_groups(raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    execution, schedule = _group(raw, "execution"), raw.get("schedule")
    address = execution.get("dask_address")
    if execution.get("runner") == "dask" and not address:
        yield "execution.dask_address", "must be given with runner dask, as in tcp://scheduler:8786"
    elif address and not _DASK_ADDRESS.fullmatch(str(address)):
        yield "execution.dask_address", "must be tcp://HOST:PORT or tls://HOST:PORT, as in tcp://scheduler:8786"
    if isinstance(schedule, dict) and len(_given(schedule, "cron", "interval")) != 1:
        yield "schedule", 'give exactly one of cron ("0 2 * * *") and interval (seconds)'
    if len(_given(_group(raw, "pseudonyms"), "key_env", "key_file")) > 1:
        yield "pseudonyms", "give one of key_env and key_file, not both"
