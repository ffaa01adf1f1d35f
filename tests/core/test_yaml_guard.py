"""YAML that would keep the reader for hours or fill the memory is refused at once, in plain words."""

from __future__ import annotations

import pytest

from deidflow.tasks.core.config.yaml import read_yaml, read_yaml_value
from deidflow.tasks.core.errors import InvalidInput


def _bomb(levels: int, width: int) -> str:
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (_bomb(9, 9), "at most 100000 keys and values"),
        (_bomb(38, 10), "at most 100000 keys and values"),
        ("a: &a {x: 1}\nb: &b {<<: [*a, *a]}\nc: &c {<<: *c}", "or one inside itself"),
        ("a: &a [*a]", "or one inside itself"),
        ("a: " + "[" * 41 + "]" * 41, "more than 40 deep"),
        ("a: " + "[" * 8000 + "]" * 8000, "more than 40 deep"),  # which ruamel.yaml reads in minutes
        ("? " * 30 + "x", "must not have a group or a list as a key"),
        ("? [a, b]\n: 1", "must not have a group or a list as a key"),
        ("a: &a [1]\n? *a\n: 1", "must not have a group or a list as a key"),
        ('a: "x\\0y"', "a NUL or half of a surrogate pair"),
        ('a: "\\ud800"', "a NUL or half of a surrogate pair"),
        ("? 0x" + "f" * 6000, "a number of thousands of digits"),
    ],
    ids=range(12),
)
def test_refused(text: str, expected: str) -> None:
    """As a file and as the value of ``--set``."""
    with pytest.raises(InvalidInput, match=expected):
        read_yaml(text, "trial.yaml")
    if not text.startswith("? 0x"):
        with pytest.raises(ValueError, match="the value must be YAML"):
            read_yaml_value("{" + text + "}" if "\n" not in text and text.startswith("a: ") else text)


def test_ordinary_anchors_are_read() -> None:
    """Anchors, aliases and merged groups stay what they are, also when an anchor stands twice."""
    document = read_yaml("a: &x {k: 1}\nb: *x\nc: {<<: *x, l: 2}\nd: &x [1]\ne: *x", "trial.yaml")

    assert {"a": {"k": 1}, "b": {"k": 1}, "c": {"k": 1, "l": 2}, "d": [1], "e": [1]} == document.data


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:os.system [x]",
        "!!python/name:os.system",
        "!!python/tuple [1]",
        "!!binary aGk=",
        "!!set {a}",
        "!!timestamp 2026-01-01",
        "!mine x",
        "!mine {a: 1}",
        "[1, !mine x]",
    ],
)
def test_tags_for_programs_are_refused_with_their_line(value: str) -> None:
    """A config is plain data: whatever else a tag promises is a problem of its line, and nothing is built."""
    with pytest.raises(InvalidInput) as caught:
        read_yaml(f"a: 1\nb:\n  c: {value}\n", "trial.yaml")
    with pytest.raises(ValueError, match="the value must be YAML"):
        read_yaml_value(value)

    (problem,) = caught.value.problems
    assert ("trial.yaml", 3) == (problem.file, problem.line)
    assert "must be plain YAML" in problem.text


def test_tags_of_plain_yaml_are_read() -> None:
    """Text, numbers, booleans, nothing, groups and lists may be called what they are."""
    text = "a: !!str 1\nb: !!int 2\nc: !!bool true\nd: !!map {x: !!seq [1]}\ne: ! f\ng: !!str x"

    document = read_yaml(text, "trial.yaml")

    assert {"a": "1", "b": 2, "c": True, "d": {"x": [1]}, "e": "f", "g": "x"} == document.data
    assert all(type(value) in (str, int, bool, dict) for value in document.data.values())
