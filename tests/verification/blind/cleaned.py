"""Leaks of texts that are cleaned: what cleaning takes out, put back in its place or left somewhere else.

Public names: ``draw_leaks``.
"""

from __future__ import annotations

import random
from typing import Final

from pydicom import datadict

from tests.dicom_files import EXPLICIT
from tests.verification.blind import draw as other_leaks
from tests.verification.blind import places
from tests.verification.blind.draw import OWN, Leak, in_charset
from tests.verification.blind.names import NAMES
from tests.verification.blind.profiles import attributes
from tests.verification.blind.sentences import CARRIERS, said

_LENGTHS: Final = {"AE": 16, "CS": 16, "SH": 16, "LO": 64, "ST": 1024}
"""Characters that a VR allows; the others hold any sentence."""
_CONTENT: Final = 0x0040A730


def draw_leaks(count: int, profile: str, seed: int, *, private: bool) -> list[Leak]:
    """Return leaks of cleaned texts, see ``draw.draw_leaks``; with ``private`` in private elements."""
    draw = random.Random(f"{seed} {profile} {private} cleaned")  # noqa: S311 (no secret)
    leaks: list[Leak] = []
    while len(leaks) < count:
        leak = _leak(len(leaks), draw, profile, seed, private=private)
        if leak and not other_leaks.clashes(leak):
            leaks.append(leak)
    return leaks


def _leak(number: int, draw: random.Random, profile: str, run: int, *, private: bool) -> Leak | None:
    carrier = draw.choice([*CARRIERS, "any"])
    keyword = draw.choice(CARRIERS.get(carrier) or [one for one, vr in attributes(profile)["cleaned"] if vr != "AE"])
    vr = datadict.dictionary_VR(keyword)
    who, other = draw.sample(NAMES, 2)
    text = said(carrier, who, other, other_leaks.identifiers_of(number, run)[0], draw)
    if len(text.text) > _LENGTHS.get(vr, len(text.text)):
        return None
    charset = "ISO_IR 192"
    if all(in_charset(one, who.charset, person=True) for one in (who.text, text.text, text.also[1] or "x")):
        charset = who.charset
    above = _above(carrier, draw)
    if (place := draw.choice((OWN, "elsewhere"))) == OWN and not private:
        left = in_charset(draw.choice((text.text, text.left)), charset, person=False)
        syntax = draw.choice(places.SYNTAXES)
        elements = [other_leaks.carried(keyword, _even(left or b""), above)]
        codec = "declared"
    else:
        place = draw.choice(places.PRIVATE_PLACES if private else places.PLACES)
        if place == "item with its own character set":
            return None
        syntax = places.IN_FRAMES.get(place) or draw.choice(places.SYNTAXES)
        if place in {"UN text", "UN sequence", "UN sequence, no length", "private UN"}:
            syntax = EXPLICIT
        left, codec = other_leaks.written(text.left, charset, place, draw)
        elements = other_leaks.holding(place, left, charset, profile, draw)
    value = in_charset(text.text, charset, person=False)
    if value is None or left is None:
        return None
    label = f"{text.label}; {codec}"
    also = text.also[0], _even(in_charset(text.also[1], charset, person="^" in text.also[1]) or b"")
    return Leak(
        number, who, keyword, "cleaned", _even(value), above, left, place, elements, syntax, charset, label, also
    )


def _even(data: bytes) -> bytes:
    return data + b" " * (len(data) % 2)


def _above(carrier: str, draw: random.Random) -> tuple[int, ...]:
    if carrier == "structured":
        return (_CONTENT,) * draw.choice((1, 1, 2))
    return () if draw.random() < 0.7 else (draw.choice(places.KEPT_SEQUENCES),)
