"""Scripts in the form of RSNA CTP's DicomPixelAnonymizer select the right regions, and wrong ones name their line."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import tag_for_keyword

from deidflow.tasks.core.config.pixel_rules.ctp_script import read_ctp_script
from deidflow.tasks.core.errors import InvalidInput, Problem
from deidflow.tasks.core.pixels.decision import PixelRule, PixelRules, decide
from deidflow.tasks.core.pixels.facts import PixelFacts
from deidflow.tasks.core.pixels.regions import Region

HERE = Path(__file__).parent
SCRIPT = (HERE / "restated.script").read_text(encoding="utf-8")
with (HERE / "restated_cases.csv").open(encoding="utf-8", newline="") as stream:
    CASES = list(csv.DictReader(stream))


def facts_of(values: dict[str, str]) -> PixelFacts:
    """Return facts with the elements that have a value."""
    return PixelFacts({tag_for_keyword(name) or 0: value for name, value in values.items() if value})


def test_a_script_of_many_rules_is_read_whole() -> None:
    """Each signature is one rule, in its order."""
    rules = read_ctp_script(SCRIPT, "site.script")

    assert SCRIPT.count("{") - 1 == len(rules) >= 50
    assert "site.script, line 5" == rules[0].name


RULES = PixelRules(tuple(read_ctp_script(SCRIPT, "site.script")), ())


@pytest.mark.parametrize("number", range(len(CASES)))
def test_each_rule_selects_its_regions(number: int) -> None:
    """The first signature that holds decides; an instance that none is for has no region."""
    case = dict(CASES[number])
    wanted = tuple(Region(*map(int, one.split(","))) for one in case.pop("regions").split())

    decision = decide(facts_of(case), RULES, "refuse")

    assert (wanted, "paint" if wanted else "none") == (decision.regions, decision.action)


HELD = 'Modality.equals("US")'
NOT_HELD = 'Modality.equals("CT")'


@pytest.mark.parametrize(
    ("signature", "holds"),
    [
        (f"{HELD} + {NOT_HELD} * {NOT_HELD}", True),  # and binds closer than or
        (f"({HELD} + {NOT_HELD}) * {NOT_HELD}", False),
        (f"!{NOT_HELD} * {HELD}", True),  # not binds closest
        (f"!({NOT_HELD} + {HELD})", False),
        ("!!true.", True),
        ("true. * false.", False),
        ('Modality.equals("us")', False),
        ('Modality.equalsIgnoreCase("us")', True),
        ('Modality.equals("U")', False),
        ('Modality.matches("U")', False),  # a whole match, as Java's
        ('Modality.matches("U.")', True),
        ('ImageType.equals("DERIVED\\SECONDARY")', True),
        ('ImageType.equals("DERIVED")', False),
        ('ImageType.startsWith("DER") * ImageType.endsWith("ARY")', True),
        ('ImageType.startsWithIgnoreCase("der") * ImageType.endsWithIgnoreCase("ary")', True),
        ('Manufacturer.equals("")', True),  # absent
        ('Manufacturer.isLessThan("5")', False),
        ('Rows.isLessThan("481") * Rows.isGreaterThan("479")', True),
        ('Rows.isLessThan("480") + Rows.isGreaterThan("480")', False),
        ('[0028,0010].equals("480")', True),
        ("// a comment to the end of the line\n true.", True),
    ],
)
def test_the_language(signature: str, *, holds: bool) -> None:
    """Terms, operators and what is absent mean what CTP's manual says."""
    facts = facts_of({"Modality": "US", "ImageType": "DERIVED\\SECONDARY", "Rows": "480"})

    (rule,) = read_ctp_script(f"{{ {signature} }} (0,0,1,1)", "x.script")

    assert holds == rule.when.holds(facts)


GOOD = '{ Modality.equals("US") }\n (0,0,640,40)\n'


