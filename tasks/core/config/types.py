"""Kinds of values in the config; each says what a good one looks like and never repeats a bad one.

Public names: ``Name``, ``Scope``, ``OrthancUrl``, ``VariableName``, ``CronText``, ``TimeZoneName``, ``FilePath``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

_MAX_NAME_CHARACTERS: Final = 42
"""A run ID has at most 64 characters, and ``-20240131T020000Z-1a2b`` follows the name."""

_NAME: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{_MAX_NAME_CHARACTERS}}}")
_MAX_FILE_NAME_BYTES: Final = 255
_MAX_PATH_BYTES: Final = 4095
"""What Linux takes (NAME_MAX, PATH_MAX)."""

_SCOPE: Final = re.compile(r"[^\x00-\x1f\x7f]{1,128}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_CRON_FIELDS: Final[tuple[tuple[str, int, int, tuple[str, ...]], ...]] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, ("", *_MONTHS)),
    ("day of the week", 0, 7, _DAYS),
)
_CRON_PART: Final = re.compile(r"(?:\*|([a-z0-9]+)(?:-([a-z0-9]+))?)(?:/([1-9][0-9]*))?")


def _check_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"is 1 to {_MAX_NAME_CHARACTERS} letters, digits, - and _, as in nightly-trial")
    return text


def _check_scope(text: str) -> str:
    if not _SCOPE.fullmatch(text) or text != text.strip():
        raise ValueError("is 1 to 128 characters without blanks around them, as in nightly-trial")
    return text


def _check_variable(text: str) -> str:
    if not _VARIABLE.fullmatch(text):
        raise ValueError(
            "is the name of an environment variable, as in DEIDFLOW_KEY (the secret itself never stands here)"
        )
    return text


def check_url(text: str) -> str:
    """Return the address of an Orthanc without a slash at the end.

    Raises:
        ValueError: It is none, or holds credentials.

    """
    good = "is the address of an Orthanc, as in http://localhost:8042"
    try:
        parts = urlsplit(text)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ValueError(good) from None
    if parts.scheme not in ("http", "https") or not has_host or parts.query or parts.fragment or re.search(r"\s", text):
        raise ValueError(good)
    if "@" in parts.netloc:
        raise ValueError("holds credentials; give them in the variables of orthanc.username_env and password_env")
    return text.rstrip("/")


def _check_path(path: Path) -> Path:
    names = [len(os.fsencode(name)) for name in path.parts]
    if max(names, default=0) > _MAX_FILE_NAME_BYTES or sum(names) + len(names) > _MAX_PATH_BYTES:
        raise ValueError("is too long for a path")
    return path


def _check_timezone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError; a folder of zones an OSError
        raise ValueError("is a time zone as in Europe/Brussels or UTC") from None
    return text


def _check_cron(text: str) -> str:
    fields = text.lower().split()
    if len(fields) != len(_CRON_FIELDS):
        raise ValueError('has five fields: minute, hour, day, month, day of the week, as in "0 2 * * *"')
    for field, (name, low, high, names) in zip(fields, _CRON_FIELDS, strict=True):
        if not all(_is_cron_part(part, low, high, names) for part in field.split(",")):
            raise ValueError(f'the {name} is * or numbers from {low} to {high}, as in "0 2 * * 1-5" or "*/15 * * * *"')
    return text


def _is_cron_part(part: str, low: int, high: int, names: tuple[str, ...]) -> bool:
    match = _CRON_PART.fullmatch(part)
    if match is None:
        return False
    numbers = [_cron_number(text, names) for text in match.groups()[:2] if text is not None]
    return all(low <= number <= high for number in numbers) and numbers == sorted(numbers)


def _cron_number(text: str, names: tuple[str, ...]) -> int:
    if text in names:
        return names.index(text)
    return int(text) if text.isdigit() else -1


Name = Annotated[str, AfterValidator(_check_name)]
Scope = Annotated[str, AfterValidator(_check_scope)]
OrthancUrl = Annotated[str, AfterValidator(check_url)]
VariableName = Annotated[str, AfterValidator(_check_variable)]
CronText = Annotated[str, AfterValidator(_check_cron)]
TimeZoneName = Annotated[str, AfterValidator(_check_timezone)]
FilePath = Annotated[Path, Field(strict=False), AfterValidator(_check_path)]
"""A path; absolute once the config is loaded."""
