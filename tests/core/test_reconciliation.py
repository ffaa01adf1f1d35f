"""What became of rows, instances and the run: every one has exactly one outcome, and the counts add up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.engine.sources import ProblemCode
from deidflow.tasks.core.outcomes import SEVERITY, Outcome, Reason, ReasonCode, worst
from deidflow.tasks.core.report.crosswalk import CrosswalkLine, crosswalk
from deidflow.tasks.core.report.reconciliation import RowResult, row_results
from deidflow.tasks.core.report.totals import totals_of
from tests.core.ledgers import Instance, Row, make_ledger

if TYPE_CHECKING:
    from pathlib import Path

    from deidflow.tasks.core.ledger.ledger import Ledger

DAMAGED = Reason(ReasonCode.DAMAGED, "truncated at byte 12")
GONE = Reason(ReasonCode.RESULT_MISSING, "gone")
STOPPED = Reason(ReasonCode.INTERRUPTED, "stopped")


def only_row(*rows: Row) -> RowResult:
    """Return the result of a run with one row."""
    with make_ledger(rows) as ledger:
        (result,) = row_results(ledger)
    return result


def lines_of(ledger: Ledger, level: Level) -> list[CrosswalkLine]:
    """Return the crosswalk's lines of one level."""
    return [line for line in crosswalk(ledger) if line.level == level]


def test_a_row_is_done_when_all_its_instances_are() -> None:
    """It has the new identifier of its own level, no reason, and the highest number of attempts."""
    instances = [Instance("1"), Instance("2", attempts=3, chunk="c0002")]
    result = only_row(Row(instances))

    assert result.outcome is Outcome.DONE
    assert result.reason is None
    assert result.new_orthanc_ids == (instances[0].new_identifiers.orthanc_id(Level.STUDY),)
    assert (result.instances_expected, result.instances_done, result.instances_failed) == (2, 2, 0)
    assert result.chunks == ("c0001", "c0002")
    assert result.attempts == 3


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        (("done", "cancelled", "missing", "failed"), "failed"),
        (("done", "cancelled", "missing"), "missing"),
        (("done", ""), "cancelled"),
    ],
)
def test_a_row_has_the_worst_outcome_of_its_instances(outcomes: tuple[str, ...], expected: str) -> None:
    """Failed before missing before cancelled; what nobody knows anything about is cancelled."""
    result = only_row(Row([Instance(str(number), outcome=outcome) for number, outcome in enumerate(outcomes)]))

    assert expected == result.outcome
    assert result.instances_done == 1


def test_what_is_no_outcome_and_no_reason_of_ours(tmp_path: Path) -> None:
    """A ledger that something else wrote into: the worst outcome, and no text that passes for a code."""
    with make_ledger([Row([Instance("1"), Instance("2")])]).store(tmp_path / "ledger.db") as ledger:
        ledger.execute("UPDATE instance SET outcome = 'nonsense', code = 'DOE^JOHN', text = 'x' WHERE id = 2")
        (result,) = row_results(ledger)
        found = totals_of(ledger)

    assert (Outcome.FAILED, Reason(ReasonCode.INTERNAL_ERROR, "x"), 1) == (
        result.outcome,
        result.reason,
        result.instances_done,
    )
    assert found.row_reasons == found.instance_reasons == {ReasonCode.INTERNAL_ERROR: 1}


def test_one_reason_stands_alone() -> None:
    """Two instances that failed alike are told by the counts."""
    result = only_row(Row([Instance(n, outcome="failed", reason=DAMAGED) for n in "12"] + [Instance("3")]))

    assert result.reason == DAMAGED
    assert result.is_partly_done


def test_several_reasons_are_counted_by_code() -> None:
    """The worst one's text comes first, so that the reason still begins with a code."""
    result = only_row(
        Row(
            [
                Instance("1", outcome="failed", reason=DAMAGED),
                Instance("2", outcome="failed", reason=Reason(ReasonCode.DAMAGED, "truncated at byte 14")),
                Instance("3", outcome="cancelled", reason=STOPPED),
                Instance("4"),
            ]
        )
    )

    assert result.reason is not None
    assert result.reason.code is ReasonCode.DAMAGED
    assert result.reason.text.startswith("truncated at byte 1")
    assert result.reason.text.endswith(" (3 of 4 instances are not done: 2 damaged, 1 interrupted)")


