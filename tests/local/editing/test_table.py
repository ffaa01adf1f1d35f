"""Editing carries out any table: which rule wins, at which depth, and what the functions of rules see and give.

The tables here are made by hand, since no profile uses all that a table can say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deidflow.tasks.core.dicom.private_tags import parse_private
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.editing.actions import Action, Original, Rule
from deidflow.tasks.local.editing.path_nodes import PathNode
from deidflow.tasks.local.editing.table import RepeatingGroup, Scope, Table, Tables
from deidflow.tasks.local.worker import Compiled, edit_source
from tests.dicom_files import CT_STORAGE, UNCOMPRESSED, Element, Item, Syntax, instance, private_block
from tests.local.edits import anonymize, read
from tests.local.strategies import PROPERTY

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydicom import Dataset

    from deidflow.tasks.local.editing.references import Subject

STUDY_DATE: Final = 0x00080020
STUDY_DESCRIPTION: Final = 0x00081030
PATIENT_COMMENTS: Final = 0x00104000
REFERENCED_STUDIES: Final = 0x00081110
REFERENCED_SERIES: Final = 0x00081115
REQUESTS: Final = 0x00400275
MR_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.4"

REMOVE: Final = Rule(Action.REMOVE, "by hand")
EMPTY: Final = Rule(Action.EMPTY, "by hand")
KEEP: Final = Rule(Action.KEEP, "by hand")


def later(original: Original, _: Subject) -> str:
    """Return the date one year later."""
    return str(int(original.text) + 10000)


def louder(original: Original, _: Subject) -> str:
    """Return the text in capitals."""
    return original.text.upper()


SHIFT: Final = Rule(Action.SHIFT, "by hand", later)
CLEAN: Final = Rule(Action.CLEAN, "by hand", louder)


def compiled(table: Table | Callable[[str], Table]) -> Compiled:
    """Return a table, or one for each SOP class, ready to be applied."""
    edit = anonymize({})
    of_class: Callable[[str], Table] = table if not isinstance(table, Table) else lambda _: table
    with SourceFile.of_bytes(instance()) as source:
        return edit.compiled(source)._replace(tables=Tables(of_class))


def edited(data: bytes, table: Table | Compiled) -> Dataset:
    """Return the result of a table."""
    ready = compiled(table) if isinstance(table, Table) else table
    with SourceFile.of_bytes(data) as source:
        return read(edit_source(source, anonymize({}).plan(source), ready).to_bytes())


def same_everywhere(scope: Scope, **more: Any) -> Table:
    """Return a table with the same rules at every depth, kept sequences or not."""
    return Table(anonymizes=True, top=scope, nested=scope, shielded=scope, **more)


@pytest.mark.parametrize("syntax", UNCOMPRESSED, ids=lambda syntax: syntax.uid)
def test_dates_by_vr_at_every_depth(syntax: Syntax) -> None:
    """What no other rule names is decided by its VR: nested, in kept sequences, and in private elements that stay."""
    inner = [{"StudyDate": "20240229", "StudyTime": "1200"}]
    data = instance(
        syntax=syntax,
        StudyDate="20200101",
        SeriesDate="20200102",
        AcquisitionDate="20200103",
        ReferencedStudySequence=[{"StudyDate": "20200104", "ReferencedSeriesSequence": inner}],
        RequestAttributesSequence=[{"StudyDate": "20200105"}],
    )
    rules = {0x00080021: REMOVE, 0x00080022: KEEP, REFERENCED_STUDIES: KEEP}
    after = edited(data, same_everywhere(Scope(rules, by_vr={"DA": SHIFT})))
    study = after.ReferencedStudySequence[0]

    assert ("20210101", "20210104") == (after.StudyDate, study.StudyDate)
    assert ("20250229", "1200") == (
        study.ReferencedSeriesSequence[0].StudyDate,
        study.ReferencedSeriesSequence[0].StudyTime,
    )
    assert "20210105" == after.RequestAttributesSequence[0].StudyDate
    assert "SeriesDate" not in after
    assert "20200103" == after.AcquisitionDate


def test_private_elements_by_creator_in_whichever_block() -> None:
    """A rule by private creator finds its element at every depth; its creator stays, and what else is private goes."""
    name = parse_private('0009,"TEST BLOCK",01')
    assert name is not None
    nested = Item(tuple(private_block(0x0009, Element(0x00091001, "LO", b"in"), Element(0x00091002, "LO", b"no"))))
    data = instance(
        Element(0x00090011, "LO", b"TEST BLOCK"),
        Element(0x00091101, "LO", b"text"),
        Element(0x00091102, "DA", b"20200101"),
        Element(0x00090010, "LO", b"ANOTHER "),
        Element(0x00091001, "LO", b"gone"),
        Element(REFERENCED_STUDIES, "SQ", (nested,)),
    )
    by_creator = PathNode(rules={name: CLEAN, name + 1: KEEP})
    scope = Scope(private=REMOVE, by_vr={"DA": SHIFT})
    after = edited(data, same_everywhere(scope, paths=by_creator, everywhere=(by_creator,), names_creators=True))
    item = after.ReferencedStudySequence[0]

    assert [0x00090011, 0x00091101, 0x00091102] == [int(e.tag) for e in after if e.tag.is_private]
    assert ("TEXT", "20210101") == (after[0x00091101].value, after[0x00091102].value)
    assert ("IN", "no") == (item[0x00091001].value, item[0x00091002].value)


def test_each_sop_class_has_its_table() -> None:
    """Also where a series mixes classes, and instances are edited by what is remembered of those before."""
    tables = {
        CT_STORAGE: same_everywhere(Scope({STUDY_DESCRIPTION: REMOVE})),
        MR_STORAGE: same_everywhere(Scope({STUDY_DESCRIPTION: CLEAN})),
        "": same_everywhere(Scope({STUDY_DESCRIPTION: EMPTY})),
    }
    ready, found = compiled(tables.__getitem__), []
    for number in range(5):
        for sop_class in (CT_STORAGE, MR_STORAGE, None):
            uid = f"1.2.3.1.1.{number}"
            data = instance(StudyDescription="head", SOPClassUID=sop_class, SOPInstanceUID=uid, InstanceNumber="1")
            found.append(edited(data, ready).get("StudyDescription"))

    assert [None, "HEAD", ""] * 5 == found


def test_new_items_for_a_sequence() -> None:
    """A rule's function may give items, which are written in the encoding and character set of the dataset."""

    def dummy(original: Original, _: Subject) -> Any:
        assert ("SQ", "") == (original.vr, original.text)
        return (((STUDY_DESCRIPTION, "caf\xe9"),),)

    rule = Rule(Action.DUMMY, "by hand", dummy)
    for syntax in UNCOMPRESSED:
        data = instance(
            syntax=syntax,
            SpecificCharacterSet="ISO_IR 100",
            RequestAttributesSequence=[{"StudyDescription": "secret"}, {}],
        )
        after = edited(data, same_everywhere(Scope({REQUESTS: rule})))

        assert [{"StudyDescription": "caf\xe9"}] == [
            {element.keyword: element.value for element in item} for item in after.RequestAttributesSequence
        ]


