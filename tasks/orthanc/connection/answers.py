"""Reads what an Orthanc answers: JSON within limits, and of it only what has the type that it must have.

What answers may be a proxy's page, a broken server, or nobody's friend: numbers where text belongs, texts of any
length, ``Infinity``, lists a thousand deep. None of that reaches the rest; each is one ``ServerError``.

Public names: ``parse_json``, ``NO_JSON``, ``strange``, ``mapping``, ``objects``, ``text``, ``texts``, ``whole``,
``fraction``, ``resource_id``, ``resource_ids``,
``job_identifier``.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final, NoReturn

from deidflow.tasks.orthanc.connection.errors import ServerError

NO_JSON: Final = object()
"""What ``parse_json`` gives for what is none."""

_LARGEST: Final = (1 << 63) - 1
"""What SQLite, on both sides, can hold."""

_OK: Final = 200
_RESOURCE: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{8}){4}")
_JOB: Final = re.compile(r"[0-9A-Za-z-]{1,64}")


def parse_json(content: bytes) -> Any:
    """Return what a body says, ``NO_JSON`` when it is no JSON of RFC 8259, or nested deeper than anybody reads.

    >>> parse_json(b'{"a": NaN}') is NO_JSON
    True
    """
    try:
        return json.loads(content, parse_constant=_refuse)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError, and so is a number of 5,000 digits
        return NO_JSON


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


def strange(what: str) -> ServerError:
    """Return the error for an answer about something that is none of an Orthanc."""
    return ServerError(f"the answer about {what} is not what an Orthanc sends; does a proxy answer for it?", _OK)


def mapping(value: object, what: str) -> dict[str, Any]:
    """Return a value that must be an object.

    Args:
        value: From ``parse_json``.
        what: Names the answer in the error.

    Raises:
        ServerError: It is none; the same for every function here.

    """
    if not isinstance(value, dict):
        raise strange(what)
    return value


def objects(value: object, what: str) -> list[dict[str, Any]]:
    """Return a value that must be a list of objects."""
    if not isinstance(value, list):
        raise strange(what)
    return [mapping(item, what) for item in value]


def text(item: dict[str, Any], key: str, what: str, default: str | None = None) -> str:
    """Return a member that must be text; the default when it is not there."""
    value = item.get(key, default)
    if not isinstance(value, str):
        raise strange(what)
    return value


def texts(item: dict[str, Any], key: str, what: str) -> dict[str, str]:
    """Return a member that must be an object of texts, empty when it is not there; members of other types are left out.

    Main DICOM tags may be null or, on servers with plugins, something else.
    """
    found = mapping(item.get(key, {}), what)
    return {name: value for name, value in found.items() if isinstance(value, str)}


def whole(item: dict[str, Any], key: str, what: str, default: int | None = None) -> int:
    """Return a member that must be a whole number of 63 bits; the default when it is not there."""
    value = item.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _LARGEST:
        raise strange(what)
    return value


def fraction(item: dict[str, Any], key: str, what: str, default: float) -> float:
    """Return a member that must be a finite number; the default when it is not there."""
    value = item.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > _LARGEST:
        raise strange(what)
    return value if math.isfinite(value) else default


def resource_id(item: dict[str, Any], key: str, what: str) -> str:
    """Return a member that must be Orthanc's identifier of a resource."""
    return _matching(item.get(key), _RESOURCE, what)


def resource_ids(value: object, what: str) -> list[str]:
    """Return a value that must be a list of Orthanc's identifiers of resources."""
    if not isinstance(value, list):
        raise strange(what)
    return [_matching(name, _RESOURCE, what) for name in value]


def job_identifier(item: dict[str, Any], what: str) -> str:
    """Return the member ``ID``, which must be the identifier of a job."""
    return _matching(item.get("ID"), _JOB, what)


def _matching(value: object, pattern: re.Pattern[str], what: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise strange(what)
    return value
