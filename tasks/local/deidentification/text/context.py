"""Words that say something of the words beside them: titles, particles of names, units (``context_words.txt``).

Public names: ``Context``, ``load_context``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files
from typing import Final, NamedTuple

_PACKAGE: Final = "deidflow.tasks.local.deidentification.text"
_SECTION: Final = re.compile(r"\[([a-z ]+)\]")


class Context(NamedTuple):
    """Sets of folded words.

    Attributes:
        titles: What follows is a name.
        faint_titles: What follows is a name if no vocabulary vouches for it.
        titles_as_written: Titles in this case only; MR and DR are modalities.
        speak_of_persons: Before a word that is also a name, they make it one.
        particles: Parts of names before a family name.
        beginnings: With a capital behind them, beginnings of one-word names.
        units: Letters that may stand in one word with numbers of up to four digits.
        before_numbers: Names of parameters, whose number is no year.
        prefixes: Before a word of five letters or more; no name of a person is made so.
        modalities: Before a word of radiology; no name begins with these letters.
        no_abbreviations: Names, titles and places that look like abbreviations, since no syllable is in them.

    """

    titles: frozenset[str]
    faint_titles: frozenset[str]
    titles_as_written: frozenset[str]
    speak_of_persons: frozenset[str]
    particles: frozenset[str]
    beginnings: frozenset[str]
    units: frozenset[str]
    before_numbers: frozenset[str]
    prefixes: frozenset[str]
    modalities: frozenset[str]
    no_abbreviations: frozenset[str]


@lru_cache
def load_context() -> Context:
    """Read the sets from the package's data, once a process."""
    text = files(_PACKAGE).joinpath("context_words.txt").read_text(encoding="utf-8")
    _, *parts = _SECTION.split(text)
    sets = dict(zip(parts[::2], map(frozenset, map(str.split, parts[1::2])), strict=True))
    return Context(
        titles=sets["titles"],
        faint_titles=sets["faint titles"],
        titles_as_written=sets["titles as written"],
        speak_of_persons=sets["speak of persons"],
        particles=sets["particles"],
        beginnings=sets["beginnings of names"],
        units=sets["units"],
        before_numbers=sets["before numbers"],
        prefixes=sets["prefixes"],
        modalities=sets["modalities"],
        no_abbreviations=sets["no abbreviations"],
    )
