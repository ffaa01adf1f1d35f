"""Kinds of values in the config; each says what a good one looks like and never repeats a bad one.

Public names: ``Name``, ``Scope``, ``OrthancUrl``, ``VariableName``, ``CronText``, ``TimeZoneName``, ``FilePath``,
``Mode``, ``check_name``, ``check_url``, ``is_address``, ``has_variable``.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, croniter
from pydantic import AfterValidator, BeforeValidator, Field

from deidflow.tasks.core.errors import BadText

_MAX_NAME_CHARACTERS: Final = 42
"""A run ID has at most 64 characters, and ``-20240131T020000Z-1a2b`` follows the name."""

_NAME: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{_MAX_NAME_CHARACTERS}}}")
_MAX_FILE_NAME_BYTES: Final = 255
_MAX_PATH_BYTES: Final = 4095
"""What Linux takes (NAME_MAX, PATH_MAX)."""

_SCHEME: Final = re.compile(r"(?i)https?://")
_PATH_OF_ADDRESS: Final = re.compile(r"(?i)https?:/")
"""What ``Path`` makes of an address, which is left as it is where paths are made absolute."""

_UNFILLED: Final = re.compile(r"\$\{?[A-Za-z_]|%[A-Za-z_]+%")
"""A variable of a shell, or of Windows, at the beginning of a name: a folder that is called so is hardly meant."""

_SCOPE: Final = re.compile(r"[^\x00-\x1f\x7f]{1,128}")
_MODE: Final = re.compile(r"0?6[0-7]{2}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ONLY_IN_OTHER_CRONS: Final = re.compile(r"(?i)(^|\s)[rh](\s|$)")
"""Random and hashed fields: croniter reads them, and Prefect refuses them."""
_ANY_MOMENT: Final = datetime(2024, 1, 1, tzinfo=UTC)


def check_name(text: str) -> str:
    """Return the name of a config.

    Raises:
        BadText: It is none.

    """
    if not _NAME.fullmatch(text):
        raise BadText(f"must be 1 to {_MAX_NAME_CHARACTERS} letters, digits, - and _, as in nightly-trial")
    return text


def _check_scope(text: str) -> str:
    if not _SCOPE.fullmatch(text) or text != text.strip():
        raise BadText("must be 1 to 128 characters without blanks around them, as in nightly-trial")
    return text


def _check_variable(text: str) -> str:
    if not _VARIABLE.fullmatch(text):
        raise BadText(
            "must be the name of an environment variable, as in DEIDFLOW_KEY (the secret itself never stands here)"
        )
    return text


def check_url(text: str) -> str:
    """Return the address of an Orthanc, scheme and host in small letters, without a slash at the end.

    Neither is case-sensitive (RFC 3986, section 6.2.2.1), and what reads an address later compares them as they stand.

    Raises:
        BadText: It is none, or holds credentials.

    """
    good = "must be the address of an Orthanc, as in http://localhost:8042"
    try:
        parts = urlsplit(text)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise BadText(good) from None
    if parts.scheme not in ("http", "https") or not has_host or parts.query or parts.fragment or re.search(r"\s", text):
        raise BadText(good)
    if "@" in parts.netloc:
        raise BadText("must not hold credentials; give them in the variables of orthanc.username_env and password_env")
    return parts._replace(netloc=parts.netloc.lower()).geturl().rstrip("/")  # urlsplit has lowered the scheme


def is_address(text: str) -> bool:
    """Whether a text is meant as the address of an Orthanc, not as a path; it may still be a bad one."""
    return _SCHEME.match(text) is not None


def _check_mode(text: str) -> str:
    if not _MODE.fullmatch(text):
        raise BadText('must be permissions of a file that its owner can read and write, in quotes, as in "0640"')
    return text


def _check_named(path: object) -> object:
    """Refuse an empty text, which ``Path`` makes the current folder of."""
    if isinstance(path, str) and not path.strip():
        raise BadText("must not be empty; . is the folder of the config, and on the command line the current one")
    return path


def _check_path(path: Path) -> Path:
    if _PATH_OF_ADDRESS.match(str(path)):
        raise BadText("must be a path; the address of an Orthanc stands in source.orthanc or destination.orthanc")
    names = [len(os.fsencode(name)) for name in path.parts]
    if max(names, default=0) > _MAX_FILE_NAME_BYTES or sum(names) + len(names) > _MAX_PATH_BYTES:
        raise BadText(
            "must be a path that the system can open: each name in it at most 255 bytes, all of it at most 4095"
        )
    return path


def has_variable(path: str) -> bool:
    """Whether a path holds what looks like an environment variable, and nothing that is there is called so.

    A check of what people write, and no part of ``FilePath``: a run's config stays sound when a share is away.
    """
    parts = Path(path).parts
    names = next((parts[:number] for number, name in enumerate(parts, 1) if _UNFILLED.match(name)), ())
    return bool(names) and not os.path.lexists(Path(*names))


def _check_timezone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError; a folder of zones an OSError
        raise BadText("must be a time zone, as in Europe/Brussels or UTC") from None
    return text


def _check_cron(text: str) -> str:
    if not croniter.is_valid(text) or _ONLY_IN_OTHER_CRONS.search(text):
        raise BadText('must be a cron expression, as in "0 2 * * *", "*/15 8-18 * * mon-fri" or "@daily"')
    try:
        croniter(text, _ANY_MOMENT).get_next()
    except CroniterBadDateError:
        raise BadText("must name a day that some year has") from None
    return text


Name = Annotated[str, AfterValidator(check_name)]
Scope = Annotated[str, AfterValidator(_check_scope)]
OrthancUrl = Annotated[str, AfterValidator(check_url)]
VariableName = Annotated[str, AfterValidator(_check_variable)]
CronText = Annotated[str, AfterValidator(_check_cron)]
Mode = Annotated[str, AfterValidator(_check_mode)]
TimeZoneName = Annotated[str, AfterValidator(_check_timezone)]
FilePath = Annotated[Path, Field(strict=False), BeforeValidator(_check_named), AfterValidator(_check_path)]
"""A path; absolute once the config is loaded."""
