"""Assertions on the results of a case, small enough to be put together.

Public names: ``all_of``, ``became``, ``empty``, ``gone``, ``kept``, ``renewed``, ``joined``, ``follows``, ``left``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.contract.upstream.case import value_at

if TYPE_CHECKING:
    from tests.contract.upstream.case import Check, Results


def all_of(*checks: Check) -> Check:
    """Hold all of these."""

    def check(results: Results) -> None:
        assert results.pairs
        for one in checks:
            one(results)

    return check


def became(path: str, value: str) -> Check:
    """Every result has this value."""

    def check(results: Results) -> None:
        assert [value] * len(results.pairs) == [value_at(result, path) for _, result in results.pairs], path

    return check


def empty(*paths: str) -> Check:
    """Every result has these elements without a value; the originals had one."""

    def check(results: Results) -> None:
        for path in paths:
            assert all(value_at(source, path) for source, _ in results.pairs), path
            assert {""} == {value_at(result, path) for _, result in results.pairs}, path

    return check


def gone(*paths: str) -> Check:
    """No result has these elements; the originals had them."""

    def check(results: Results) -> None:
        for path in paths:
            assert all(value_at(source, path) is not None for source, _ in results.pairs), path
            assert {None} == {value_at(result, path) for _, result in results.pairs}, path

    return check


def kept(*paths: str) -> Check:
    """Every result has the original's value."""

    def check(results: Results) -> None:
        for path in paths:
            for source, result in results.pairs:
                assert value_at(source, path) is not None, path
                assert value_at(source, path) == value_at(result, path), path

    return check


def renewed(*paths: str) -> Check:
    """Every result has another value than its original, and not none."""

    def check(results: Results) -> None:
        for path in paths:
            for source, result in results.pairs:
                assert value_at(result, path), path
                assert value_at(source, path) != value_at(result, path), path

    return check


def joined(*paths: str) -> Check:
    """Originals with equal values have results with equal values, others have others."""

    def check(results: Results) -> None:
        for path in paths:
            pairs = {(value_at(source, path), value_at(result, path)) for source, result in results.pairs}
            assert len(pairs) == len({old for old, _ in pairs}) == len({new for _, new in pairs}), path

    return check


def follows(number: int, path: str, other: int, target: str) -> Check:
    """A reference of one object names another object before, and its result after."""

    def check(results: Results) -> None:
        for which in (0, 1):
            assert value_at(results.pairs[number][which], path) == value_at(results.pairs[other][which], target), path
        assert value_at(results.pairs[number][0], path) != value_at(results.pairs[number][1], path), path

    return check


def left(count: int) -> Check:
    """So many of the originals are still there."""

    def check(results: Results) -> None:
        assert count == results.left

    return check
