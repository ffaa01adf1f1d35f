"""Rule files in our own form: what they mean, and that wrong ones are refused with line, key and a good value."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deidflow.tasks.core.config.pixel_rules.rule_file import read_rule_file
from deidflow.tasks.core.config.pixel_rules.sources import BUILTIN, RuleText, builtin_text, read_rules, risks_text
from deidflow.tasks.core.config.yaml import read_yaml
from deidflow.tasks.core.errors import InvalidInput, Problem
from deidflow.tasks.core.pixels.decision import PixelRule, PixelRules, decide
from deidflow.tasks.core.pixels.regions import Region
from tests.core.pixels.facts import facts_of

ONE = """\
# of our own ultrasound room
rules:
  - name: the one in room 3
    source: seen on our images of 2026
    when:
      {when}
    {action}
"""
SIZE = "Rows: 480, Columns: 640"


def read_one(when: str, action: str) -> PixelRules:
    """Read a file of one rule."""
    return PixelRules(tuple(read_rule_file(ONE.replace("{when}", when).replace("{action}", action), "site.yaml")), ())


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ("Modality: US", True),
        ("Modality: us", True),  # case does not matter
        ("Modality: U", False),  # a whole value
        ("Modality: U*", True),
        ("Modality: U?", True),
        ("Modality: [CT, US]", True),
        ("ManufacturerModelName: '[x] 5000'", True),  # brackets are no wildcard
        ("ManufacturerModelName: '* 500'", False),
        ("Rows: 480", True),
        ("Rows: 481", False),
        ("Rows: [479, {min: 480, max: 480}]", True),
        ("Rows: {min: 481}", False),
        ("Rows: {max: 480}", True),
        ("Columns: {min: 1}", False),  # absent
        ("ImageType: SECONDARY", True),  # any of its values
        (r"ImageType: 'DERIVED\SECONDARY\*'", True),  # or all of them together
        (r"ImageType: 'SECONDARY\DERIVED*'", False),
        ("BurnedInAnnotation: {present: false}", True),
        ("BurnedInAnnotation: {present: true}", False),
        ("SeriesDescription: {present: true}", False),  # empty is not present
        ('BurnedInAnnotation: "NO"', False),
        ('not: {BurnedInAnnotation: "NO"}', True),
        ("not: {Modality: US}", False),
        ("{Modality: US, Rows: 5}", False),  # all of them
        ("any: [{Modality: CT}, {Rows: 480}]", True),
        ("{any: [{Modality: CT}, {Rows: 480}], not: {Columns: 7}}", True),
    ],
)
def test_what_conditions_mean(when: str, *, holds: bool) -> None:
    """Whole values without case, wildcards, numbers, ranges, presence, not, any."""
    facts = facts_of(
        Modality="US",
        ManufacturerModelName="[X] 5000",
        Rows=480,
        ImageType="DERIVED\\SECONDARY\\OTHER",
        SeriesDescription="",
    )

    decision = decide(facts, read_one(when, "refuse: true"), "refuse")

    assert ("refuse" if holds else "none") == decision.action


@pytest.mark.parametrize(
    ("action", "regions"),
    [
        ("regions: [{x: 0, y: 0, width: 640, height: 40}]", (Region(0, 0, 640, 40),)),
        ("regions: [{x_min: 5, y_min: 6, x_max: 5, y_max: 7}]", (Region(5, 6, 1, 2),)),
        ("keep_regions: [{x: 0, y: 40, width: 640, height: 440}]", (Region(0, 0, 640, 40),)),
        (
            "keep_regions: [{x_min: 100, y_min: 0, x_max: 639, y_max: 479}]",
            (Region(0, 0, 100, 480),),
        ),
    ],
)
def test_the_two_orders_of_coordinates(action: str, regions: tuple[Region, ...]) -> None:
    """Size and corners have names of their own, so that none is taken for the other."""
    decision = decide(
        facts_of(Rows=480, Columns=640), read_one(f"{{Manufacturer: {{present: false}}, {SIZE}}}", action), "refuse"
    )

    assert ("paint", regions) == (decision.action, decision.regions)
    assert "site.yaml, line 3: the one in room 3" == decision.rule


_REGIONS = "regions: [{x: 0, y: 0, width: 9, height: 9}]"


@pytest.mark.parametrize(
    ("when", "action", "line", "key", "word"),
    [
        ("Modalty: US", "refuse: true", 6, "rules.0.when.Modalty", "did you mean Modality"),
        ("StationName: X", "refuse: true", 6, "rules.0.when.StationName", "unknown attribute"),  # names one device
        ("PatientName: X", "refuse: true", 6, "rules.0.when.PatientName", "unknown attribute"),
        ("Modality:", "refuse: true", 6, "rules.0.when.Modality", "must be a text"),
        ("Modality: ''", "refuse: true", 6, "rules.0.when.Modality", "must be a text"),
        ("Modality: []", "refuse: true", 6, "rules.0.when.Modality", "must be a text"),
        ("Rows: true", "refuse: true", 6, "rules.0.when.Rows", "must be a text"),
        ("Rows: {min: 5, max: 4}", "refuse: true", 6, "rules.0.when.Rows", "must be a text"),
        ("Rows: {min: .nan}", "refuse: true", 6, "rules.0.when.Rows", "must be a text"),
        ("Rows: .inf", "refuse: true", 6, "rules.0.when.Rows", "must be a text"),
        ("Rows: {from: 5}", "refuse: true", 6, "rules.0.when.Rows", "must be a text"),
        ("Rows: {present: maybe}", "refuse: true", 6, "rules.0.when.Rows", "must be a text"),
        ("not: US", "refuse: true", 6, "rules.0.when.not", "must be a group of conditions"),
        ("any: []", "refuse: true", 6, "rules.0.when.any", "must be a list"),
        ("Modality: US", "nothing: true\n    refuse: true", 7, "rules.0.nothing", "unknown key"),
        ("Modality: US", "source: again", 0, "", "appears twice"),
        ("Modality: US", "refuse: yes", 7, "rules.0.refuse", "must be true"),
        ("Modality: US", "outside: SequenceOfRegions", 7, "rules.0.outside", "must be SequenceOfUltrasoundRegions"),
        (f"{{{SIZE}}}", "regions: [{x: 0, y: 0, width: 0, height: 9}]", 7, "rules.0.regions.0", "must be {x:"),
        (f"{{{SIZE}}}", "regions: [[0, 0, 640, 40]]", 7, "rules.0.regions.0", "must be {x:"),
        (f"{{{SIZE}}}", "regions: [{x: 0, y: 0, x_max: 9, y_max: 9}]", 7, "rules.0.regions.0", "must be {x:"),
        (f"{{{SIZE}}}", "regions: [{x: 0.5, y: 0, width: 9, height: 9}]", 7, "rules.0.regions.0", "must be {x:"),
        (f"{{{SIZE}}}", "regions: [{x_min: 9, y_min: 9, x_max: 8, y_max: 9}]", 7, "rules.0.regions.0", "must be {x:"),
        (f"{{{SIZE}}}", "regions: []", 7, "rules.0.regions", "must be a list"),
        (f"{{{SIZE}}}", f"{_REGIONS}\n    clean: true", 3, "rules.0", "exactly one of"),
        ("Rows: 480", _REGIONS, 5, "rules.0.when", "must have Rows and Columns"),
        (f"not: {{{SIZE}}}", _REGIONS, 5, "rules.0.when", "must have Rows and Columns"),
        ('BurnedInAnnotation: "NO"', "clean: true", 5, "rules.0.when", "must ask for a device"),
        ("any: [{Manufacturer: X}, {Modality: CT}]", "clean: true", 5, "rules.0.when", "must ask for a device"),
    ],
)
def test_a_wrong_rule_is_refused(when: str, action: str, line: int, key: str, word: str) -> None:
    """With line and key, and with what a good value looks like."""
    with pytest.raises(InvalidInput) as caught:
        read_one(when, action)

    problem = caught.value.problems[0]
    assert "site.yaml" == problem.file
    assert word in str(problem)
    assert not key or (line, key) == (problem.line, problem.key)


@pytest.mark.parametrize("text", ["rules: []", "rules: 5", "rule: []", "- a list", "", "rules: [5]"])
def test_a_file_without_rules_is_refused(text: str) -> None:
    """An empty rule file would be taken for one that was read."""
    with pytest.raises(InvalidInput, match=r"site\.yaml"):
        read_rule_file(text, "site.yaml")


def test_all_problems_are_told_at_once() -> None:
    """Also when they stand in several files."""
    texts = [
        RuleText("a.yaml", "rules:\n- name: x\n  when: {Foo: 1}\n- name: x\n  when: {Modality: US}\n  refuse: true\n"),
        RuleText("b.script", "{ true. }"),
        risks_text(),
    ]

    with pytest.raises(InvalidInput) as caught:
        read_rules(texts)

    places = [(problem.file, problem.line) for problem in caught.value.problems]
    assert [("a.yaml", 2), ("a.yaml", 3), ("a.yaml", 4), ("b.script", 1)] == places


def test_a_rule_cannot_call_an_image_clean_that_says_otherwise() -> None:
    """BurnedInAnnotation YES beats a list of devices, unless the rule has asked for it."""
    trusting = read_one("Manufacturer: Acme", "clean: true")
    knowing = read_one('{Manufacturer: Acme, BurnedInAnnotation: ["YES", "NO"]}', "clean: true")
    says_yes = facts_of(Manufacturer="Acme", BurnedInAnnotation="yes")

    assert "clean" == decide(facts_of(Manufacturer="Acme"), trusting, "refuse").action
    assert "none" == decide(says_yes, trusting, "refuse").action
    assert "clean" == decide(says_yes, knowing, "refuse").action


def test_each_builtin_rule_says_where_it_comes_from() -> None:
    """So does each kind at risk; the files are sound."""
    rules = read_rules([builtin_text(), risks_text()])

    for text, key in ((builtin_text(), "rules"), (risks_text(), "at_risk")):
        assert [] == [entry["name"] for entry in read_yaml(text.text, text.name).data[key] if "source" not in entry]
    assert rules.rules
    assert rules.risks
    assert all(rule.name.startswith(f"{BUILTIN}, line ") for rule in rules.rules)


_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-9, 99999),
    st.floats(),
    st.text(max_size=4),
    st.sampled_from(["US", "*", "x"]),
)
_KEYS = st.sampled_from(
    [
        *(
            "name",
            "source",
            "when",
            "regions",
            "keep_regions",
            "outside",
            "clean",
            "refuse",
            "Modality",
            "Rows",
            "Columns",
        ),
        *(
            "not",
            "any",
            "min",
            "max",
            "present",
            "x",
            "y",
            "width",
            "height",
            "x_min",
            "y_min",
            "x_max",
            "y_max",
            "SOPClassUID",
        ),
    ]
)
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4), max_leaves=20
)


@settings(max_examples=25)
@given(_VALUES, _VALUES, st.sampled_from(["regions", "keep_regions", "outside", "clean", "refuse"]), _VALUES)
def test_any_file_is_read_or_refused(others: object, when: object, action: str, value: object) -> None:
    """Nothing but problems with a place comes of whatever stands in a rule; what is read decides without a fault."""
    text = json.dumps({"rules": [{"name": "x", "when": when, action: value}, others]})
    rules: list[PixelRule] = []
    problems: tuple[Problem, ...] = ()
    try:
        rules = read_rule_file(text, "x.yaml")
    except InvalidInput as error:
        problems = error.problems

    assert rules or problems
    assert all(problem.file == "x.yaml" for problem in problems)
    decide(facts_of(Modality="US", Rows=480, Columns=640), PixelRules(tuple(rules), ()), "refuse")