def test_the_reason_does_not_depend_on_the_order_of_the_instances() -> None:
    """Of several worst instances the first by Orthanc identifier gives the reason."""
    reasons = [Reason(ReasonCode.DAMAGED, f"truncated at byte {n}") for n in range(9)]
    instances = [Instance(str(n), outcome="failed", reason=reason) for n, reason in enumerate(reasons)]
    first = min(instances, key=lambda instance: instance.orthanc_id)

    assert only_row(Row(instances)).reason == only_row(Row(instances[::-1])).reason
    assert str(only_row(Row(instances)).reason).startswith(str(first.reason))


def test_what_is_not_known_yet_is_interrupted() -> None:
    """A report that is made while or after a run stopped gives every instance an outcome."""
    result = only_row(Row([Instance("1", outcome="", reason=DAMAGED)]))

    assert result.outcome is Outcome.CANCELLED
    assert str(result.reason).startswith("interrupted: ")
    assert result.new_orthanc_ids == ()


def test_a_row_without_instances_is_never_done() -> None:
    """What is not accounted for has failed."""
    result = only_row(Row())

    assert result.outcome is Outcome.FAILED
    assert str(result.reason).startswith("internal-error: ")


def test_rows_that_were_set_aside() -> None:
    """They have their own outcome, no instances and no new identifier."""
    rows = [Row(outcome="not_found", reason=Reason(ReasonCode.NOT_FOUND, "nothing")), Row(outcome="invalid")]
    with make_ledger(rows) as ledger:
        results = list(row_results(ledger))
        lines = list(crosswalk(ledger))

    assert [(r.outcome, r.reason and r.reason.code) for r in results] == [
        (Outcome.NOT_FOUND, ReasonCode.NOT_FOUND),
        (Outcome.INVALID, ReasonCode.INVALID_ROW),
    ]
    assert {(r.instances_expected, r.new_orthanc_ids, r.chunks, r.attempts) for r in results} == {(0, (), (), 0)}
    assert lines == []


def test_rows_of_each_level_have_the_result_at_their_own_level() -> None:
    """Several results are sorted; those of instances that are not done do not count."""
    for level in Level:
        instances = [
            Instance("1", new="9."),
            Instance("2", new="8."),
            Instance("3", new="7.", outcome="failed", reason=DAMAGED),
        ]
        expected = sorted(instance.new_identifiers.orthanc_id(level) for instance in instances[:2])

        assert only_row(Row(instances, level=level)).new_orthanc_ids == tuple(expected)


def test_one_study_of_two_rows() -> None:
    """Two series rows of one study: one line each for patient and study, which names both rows; two for the series."""
    rows = [
        Row([Instance("1", series=("P", "1", "1.1"))], level="series"),
        Row([Instance("2", series=("P", "1", "1.2"), outcome="missing", reason=GONE)], level="series"),
    ]
    with make_ledger(rows) as ledger:
        lines = list(crosswalk(ledger))
    levels = [line.level for line in lines]

    assert levels == ["patient", "study", "series", "series", "instance", "instance"]
    assert [(line.outcome, line.reason, line.line) for line in lines[:2]] == [("missing", str(GONE), "2;3")] * 2
    assert sorted((line.outcome, line.line, bool(line.new_dicom_id)) for line in lines[2:4]) == [
        ("done", "2", True),
        ("missing", "3", False),
    ]


def test_one_patient_becomes_two() -> None:
    """Each pair of original and new patient has its own line with its own outcome and rows."""
    rows = [
        Row([Instance("1")], level="instance"),
        Row([Instance("2", new="8.")], level="instance"),
        Row([Instance("3", new="8.", outcome="failed", reason=DAMAGED)], level="instance"),
    ]
    with make_ledger(rows) as ledger:
        lines = lines_of(ledger, Level.PATIENT)

    assert sorted((line.new_dicom_id, line.outcome, line.line) for line in lines) == [
        ("8.P", "failed", "3;4"),
        ("9.P", "done", "2"),
    ]


