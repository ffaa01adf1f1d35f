"""Stretches of octets to blank: what the functions of this room return.

Blanking leaves every length as it is, so that fragments, frames and offset tables need no mending and nothing but the
blanked octets changes.

Public names: ``Range``, ``UnsafeContentError``, ``blanked``, ``is_encoder_note``,
``is_padding``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


# What encoders write into every file: their names and versions, and tables of numbers.
_ENCODER_NOTES: Final = re.compile(
    rb"Created by (?:GDCM/)?OpenJPEG version [\d.]{1,12}|Creator: JasPer Version [\d.]{1,12}|"
    rb"Kakadu-v?[\d.]{1,12}|LEAD Technologies Inc\. V[\d.]{1,8}|"
    rb"Kdu-Layer-Info: log_2\{Delta-D\(squared-error\)/Delta-L\(bytes\)\}, L\(bytes\)\n(?:[-+\d.,e ]{1,40}\n)*|"
    rb"CREATOR: gd-jpeg v[\d.]{1,8} \(using IJG JPEG v\d{1,4}\), (?:default quality|quality = \d{1,3})\n?"
)


class UnsafeContentError(ValueError):
    """The content cannot be read to its end with certainty, so nobody can say what is in it; names no content."""


class Range(NamedTuple):
    """Octets to blank.

    Attributes:
        start: The first.
        end: Behind the last.
        fill: What each becomes.

    """

    start: int
    end: int
    fill: int = 0


def blanked(data: bytes, ranges: Iterable[Range]) -> bytes:
    """Return the octets with the ranges blanked; the same object where there are none."""
    result: bytearray | None = None
    for one in ranges:
        result = bytearray(data) if result is None else result
        result[one.start : one.end] = bytes([one.fill]) * (one.end - one.start)
    return data if result is None else bytes(result)


def is_padding(octets: bytes) -> bool:
    """Whether octets behind the end of a frame fill it up and say nothing: zeros, or JPEG's fill octets."""
    return not octets.strip(b"\0") or not octets.strip(b"\xff")


def is_encoder_note(comment: bytes) -> bool:
    """Whether a comment is one that an encoder writes into all of its files, so that nothing needs to change."""
    return _ENCODER_NOTES.fullmatch(comment.rstrip(b"\0 ")) is not None