def test_functions_see_text_and_may_leave_the_element() -> None:
    """The text comes decoded; None leaves bytes as they are, what the character set lacks fails without its content."""
    seen: list[str] = []

    def look(original: Original, _: Subject) -> None:
        seen.append(original.text)

    def foreign(_: Original, __: Subject) -> str:
        return "\u5c71"

    data = instance(SpecificCharacterSet="ISO_IR 100", StudyDescription="caf\xe9 ")
    after = edited(data, same_everywhere(Scope({STUDY_DESCRIPTION: Rule(Action.CLEAN, "", look)})))

    assert (["caf\xe9"], "caf\xe9") == (seen, after.StudyDescription)
    with pytest.raises(InstanceFailed) as failed:
        edited(data, same_everywhere(Scope({STUDY_DESCRIPTION: Rule(Action.CLEAN, "", foreign)})))
    assert ReasonCode.CHARACTER_SET == failed.value.code
    assert "\u5c71" not in str(failed.value)


def test_repeating_groups() -> None:
    """A rule for a repeating group holds for what no rule names in it."""
    data = instance(Element(0x60000022, "LO", b"one "), Element(0x60020022, "LO", b"two "))
    groups = (RepeatingGroup(0xFF00FFFF, 0x60000022, CLEAN),)
    after = edited(data, same_everywhere(Scope({0x60020022: REMOVE}, groups=groups)))

    assert ("ONE", False) == (after[0x60000022].value, 0x60020022 in after)


def test_late_values_depend_on_what_a_series_shares() -> None:
    """They are made of the source's own texts; an element that may differ within a series cannot be asked for."""
    asked = [0x00100010]
    scope = Scope({PATIENT_COMMENTS: Rule(Action.REPLACE, "")})
    table = same_everywhere(scope, late_values=lambda text_of, _: {PATIENT_COMMENTS: text_of(asked[0])})

    assert "Doe^Jane" == edited(instance(), table).PatientComments
    asked[0] = STUDY_DATE
    with pytest.raises(ValueError, match="StudyDate may differ within a series"):
        edited(instance(StudyDate="20200101"), table)


@pytest.mark.parametrize("action", Action)
def test_rules_that_make_no_sense_are_refused(action: Action) -> None:
    """Dummies, cleaning and shifts need a function; where a value is not made, there can be none."""
    makes = action in (Action.DUMMY, Action.CLEAN, Action.SHIFT)
    if makes:
        with pytest.raises(ValueError, match="must have a function"):
            Rule(action, "")
        assert not Rule(action, "", louder).stays
    elif action is not Action.REPLACE:
        with pytest.raises(ValueError, match="must not have a function"):
            Rule(action, "", louder)