def test_parents_that_came_to_nothing_share_one_line() -> None:
    """New identifiers are shown only where something is."""
    rows = [
        Row([Instance("1", new="8.", outcome="failed", reason=DAMAGED)], level="instance"),
        Row([Instance("2", new="7.", outcome="cancelled", reason=STOPPED)], level="instance"),
    ]
    with make_ledger(rows) as ledger:
        (line,) = lines_of(ledger, Level.STUDY)

    assert (line.new_orthanc_id, line.new_dicom_id, line.outcome, line.line) == ("", "", "failed", "2;3")


def test_failed_instances_without_a_known_target_count_under_their_rows() -> None:
    """A server tells the new parents of its results only: what failed still keeps its study from being done."""
    failed = Instance("2", new=None, outcome="failed", reason=Reason(ReasonCode.SERVER_ERROR, "500"))
    with make_ledger([Row([Instance("1"), failed])]) as ledger:
        (line,) = lines_of(ledger, Level.STUDY)

    assert (line.new_dicom_id, line.outcome) == ("9.1", "failed")
    with make_ledger([Row([Instance("1")], level="instance"), Row([failed], level="instance")]) as ledger:
        (line,) = lines_of(ledger, Level.STUDY)

    assert (line.new_dicom_id, line.outcome, line.line) == ("9.1", "failed", "2;3")


def test_frames_of_reference_do_not_split_a_series() -> None:
    """The ledger keeps a series per frame of reference; the crosswalk has one line."""
    with make_ledger([Row([Instance("1"), Instance("2")])]) as ledger:
        ledger.execute(
            "INSERT INTO series SELECT 99, patient_id, study_instance_uid, series_instance_uid, '5', patient, study,"
            " series, '' FROM series"
        )
        ledger.execute("UPDATE instance SET series = 99 WHERE sop_instance_uid = '2'")

        assert len(lines_of(ledger, Level.SERIES)) == 1


def test_source_problems_are_counted_by_code() -> None:
    """What is not done keeps the run from being reconciled."""
    row = Row([Instance("1", outcome="failed", reason=DAMAGED)])
    with make_ledger([row], source_problems=[(b"a", ProblemCode.EMPTY), (b"b", ProblemCode.EMPTY)]) as ledger:
        found = totals_of(ledger)

    assert found.row_reasons == found.instance_reasons == {ReasonCode.DAMAGED: 1}
    assert found.source_problems == {"empty": 2}
    assert not found.reconciled
    assert found.exit_code == 1


def test_source_problems_do_not_change_the_exit_code() -> None:
    """Files that are not DICOM are none of the manifest's business."""
    with make_ledger([Row([Instance("1")])], source_problems=[(b"a", ProblemCode.NOT_DICOM)]) as ledger:
        found = totals_of(ledger)

    assert found.reconciled
    assert found.exit_code == 0
    assert found.rows_by_level["study"][Outcome.DONE] == 1


outcomes = st.sampled_from(["done", "failed", "missing", "cancelled", ""])
reasons = st.sampled_from(
    [
        Reason(ReasonCode.DAMAGED, "at byte 1"),
        Reason(ReasonCode.DAMAGED, "at byte 2"),
        Reason(ReasonCode.DAMAGED),
        Reason(ReasonCode.SERVER_ERROR, "500"),
    ]
)


@st.composite
def plans(draw: st.DrawFn) -> list[Row]:
    """Rows at all levels over a few patients, studies and series, with any outcomes."""
    names = iter(range(1000))
    rows = []
    for _ in range(draw(st.integers(0, 8))):
        own_outcome = draw(st.sampled_from(["", "", "", "not_found", "invalid"]))
        if own_outcome:
            rows.append(Row(outcome=own_outcome))
            continue
        instances = []
        for _ in range(draw(st.integers(0, 5))):
            outcome = draw(outcomes)
            patient, study = draw(st.sampled_from("PQ")), draw(st.sampled_from("12"))
            target_is_known = outcome == "done" or draw(st.booleans())
            instances.append(
                Instance(
                    name=str(next(names)),
                    series=(patient, patient + study, patient + study + draw(st.sampled_from("12"))),
                    outcome=outcome,
                    reason=None if outcome in ("", "done") else draw(reasons),
                    attempts=draw(st.integers(0, 3)),
                    chunk=draw(st.sampled_from(["c0001", "c0002"])),
                    new=draw(st.sampled_from(["8.", "9."])) if target_is_known else None,
                )
            )
        rows.append(Row(instances, level=draw(st.sampled_from(list(Level)))))
    return rows


