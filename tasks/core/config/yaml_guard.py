"""What is refused in YAML before it is built: a few lines can name billions of values, or keep the reader for hours.

The depth is counted while it is read, all else on the graph of nodes, in which an alias is another arrow to the same
node.

Public names: ``check_yaml``, ``MAX_DEPTH``.
"""

from __future__ import annotations

import re
import warnings
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from deidflow.tasks.core.errors import BadText

MAX_DEPTH: Final = 40
_MAX_NODES: Final = 100_000
"""Keys and values, aliases counted as often as they are used."""

_NO_TEXT: Final = re.compile(r"[\0\ud800-\udfff]")
"""Written as ``"\\0"`` or ``"\\ud800"``: no value of DICOM has it, no file name, and no file can store it."""

_TOO_DEEP: Final = f"must not nest groups more than {MAX_DEPTH} deep, nor one inside itself"

_PLAIN_TAGS: Final = frozenset(
    {"!"} | {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "map", "seq")}
)
"""What a value may be said to be (YAML 1.2.2, 10.2, the JSON schema). Others are for programs: ``!!python/name``."""


def check_yaml(text: str) -> None:
    """Refuse what no config has.

    Raises:
        BadText: Groups are nested too deep or hold themselves, a key is a group or a list, aliases make far
            more of the text than stands there, a value has a tag of a program, or is no text.
        YAMLError: It is no YAML.

    """
    yaml = YAML(typ="rt", pure=True)
    depth = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an anchor that stands twice; the warning repeats the text around it
        for event in yaml.parse(text):  # only here is a tag that was written told from one that was guessed
            _check_tag(event)
            depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
            if depth > MAX_DEPTH:  # before more is read: the time that reading takes grows with the square of it
                raise BadText(_TOO_DEEP)
        _size(yaml.compose(text), {})


def _size(node: Any, sizes: dict[int, int]) -> int:
    """Return how many keys and values a node stands for; in ``sizes`` 0 means that it is being counted."""
    if id(node) in sizes:
        if sizes[id(node)] == 0:
            raise BadText(_TOO_DEEP)
        return sizes[id(node)]
    sizes[id(node)] = 0
    if isinstance(node, ScalarNode) and _NO_TEXT.search(node.value):
        raise BadText("must not have text with a NUL or half of a surrogate pair in it")
    total = 1
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                raise BadText("must not have a group or a list as a key; keys are text")
            total += _size(key, sizes) + _size(value, sizes)
    elif isinstance(node, SequenceNode):
        total += sum(_size(entry, sizes) for entry in node.value)
    if total > _MAX_NODES:
        raise BadText(f"must have at most {_MAX_NODES} keys and values, aliases (*) counted as often as they are used")
    sizes[id(node)] = total
    return total


def _check_tag(event: Any) -> None:
    tag = getattr(event, "tag", None)
    if tag is not None and str(tag) not in _PLAIN_TAGS:
        raise BadText(
            "must be plain YAML: write the value without a tag (! and what follows it)",
            line=event.start_mark.line + 1,
        )