NAMED_RULES: Final = [Rule(rule.action, "request", rule.new_value, is_named=True) for rule in (REMOVE, KEEP)]


@PROPERTY
@given(rules=st.lists(st.sampled_from([REMOVE, KEEP, CLEAN, *NAMED_RULES]), min_size=1, max_size=5))
def test_the_request_wins_and_then_removal(rules: list[Rule]) -> None:
    """Of several rules by path the request's count, of these removal, of equals the first; merged or not."""
    expected = max(rules, key=lambda rule: (rule.is_named, rule.action is Action.REMOVE))
    table = same_everywhere(Scope(), paths=PathNode(children={REFERENCED_STUDIES: []}))
    merged = PathNode()
    assert table.paths is not None
    for rule in rules:
        merged.add(STUDY_DESCRIPTION, rule)
        table.paths.children[REFERENCED_STUDIES].append((-1, PathNode(rules={STUDY_DESCRIPTION: rule})))
    after = edited(instance(ReferencedStudySequence=[{"StudyDescription": "head"}]), table)
    text = {Action.REMOVE: None, Action.KEEP: "head", Action.CLEAN: "HEAD"}[expected.action]

    assert expected == merged.rules[STUDY_DESCRIPTION]
    assert text == after.ReferencedStudySequence[0].get("StudyDescription")


SEQUENCES: Final = (REFERENCED_STUDIES, REFERENCED_SERIES)
LEAVES: Final = {STUDY_DATE: ("DA", "20200101"), STUDY_DESCRIPTION: ("LO", "head"), PATIENT_COMMENTS: ("LT", "note")}
SCOPES: Final = st.builds(
    Scope,
    by_tag=st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(SEQUENCES, st.sampled_from([REMOVE, EMPTY, KEEP])),
            **dict.fromkeys(LEAVES, st.sampled_from([REMOVE, EMPTY, KEEP, CLEAN])),
        },
    ),
    by_vr=st.fixed_dictionaries({}, optional={"DA": st.just(SHIFT), "LO": st.just(CLEAN)}),
)


def trees(depth: int) -> st.SearchStrategy[dict[int, Any]]:
    """Return datasets: by tag a text, or items."""
    leaves: dict[int, Any] = {tag: st.just(text) for tag, (_, text) in LEAVES.items()}
    if depth:
        leaves.update(dict.fromkeys(SEQUENCES, st.lists(trees(depth - 1), max_size=2)))
    return st.fixed_dictionaries({}, optional=leaves)


def as_elements(tree: dict[int, Any]) -> tuple[Element, ...]:
    """Return the elements of a dataset."""
    made = []
    for tag, value in sorted(tree.items()):
        if isinstance(value, list):
            made.append(Element(tag, "SQ", tuple(Item(as_elements(item)) for item in value)))
        else:
            made.append(Element(tag, LEAVES[tag][0], value.encode()))
    return tuple(made)


def as_tree(dataset: Dataset) -> dict[int, Any]:
    """Return what a dataset holds of the tags that are drawn."""
    return {
        int(element.tag): [as_tree(item) for item in element.value] if element.VR == "SQ" else str(element.value or "")
        for element in dataset
        if element.tag in (*SEQUENCES, *LEAVES)
    }


def expected(tree: dict[int, Any], table: Table, scope: Scope, *, is_kept: bool = False) -> dict[int, Any]:
    """Return what a table makes of a dataset, said in another way than the editor does."""
    result: dict[int, Any] = {}
    for tag, value in tree.items():
        rule = scope.by_tag.get(tag)
        if rule is None and not isinstance(value, list):
            rule = scope.by_vr.get(LEAVES[tag][0])
        if rule is REMOVE:
            continue
        if rule is EMPTY:
            result[tag] = [] if isinstance(value, list) else ""
        elif isinstance(value, list):
            kept = is_kept or rule is KEEP
            below = table.shielded if kept else table.nested
            result[tag] = [expected(item, table, below, is_kept=kept) for item in value]
        else:
            result[tag] = {CLEAN: value.upper(), SHIFT: str(int(value) + 10000) if value.isdigit() else ""}.get(
                rule or KEEP, value
            )
    return result


@PROPERTY
@given(top=SCOPES, nested=SCOPES, shielded=SCOPES, tree=trees(3), syntax=st.sampled_from(UNCOMPRESSED))
def test_any_table_on_any_tree(
    top: Scope, nested: Scope, shielded: Scope, tree: dict[int, Any], syntax: Syntax
) -> None:
    """Whatever the rules at top level, inside items and inside kept sequences: each element gets its own."""
    table = Table(anonymizes=True, top=top, nested=nested, shielded=shielded)
    after = edited(instance(*as_elements(tree), syntax=syntax), table)

    assert expected(tree, table, top) == as_tree(after)