@settings(max_examples=80)
@given(plans())
def test_everything_is_accounted_for_exactly_once(rows: list[Row]) -> None:
    """One result per row, one crosswalk line per instance, parents that cover them, counts that add up."""
    with make_ledger(rows) as ledger:
        results = list(row_results(ledger))
        lines = list(crosswalk(ledger))
        found = totals_of(ledger)
    instances = {instance.orthanc_id: instance for row in rows for instance in row.instances}
    by_line = dict(zip((result.line for result in results), rows, strict=True))

    assert [result.line for result in results] == sorted(by_line)
    for result in results:
        row = by_line[result.line]
        done = sum(instance.outcome == "done" for instance in row.instances)
        assert (len(row.instances), done) == (result.instances_expected, result.instances_done)
        assert result.instances_expected == result.instances_done + result.instances_failed
        assert (result.outcome is Outcome.DONE) == (result.reason is None)
        assert bool(result.new_orthanc_ids) == (done > 0)
        if row.instances:
            assert result.outcome is worst(Outcome(i.outcome or "cancelled") for i in row.instances)
    assert found.reconciled == all(result.outcome is Outcome.DONE for result in results)
    assert sum(found.rows.values()) == len(rows)
    assert sum(found.instances.values()) == len(instances) == sum(r.instances_expected for r in results)
    assert sum(found.row_reasons.values()) == len(rows) - found.rows[Outcome.DONE]
    assert sum(found.instance_reasons.values()) == len(instances) - found.instances[Outcome.DONE]
    check_crosswalk(lines, instances, by_line)


def check_crosswalk(lines: list[CrosswalkLine], instances: dict[str, Instance], by_line: dict[int, Row]) -> None:
    """Hold the crosswalk against the plan."""
    own = {line.original_orthanc_id: line for line in lines if line.level == Level.INSTANCE}
    assert sorted(instances) == [line.original_orthanc_id for line in lines if line.level == Level.INSTANCE]
    assert [line[:2] for line in lines] == sorted(
        (line[:2] for line in lines), key=lambda pair: (Level(pair[0]).depth, pair[1])
    )
    assert len({line[:3] for line in lines}) == len(lines)
    for level in (Level.PATIENT, Level.STUDY, Level.SERIES):
        below: dict[str, list[Instance]] = {}
        for instance in instances.values():
            below.setdefault(instance.identifiers.orthanc_id(level), []).append(instance)
        parents: dict[str, list[CrosswalkLine]] = {}
        for line in lines:
            if line.level == level:
                parents.setdefault(line.original_orthanc_id, []).append(line)
        assert below.keys() == parents.keys()
        for original, group in below.items():
            done = {i.new_identifiers.orthanc_id(level) for i in group if i.outcome == "done"}
            assert done == {line.new_orthanc_id for line in parents[original] if line.new_orthanc_id}
            touched = {int(own[instance.orthanc_id].line) for instance in group}
            assert touched == {int(text) for line in parents[original] for text in line.line.split(";")}
            expected = worst(Outcome(instance.outcome or "cancelled") for instance in group)
            assert expected == min((line.outcome for line in parents[original]), key=SEVERITY.index)
    for instance in instances.values():
        line = own[instance.orthanc_id]
        assert (instance.outcome or "cancelled") == line.outcome
        assert line.new_orthanc_id == (instance.new_orthanc_id if instance.outcome == "done" else "")
        assert any(i.orthanc_id == instance.orthanc_id for i in by_line[int(line.line)].instances)
