"""How the pages of this room are made from their templates, and how they write numbers and times.

Public names: ``page_templates``, ``number``, ``duration``, ``moment``.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_MINUTE_S: Final = 60
_HOUR_S: Final = 3600


@cache
def page_templates() -> Environment:
    """Return the templates that stand beside this module: values are escaped, and one that is missing is an error."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"number": number, "duration": duration, "moment": moment}
    return environment


def number(value: int) -> str:
    """Return a number with narrow blanks between its thousands."""
    return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def duration(seconds: float) -> str:
    """Return a duration as people say it.

    >>> duration(0.25), duration(75.2), duration(7265)
    ('0.25 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < _MINUTE_S:
        return f"{seconds:.2f} s"
    if seconds < _HOUR_S:
        return f"{int(seconds // _MINUTE_S)} min {int(seconds % _MINUTE_S)} s"
    return f"{int(seconds // _HOUR_S)} h {int(seconds % _HOUR_S // _MINUTE_S)} min"


def moment(text: str) -> str:
    """Return an ISO time without fractions of a second.

    >>> moment("2026-01-31T02:00:00.123456+00:00")
    '2026-01-31 02:00:00 UTC'
    """
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S} UTC"