@pytest.mark.parametrize(
    ("bad", "line", "word"),
    [
        ('{ Modality.equals("US" }\n (0,0,1,1)', 1, "must be terms"),
        ("{ Modality.equals(US) }\n (0,0,1,1)", 1, "must be terms"),
        ('{ Modality.equals("US")\n Rows.equals("1") }\n (0,0,1,1)', 2, "must be terms"),
        ('{ Modality.equals("US") *\n }\n (0,0,1,1)', 2, "must be terms"),
        ("{ }\n (0,0,1,1)", 1, "must be terms"),
        ('{ (Modality.equals("US") }\n (0,0,1,1)', 1, "every ("),
        ('{ Modality.is("US") }\n (0,0,1,1)', 1, "a method must be"),
        ('{ true. *\n Modallity.equals("US") }\n (0,0,1,1)', 2, "an attribute must be"),
        ('{ SeqOfUltrasoundRegions::RegionLocationMinY0.equals("1") }\n (0,0,1,1)', 1, "inside a sequence"),
        ('{ Modality.matches("(") }\n (0,0,1,1)', 1, "regular expression"),
        ('{ Rows.isLessThan("many") }\n (0,0,1,1)', 1, "must be a number"),
        ('{ Modality.equals("US") }\n\n (0,0,640)', 3, "a region must be"),
        ('{ Modality.equals("US") }\n (0,0,0,40)', 2, "a region must be"),
        ('{ Modality.equals("US") }\n (-1,0,4,40)', 2, "a region must be"),
        ('{ Modality.equals("US") }\n (0,0,4,40', 2, "a region must be"),
        ('{ Modality.equals("US") }\n 0,0,4,40)', 2, "a region must be"),
        ('{ Modality.equals("US") }\n no region', 1, "must have a region"),
        ('{ Modality.equals("US") \n (0,0,1,1)', 1, "every {"),
        ('} Modality.equals("US") }\n (0,0,1,1)', 1, "every"),
        ("{ " + "(" * 500 + "true." + ")" * 500 + " }\n (0,0,1,1)", 1, "more than 50 deep"),
    ],
)
def test_a_wrong_script_is_refused_with_its_line(bad: str, line: int, word: str) -> None:
    """The line is that of the file, wherever in it the fault stands."""
    with pytest.raises(InvalidInput) as caught:
        read_ctp_script(GOOD + bad, "site.script")

    (problem,) = caught.value.problems
    assert ("site.script", line + 2) == (problem.file, problem.line)
    assert word in problem.text


def test_all_problems_are_told_at_once() -> None:
    """A fault in one signature hides none in another."""
    text = '{ Foo.equals("") } (0,0,1,1)\n' + GOOD + '{ Modality.equals("US") } (1)\n'

    with pytest.raises(InvalidInput) as caught:
        read_ctp_script(text, "site.script")

    assert [1, 4] == [problem.line for problem in caught.value.problems]


@pytest.mark.parametrize("text", ["", "only a comment", "(0,0,1,1)"])
def test_a_script_without_signatures_is_refused(text: str) -> None:
    """An empty rule file would be taken for one that was read."""
    with pytest.raises(InvalidInput, match="must hold signatures"):
        read_ctp_script(text, "site.script")


@given(st.text(alphabet='{}()!+*.,"\\/ \nModality0equals1', max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing but a problem with a place comes of a broken script."""
    rules: list[PixelRule] = []
    problems: tuple[Problem, ...] = ()
    try:
        rules = read_ctp_script(text, "x.script")
    except InvalidInput as error:
        problems = error.problems

    assert rules or problems
    assert all(rule.regions for rule in rules)
    assert all(problem.file == "x.script" for problem in problems)


def test_a_script_of_very_many_lines_takes_no_longer_by_line() -> None:
    """For each region the lines before it were counted: half a minute for so many."""
    count = 100_000
    (rule,) = read_ctp_script('{ Modality.equals("US") }' + "\n(0,0,512,110)" * count, "site.script")

    assert count == len(rule.regions)
