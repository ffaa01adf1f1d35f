"""What is refused in YAML before it is built: a few lines can name billions of values, or keep the reader for hours.

The text is read event by event, in time and memory that grow with its length alone.

Public names: ``check_yaml``, ``UnreasonableYaml``, ``MAX_DEPTH``.
"""

from __future__ import annotations

import re
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
)

MAX_DEPTH: Final = 40
_MAX_NODES: Final = 100_000
"""Keys and values, aliases counted as often as they are used."""

_NO_TEXT: Final = re.compile(r"[\0\ud800-\udfff]")
"""Written as ``"\\0"`` or ``"\\ud800"``: no value of DICOM has it, no file name, and no file can store it."""

_TOO_DEEP: Final = f"has groups more than {MAX_DEPTH} deep, or one inside itself"


_PLAIN_TAGS: Final = frozenset(
    {"!"} | {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "map", "seq")}
)
"""What a value may be said to be (YAML 1.2.2, 10.2, the JSON schema). Others are for programs: ``!!python/name``."""


class UnreasonableYaml(ValueError):
    """The text may be YAML and is no config; ``str(error)`` says why and repeats nothing of it.

    Attributes:
        line: From 1, 0 when the whole text is meant.

    """

    def __init__(self, text: str, line: int = 0) -> None:
        super().__init__(text)
        self.line = line


class _Open:
    """A group or list whose end has not come yet."""

    __slots__ = ("anchor", "is_group", "nodes", "parts")

    def __init__(self, anchor: str | None, *, is_group: bool) -> None:
        self.anchor = anchor
        self.is_group = is_group
        self.nodes = 1
        self.parts = 0

    @property
    def expects_key(self) -> bool:
        """Whether the next part is a key."""
        return self.is_group and self.parts % 2 == 0


def check_yaml(text: str) -> None:
    """Refuse what no config has.

    Raises:
        UnreasonableYaml: Groups are nested too deep or hold themselves, a key is a group or a list, aliases make far
            more of the text than stands there, a value has a tag of a program, or is no text.
        YAMLError: It is no YAML.

    """
    open_: list[_Open] = []
    sizes: dict[str, int] = {}  # by anchor; those of groups and lists are more than 1
    for event in YAML(typ="rt", pure=True).parse(text):
        _check_tag(event)
        if isinstance(event, CollectionStartEvent):
            if open_ and open_[-1].expects_key:
                raise UnreasonableYaml("has a group or a list as a key; keys are text")
            if len(open_) >= MAX_DEPTH:
                raise UnreasonableYaml(_TOO_DEEP)
            open_.append(_Open(event.anchor, is_group=isinstance(event, MappingStartEvent)))
        elif isinstance(event, ScalarEvent | AliasEvent):
            nodes = _size(event, open_, sizes)
            _note(open_, nodes)
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            closed = open_.pop()
            if closed.anchor:
                sizes[closed.anchor] = closed.nodes + 1
            _note(open_, closed.nodes)


def _check_tag(event: Any) -> None:
    tag = getattr(event, "tag", None)
    if tag is not None and str(tag) not in _PLAIN_TAGS:
        raise UnreasonableYaml(
            "must be plain YAML: write the value without a tag (! and what follows it)", event.start_mark.line + 1
        )


def _size(event: Any, open_: list[_Open], sizes: dict[str, int]) -> int:
    """Return how many nodes a scalar or an alias stands for."""
    if isinstance(event, ScalarEvent):
        if _NO_TEXT.search(event.value):
            raise UnreasonableYaml("has text with a NUL or half of a surrogate pair in it")
        if event.anchor:
            sizes[event.anchor] = 1
        return 1
    if any(group.anchor == event.anchor for group in open_):
        raise UnreasonableYaml(_TOO_DEEP)
    nodes = sizes.get(event.anchor, 1)  # an unknown one is the loader's to refuse
    if nodes > 1 and open_ and open_[-1].expects_key:
        raise UnreasonableYaml("has a group or a list as a key; keys are text")
    return nodes


def _note(open_: list[_Open], nodes: int) -> None:
    """Count a finished part of the innermost group or list."""
    if not open_:
        return
    open_[-1].nodes += nodes
    open_[-1].parts += 1
    if open_[-1].nodes > _MAX_NODES:
        raise UnreasonableYaml(
            f"has more than {_MAX_NODES} keys and values, aliases (*) counted as often as they stand"
        )
