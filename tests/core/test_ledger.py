"""The ledger as an interface: what is written through it is what is read, and what it cannot read it refuses."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deidflow.tasks.core.errors import InvalidInput, Unusable
from deidflow.tasks.core.ledger.journal import add_leftovers, count_leftovers, leftovers
from deidflow.tasks.core.ledger.ledger import Ledger
from deidflow.tasks.core.ledger.run_facts import RunFacts, change_facts, read_facts, read_manifest, store_manifest
from deidflow.tasks.core.ledger.schema import SCHEMA_VERSION
from tests.core.ledgers import FACTS, Instance, Row, make_ledger

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
MOMENTS = st.none() | st.just("2026-01-31T02:00:00Z")
RUN_FACTS = st.builds(
    RunFacts,
    run_id=TEXTS,
    config=st.dictionaries(TEXTS, st.none() | st.booleans() | TEXTS | st.lists(TEXTS), max_size=3),
    free_columns=st.lists(TEXTS, max_size=3).map(tuple),
    server_makes_room=st.none() | st.booleans(),
    notes=st.lists(TEXTS, max_size=3).map(tuple),
    versions=st.dictionaries(TEXTS, TEXTS, max_size=2),
    started=MOMENTS,
    attempts=st.integers(0, 9),
    ended=MOMENTS,
    complete=st.booleans(),
    unusable=st.none() | TEXTS,
    seconds_by_step=st.dictionaries(TEXTS, st.floats(0, 1e6), max_size=2),
)


@given(st.lists(RUN_FACTS, min_size=1, max_size=3))
def test_facts_are_read_as_they_were_written(all_facts: list[RunFacts]) -> None:
    """Whatever stood there before."""
    with Ledger.prepare() as ledger:
        assert RunFacts() == read_facts(ledger)
        for facts in all_facts:
            assert facts == change_facts(ledger, lambda _, wanted=facts: wanted)  # type: ignore[misc]
            assert facts == read_facts(ledger)


def test_changes_of_several_threads_are_all_kept() -> None:
    """Each is made on the facts as they are at that moment."""
    with Ledger.prepare() as ledger:

        def count() -> None:
            for _ in range(20):
                change_facts(ledger, lambda facts: replace(facts, attempts=facts.attempts + 1))

        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert 80 == read_facts(ledger).attempts


def test_a_change_that_fails_changes_nothing(tmp_path: Path) -> None:
    """Facts stay as they were, and the ledger can be used."""

    def broken(facts: RunFacts) -> RunFacts:
        del facts
        raise ZeroDivisionError

    with make_ledger([Row([Instance("1")])]).store(tmp_path / "ledger.db") as ledger:
        before = read_facts(ledger)
        with pytest.raises(ZeroDivisionError):
            change_facts(ledger, broken)
        assert before == read_facts(ledger)
        assert 7 == change_facts(ledger, lambda facts: replace(facts, attempts=7)).attempts


def test_a_manifest_comes_back_byte_for_byte() -> None:
    """As it was read, whatever bytes it has; without one the ledger is damaged."""
    with Ledger.prepare() as ledger:
        with pytest.raises(InvalidInput, match="does not hold the manifest"):
            read_manifest(ledger)
        store_manifest(ledger, b"\xef\xbb\xbforthanc_id\r\n\xff\0", "cohort.csv", "ab")

        assert b"\xef\xbb\xbforthanc_id\r\n\xff\0" == read_manifest(ledger)
        assert ("cohort.csv", "ab") == (read_facts(ledger).manifest_name, read_facts(ledger).manifest_sha256)


def test_leftovers_are_noted_once() -> None:
    """However often a call is looked at."""
    with Ledger.prepare() as ledger:
        for call in (1, 2):
            add_leftovers(ledger, call, ["b", "a", "b"])

        assert (["a", "b"], 2) == (leftovers(ledger), count_leftovers(ledger))


@pytest.mark.parametrize(
    ("version", "named"),
    [
        ('"0.0.9"', "deidflow 0.0.9,"),
        ('"0.1.0"', "deidflow 0.1.0,"),
        (None, "another version of deidflow,"),
        ('"\\u001b[2J DOE^JOHN"', "another version of deidflow,"),
    ],
)
@pytest.mark.parametrize("schema", [SCHEMA_VERSION - 1, "x"])
def test_a_ledger_of_another_version(tmp_path: Path, version: str | None, named: str, schema: object) -> None:
    """It is said which version made it and what to do, and what it holds stays as it is."""
    path = tmp_path / "ledger.db"
    make_ledger([Row([Instance("1")])]).store(path).close()
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (f"{schema}",))
        connection.execute("DELETE FROM meta WHERE key = 'deidflow_version'")
        if version is not None:
            connection.execute("INSERT INTO meta VALUES ('deidflow_version', ?)", (version,))
        before = list(connection.iterdump())

    with pytest.raises(InvalidInput) as caught:
        Ledger.open(path)

    assert named in str(caught.value)
    assert "with the version that made it, or start a new run" in str(caught.value)
    assert "DOE" not in str(caught.value)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert before == list(connection.iterdump())


def test_a_full_disk_is_a_field(tmp_path: Path) -> None:
    """Nobody has to look for it in the text."""
    with make_ledger([Row([Instance("1")])]).store(tmp_path / "ledger.db") as ledger:
        ledger.execute(f"PRAGMA max_page_count = {ledger.scalar('PRAGMA page_count')}")
        with pytest.raises(Unusable, match="the disk is full") as caught:
            add_leftovers(ledger, 1, (f"{number:01000}" for number in range(1000)))

        assert caught.value.is_for_want_of_room
        assert 0 == count_leftovers(ledger)
        assert FACTS.run_id == read_facts(ledger).run_id
