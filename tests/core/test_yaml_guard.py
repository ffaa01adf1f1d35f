"""YAML that would keep the reader for hours or fill the memory is refused at once, in plain words."""

from __future__ import annotations

import pytest

from deidflow.tasks.core.errors import InvalidInput
from deidflow.tasks.core.yaml_lines import read_yaml, read_yaml_value


def _bomb(levels: int, width: int) -> str:
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (_bomb(9, 9), "more than 100000 keys and values"),
        (_bomb(38, 10), "more than 100000 keys and values"),
        ("a: &a {x: 1}\nb: &b {<<: [*a, *a]}\nc: &c {<<: *c}", "or one inside itself"),
        ("a: &a [*a]", "or one inside itself"),
        ("a: " + "[" * 41 + "]" * 41, "more than 40 deep"),
        ("? " * 60 + "x", "has a group or a list as a key"),
        ("? [a, b]\n: 1", "has a group or a list as a key"),
        ("a: &a [1]\n? *a\n: 1", "has a group or a list as a key"),
        ('a: "x\\0y"', "a NUL or half of a surrogate pair"),
        ('a: "\\ud800"', "a NUL or half of a surrogate pair"),
        ("? 0x" + "f" * 6000, "a number of thousands of digits"),
    ],
    ids=range(11),
)
def test_refused(text: str, expected: str) -> None:
    """As a file and as the value of ``--set``."""
    with pytest.raises(InvalidInput, match=expected):
        read_yaml(text, "trial.yaml")
    if not text.startswith("? 0x"):
        with pytest.raises(ValueError, match="the value is no YAML"):
            read_yaml_value("{" + text + "}" if "\n" not in text and text.startswith("a: ") else text)


def test_ordinary_anchors_are_read() -> None:
    """Anchors, aliases and merged groups stay what they are, also when an anchor stands twice."""
    document = read_yaml("a: &x {k: 1}\nb: *x\nc: {<<: *x, l: 2}\nd: &x [1]\ne: *x", "trial.yaml")

    assert {"a": {"k": 1}, "b": {"k": 1}, "c": {"k": 1, "l": 2}, "d": [1], "e": [1]} == document.data
