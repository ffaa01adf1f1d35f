"""What becomes of an instance: by the first rule that holds, or by whether it is at risk."""

import pytest

from deidflow.tasks.core.config.pixel_rules.sources import RuleText, builtin_text, read_rules, risks_text
from deidflow.tasks.core.pixels.decision import PixelDecision, PixelRules, Unmatched, decide
from deidflow.tasks.core.pixels.facts import KeptRegion, PixelFacts
from deidflow.tasks.core.pixels.regions import Region
from tests.core.pixels.facts import facts_of

BUILTIN: PixelRules = read_rules([builtin_text(), risks_text()])
NONE = PixelDecision("none")
SC = "1.2.840.10008.5.1.4.1.1.7"
SIZE = {"Rows": 480, "Columns": 640}
IMAGE = KeptRegion(1, 100, 40, 539, 439)


def action(facts: PixelFacts, unmatched: Unmatched = "refuse") -> str:
    """Decide by the built-in rules."""
    return decide(facts, BUILTIN, unmatched).action


def _modalities(*names: str, **others: str) -> list[dict[str, str | int]]:
    return [{"Modality": name, **others} for name in names]


AT_RISK: list[dict[str, str | int]] = [
    {"Modality": "MR", "BurnedInAnnotation": "YES"},
    *_modalities("US", "IVUS", "XA", "RF", "ES", "XC", "OT", "SC", "EC", "CF"),
    *_modalities("US", "XA", "OT", BurnedInAnnotation="NO"),  # NO means little there
    {"Modality": "CT", "SOPClassUID": SC},
    {"Modality": "CT", "SOPClassUID": f"{SC}.4", "BurnedInAnnotation": "NO"},
    {"Modality": "CT", "ConversionType": "DF"},
    {"Modality": "CT", "ImageType": "DERIVED\\SECONDARY\\SCREEN SAVE"},
    {"Modality": "CT", "ImageType": "ORIGINAL\\PRIMARY\\SCREENSAVE", "BurnedInAnnotation": "NO"},
    {"Modality": "MR", "ImageType": "DERIVED\\PRIMARY\\CSA REPORT"},
    {"Modality": "CT", "SeriesDescription": "Dose Report"},
    {"Modality": "SM", "ImageType": "ORIGINAL\\PRIMARY\\LABEL\\NONE"},
    {"Modality": "CT", "ImageType": "DERIVED\\SECONDARY\\MPR"},
    {"Modality": "CT", "ImageType": "DERIVED\\SECONDARY\\MPR", "BurnedInAnnotation": ""},
    {"Modality": "CT", "SamplesPerPixel": 3},
    {},
    {"Modality": ""},
]
NOT_AT_RISK: list[dict[str, str | int]] = [
    *_modalities("CT", "MR", "PT", "NM", "CR", "DX", "MG", "SEG", "RTDOSE", "SM"),
    {"Modality": "CT", "ImageType": "ORIGINAL\\PRIMARY\\AXIAL"},
    {"Modality": "CT", "ImageType": "DERIVED\\PRIMARY\\SECONDARY_Q"},
    {"Modality": "CT", "ImageType": "DERIVED\\SECONDARY\\MPR", "BurnedInAnnotation": "NO"},
    {"Modality": "CT", "SamplesPerPixel": 3, "BurnedInAnnotation": "NO"},
    {"Modality": "SM", "SamplesPerPixel": 3},
    {"Modality": "CT", "ConversionType": ""},
    {"Modality": "CT", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1"},
]


PORTAL: dict[str, str | int] = {"Modality": "RTIMAGE", "ImageType": "ORIGINAL\\PRIMARY\\PORTAL", "ConversionType": "DI"}


@pytest.mark.parametrize("values", [*AT_RISK, {"Modality": "DMS"}, PORTAL | {"ConversionType": "DF"}], ids=str)
def test_kinds_at_risk(values: dict[str, str | int]) -> None:
    """Without a rule they are refused, or accepted and listed."""
    facts = facts_of(**values)

    assert PixelDecision("refuse", reason="burned-in-text") == decide(facts, PixelRules((), BUILTIN.risks), "refuse")
    assert PixelDecision("none", reason="burned-in-text") == decide(facts, PixelRules((), BUILTIN.risks), "accept")
    assert BUILTIN.risk(facts) is not None


@pytest.mark.parametrize("values", [*NOT_AT_RISK, PORTAL], ids=str)
def test_kinds_that_are_not(values: dict[str, str | int]) -> None:
    """They stay as they are, and nobody has to look at them."""
    assert NONE == decide(facts_of(**values), BUILTIN, "refuse")


def test_what_has_no_pixels_is_never_at_risk() -> None:
    """A report says OT, too."""
    assert NONE == decide(PixelFacts({0x00080060: "OT"}, has_pixels=False), BUILTIN, "refuse")


def test_ultrasound_keeps_its_regions_of_image_data() -> None:
    """Everything around them is painted, drawings too."""
    facts = facts_of(IMAGE, KeptRegion(5, 0, 460, 639, 479), Modality="US", **SIZE)
    frame = (Region(0, 0, 640, 40), Region(0, 40, 100, 400), Region(540, 40, 100, 400), Region(0, 440, 640, 40))

    decision = decide(facts, BUILTIN, "refuse")

    assert ("paint", frame, "painted-pixels") == (decision.action, decision.regions, decision.reason)


@pytest.mark.parametrize(
    "regions",
    [
        (),
        (KeptRegion(1, 0, 0, 639, 479),),  # all of the frame
        (KeptRegion(1, 100, 0, 539, 439),),  # from the first row on, where the patient's name is
        (KeptRegion(1, 100, 40, 640, 439),),  # wider than the frame
        (KeptRegion(1, 100, 40, 539, 480),),
        (KeptRegion(1, 539, 40, 100, 439),),
        (KeptRegion(1, None, 40, 539, 439),),
        (KeptRegion(0, 100, 40, 539, 439),),  # of no kind
        (KeptRegion(None, 100, 40, 539, 439),),
        (KeptRegion(9, 100, 40, 539, 439),),
        (KeptRegion(5, 100, 40, 539, 439),),  # drawings only
        (IMAGE, KeptRegion(1, 100, 40, 700, 439)),  # one of them is wrong: none is believed
    ],
)
def test_regions_that_cannot_be_trusted(regions: tuple[KeptRegion, ...]) -> None:
    """The rule is none for such an image, which is at risk."""
    assert "refuse" == action(facts_of(*regions, Modality="US", **SIZE))


def test_regions_of_a_frame_of_unknown_size() -> None:
    """Nothing can be said to lie outside them."""
    assert "refuse" == action(facts_of(IMAGE, Modality="US"))


def test_the_label_of_a_slide_is_refused_whatever_is_accepted() -> None:
    """The label is the picture."""
    facts = facts_of(SOPClassUID="1.2.840.10008.5.1.4.1.1.77.1.6", Modality="SM", ImageType="ORIGINAL\\PRIMARY\\LABEL")

    assert "refuse" == action(facts, "accept")


def test_rectangles_of_devices() -> None:
    """At the size that they were seen at, and at no other."""
    device = {"Modality": "US", "Manufacturer": "Philips Medical Systems", "ManufacturerModelName": "iU22"}

    assert (Region(0, 0, 640, 48),) == decide(facts_of(**device, **SIZE), BUILTIN, "refuse").regions
    assert "refuse" == action(facts_of(**device, Rows=481, Columns=640))


SITE = RuleText("site.yaml", "rules:\n- name: ours\n  when: {Manufacturer: Philips*}\n  clean: true\n")


@pytest.mark.parametrize("site_first", [True, False])
def test_the_first_rule_that_holds_decides(*, site_first: bool) -> None:
    """A site's file that stands before the built-in one wins, and one that stands behind it does not."""
    texts = [SITE, builtin_text()] if site_first else [builtin_text(), SITE]
    facts = facts_of(Modality="US", Manufacturer="Philips", ManufacturerModelName="iU22", **SIZE)

    decision = decide(facts, read_rules([*texts, risks_text()]), "refuse")

    wanted = ("clean", "site.yaml, line 2: ours", "known-clean") if site_first else ("paint", None, "painted-pixels")
    assert wanted == (decision.action, decision.rule if site_first else None, decision.reason)


def test_a_rule_also_decides_on_what_is_not_at_risk() -> None:
    """Then nobody has to look at it."""
    rules = read_rules([RuleText("site.script", '{ Modality.equals("CT") }\n(0,0,9,9)'), risks_text()])

    decision = decide(facts_of(Modality="CT", Rows=512, Columns=512), rules, "refuse")

    assert ("paint", "") == (decision.action, decision.reason)


def test_rules_say_which_elements_they_ask_for() -> None:
    """Whoever reads an instance reads these."""
    rules = read_rules([SITE, RuleText("x.script", '{ [0018,1030].equals("x") }\n(0,0,1,1)'), risks_text()])

    assert {0x00080070, 0x00181030, 0x00080060, 0x00280301, 0x00280010, 0x00280011} <= rules.tags()
