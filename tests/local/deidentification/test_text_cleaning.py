"""Texts keep what is harmless and lose what is somebody's: golden values, each kind of finding, and the benchmark."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.planted_texts import Planter
from benchmarks.text_cleaning import by_cleaner, by_engine, score
from deidflow.tasks.local.deidentification.text.cleaner import TextCleaner, Unknown
from deidflow.tasks.local.deidentification.text.own_values import OwnValues
from deidflow.tasks.local.deidentification.text.vocabulary import Standing, load_vocabulary
from deidflow.tasks.local.deidentification.text.words import fold, words_of
from tests.local.strategies import PROPERTY

CLEANER: Final = TextCleaner()
OWN: Final = OwnValues.of(
    persons=["Müller^Jörg", "Echo^Anna=山田^太郎=やまだ^たろう", "van der Berg^J"],
    others=["CHEST-001", "University Hospital", "4MR1", "12"],
)


@pytest.mark.parametrize(
    "text",
    [
        *("Head^Routine", "t1_mprage_sag_p2_iso", "ep2d_diff_b1000_tra", "AX T2 FLAIR 5.0 mm", "2.5x2.5x4.0 mm"),
        *("CT ABDOMEN/PELVIS W/O & W CONTRAST", "Thorax  1.0  B31f", "AbdPelvis", "b0 500 1000", "TR 2000 TE 30"),
        *("1024 1024", "TE 4000 5000", "angles 30 40 50 60", "512 512 256", "2048 2048", "ep2d_b0_500_1000_2000"),
        *(
            "Ax DWI 1000b",
            "300 mgI/ml",
            "CTA 0.6 Bv40",
            "Algo1",
            "LWS seitlich im Stehen",
            "IRM lombaire",
            "RX rachide lombosacrale",
            "heup axiaal",
        ),
        *("BrachialPlex_L", "Glnd_Submand_R", "SpinalCord_PRV05", "CTVn_4600", "GTVp1", "V_Venacava_I", "3DCRT 6FFF"),
        *("Synaptophysin", "Prostatectomy, frozen section", "LAFB", "SpO2", "Gastroscopy, antrum", "MAG3 renogram"),
        *("White matter lesions, T2", "Real time, long axis", "MR Kopf nativ und nach KM", "IRM rachis sans injection"),
        *(
            "45y female",
            "age 45",
            "bone age 91 months",
            "T2 95 mm",
            "KV 100 mA 120",
            "b 50 400 800",
            "L3 IV 2",
            "12 IV lines",
        ),
        *(
            "Spinal Cord",
            "SpinalCord",
            "Spinal_Cord",
            "Rectal Wall",
            "Cauda equina",
            "Cochlea_L",
            "Homo sapiens",
            "Feline",
        ),
        *("TC de tórax con contraste", "頭部単純CT", "", "  leading blanks stay  ", "A\\B", "3D TOF 0.5"),
        *("L5S1 T2w B50f", "3x3x3mm x2 kV120", "liver 2.5.1"),
    ],
)
def test_what_is_harmless_stays_byte_for_byte(text: str) -> None:
    """Nothing is tidied where nothing goes."""
    assert (text, 0) == CLEANER.clean(text)[:2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("MR Mueller Kopf", "MR Kopf"),
        ("MR MÜLLER^JÖRG Kopf", "MR Kopf"),
        ("jorg muller", ""),
        ("MR Mu\u0308ller Scha\u0308del", "MR Scha\u0308del"),  # accents behind their letters
        ("Hauptstraße 12 A\u0308 knee", "knee"),  # and behind what went as the letter of a house
        ("\uff9e knee", "knee"),
        ("Echo ECHO 4D", "4D"),
        ("Berg J. knee", "knee"),
        ("dECHO dADC eDWI", "dADC eDWI"),
        ("dSMITH nBRIEN dMR", ""),
        ("山田太郎 頭部単純", "頭部単純"),
        ("山田頭部", "頭部"),
        ("やまだ様", ""),
        ("CHEST 001 CHEST", "CHEST"),
        ("chest-001", ""),
        ("CHEST AP", "CHEST AP"),
        ("University scan", "University scan"),
        ("University Hospital scan", "scan"),
        ("12 mm, 4mr1", "mm"),
    ],
)
def test_own_values_go_whatever_the_vocabulary_says(text: str, expected: str) -> None:
    """Names word by word in each spelling; identifiers and places as a whole."""
    assert expected == CLEANER.clean(text, OWN).text


def test_own_identifiers_go_in_any_punctuation() -> None:
    """Written in pieces as well, which alone would be ordinary numbers; not where they are only a part of a word."""
    own = OwnValues.of(others=["PX7788123", "P123", "0045871", "S21-9988-A", "12", "1.2"])
    texts = ("PX-77 88 123", "77-88 mm, P-123", "P 12 3 lung", "4 58/71 axial", "S 21 99 88A", "T1 2 mm", "P1 234 mm")
    assert ("", "77-88 mm", "lung", "axial", "", "T1 2 mm", "P1 234 mm") == tuple(
        CLEANER.clean(text, own).text for text in texts
    )


def test_nothing_of_a_date_or_time_is_left_whatever_stands_around_it() -> None:
    """A point of an abbreviation before it, a fraction and an offset from UTC behind it."""
    texts = ("v.03.03.2021 lung", "v.2021-03-03 lung", "v.10:11:12 lung", "2021-03-03T10:11:12.5+01:00 lung")
    more = ("2021-03-03 10:11:12,5Z lung", "20210303101112.5+0100 lung", "sl.1.25 mm", ".95 y")
    assert [*("v. lung",) * 3, *("lung",) * 3, *more[2:]] == [CLEANER.clean(text).text for text in (*texts, *more)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CT Chest for Dr. Young, routine", "CT Chest for routine"),
        ("Dr Head chest", "chest"),
        ("DR CHEST", "DR CHEST"),
        ("MR CHEST", "MR CHEST"),
        ("Herr Dr. med. Lang Thorax", "Thorax"),
        ("Brown, James CHEST", "CHEST"),
        ("White CHEST", "CHEST"),
        ("Long, James", ""),
        ("Head^Oliver", ""),
        ("Smith J. knee", "knee"),
        ("J. Smith L knee", "knee"),
        ("O'Brien knee", "knee"),
        ("de la Cruz", ""),
        ("DeLong", ""),
        ("McDonald", ""),
        ("ARMSTRONG", ""),
        ("Normand", ""),
        ("20 ms delay", "20 ms delay"),
        ("patient Stone", "patient"),
        ("Cord", ""),
        ("Wall, James chest", "chest"),
        ("Dr. Cord spinal", "spinal"),
        ("Homo", ""),
        ("山本 胸部", "胸部"),
    ],
)
def test_names_of_strangers_go(text: str, expected: str) -> None:
    """Also those that are ordinary words, if they stand where names stand."""
    assert expected == CLEANER.clean(text).text


@pytest.mark.parametrize(
    "planted",
    [
        # Dates in more than ten notations, and times.
        *(
            "2019-03-24",
            "20190324",
            "24.03.2019",
            "24/03/2019",
            "24_03_2019",
            "3_24_19",
            "3/24/19",
            "24 March 2019",
            "March 24, 2019",
            "24-MAR-2019",
        ),
        *(
            "2019年3月24日",
            "24. März 2019",
            "Mar 2019",
            "24 févr. 2019",
            "令和1年3月24日",
            "2019/03/24 14:32:05",
            "03/2019",
            "24.3.",
        ),
        *("24-III-2019", "24-set-19", "24-mrt-19", "24 3 2019", "III/2019", "98.03.24", "2019년 3월 24일", "3월 24일"),
        *("10.30 Uhr", "1030 Uhr", "10h30", "9 h 05"),
        *("20190324143205", "2019-03-24T14:32:05Z", "1899-12-01", "14:32", "2019", "24 de marzo de 2019"),
        # Ages that few reach.
        *("91y", "091Y", "91 yo", "95-year-old", "101 Jahre", "103 years old", "aged 93", "age: 91", "92歳"),
        # Telephone numbers.
        *(
            "612 345 678",
            "9123 4567",
            "TEL_03 23 07 45 74",
            "22 33 44 55",
            "(555) 010-4477",
            "555-010-4477",
            "+49 6221 56 0147",
            "06221 560147",
            "tél 01.55.50.14.77",
            "03-5550-0147",
        ),
        # Numbers.
        *(
            "12345",
            "MRN 471",
            "ID: 4",
            "Acc. No. 4711",
            "case 4711",
            "K12345",
            "XQ471Z8",
            "123-45-6789",
            "1.2.840.113619.2.5",
        ),
        # Addresses.
        *(
            "john.doe@mail.example",
            "https://pacs.example.org/p/1",
            "www.example.org",
            "\\\\server\\share\\x",
            "C:\\Users\\doe",
        ),
        *(
            "12 Willowbrook Lane",
            "Birkenfelder Straße 5",
            "12 rue de Montparnasse",
            "Calle de Alcántara 5",
            "69120 Heidelberg",
        ),
        *("東京都千代田区丸の内1-2-1", "P.O. Box 12", "〒100-0005", "X4T9P2", "P739", "20A417"),
    ],
)
def test_forms_that_identify_go(planted: str) -> None:
    """Before, between and behind harmless words, which stay."""
    for text in (f"{planted} CHEST AP", f"CHEST {planted} AP", f"CHEST AP {planted}", f"CHEST AP, {planted}"):
        words = [word.folded for word in words_of(CLEANER.clean(text).text)]

        assert ["chest", "ap"] == [word for word in words if word not in ("t", "z", "no")], text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seen 2019-03-04 CHEST", "seen 2019-02-22 CHEST"),
        ("20190304", "20190222"),
        ("4.3.2019", "22.02.2019"),
        ("2019年3月4日", "2019年02月22日"),
        ("2019년 3월 4일", "2019년 02월 22일"),
        ("04-MAR-2019", "22-FEB-2019"),
        ("March 4th, 2019", "Feb 22, 2019"),
        ("4 March 2019", "22 Feb 2019"),
        ("4 maart 2019", "22 feb 2019"),
        ("04 DE MARÇO DE 2019", "22 DE FEB DE 2019"),
        ("29.02.2024", "19.02.2024"),
        ("30.02.2024 CHEST", "CHEST"),
        ("3/4/2019 CHEST", "CHEST"),
        ("Mar 2019 CHEST", "CHEST"),
        ("19000101", "20000101"),
    ],
)
def test_clear_dates_move(text: str, expected: str) -> None:
    """In their notation; what may mean two days, or is none, goes."""
    assert expected == CLEANER.clean(text, None, -10).text


def test_review_leaves_what_is_only_unknown() -> None:
    """Unknown words stay and are listed; names in context, own values and forms go all the same."""
    cleaner = TextCleaner(unknown=Unknown.REVIEW)
    own = OwnValues.of(persons=["Schmidt^Eva"])
    cleaned = cleaner.clean("FROBNICATE Schmidt Dr. Krause 12.03.2019 knee 30-Mär-84", own)

    assert ("FROBNICATE knee", ("FROBNICATE",)) == (cleaned.text, cleaned.to_review)


@pytest.mark.parametrize("unknown", Unknown)
@pytest.mark.parametrize(
    ("codec", "name"),
    [
        *(("shift_jis", "山田錦太郎"), ("shift_jis", "タロウ"), ("big5", "歐陽修文"), ("big5", "丁一")),
        *(("gbk", "镕喆丽"), ("cp949", "똠방각하"), ("euc_jp", "山田"), ("iso2022_jp", "山田錦太郎")),
        *(("cp866", "Пантелеймон"), ("cp437", "Åström"), ("cp1252", "Šašek")),
        *(("cp850", "Antón"), ("cp850", "Badía"), ("cp1250", "BEŁZ")),
    ],
)
def test_names_in_other_character_sets_go(codec: str, name: str, unknown: Unknown) -> None:
    """Read as Latin-1 they are letters and signs that are nobody's by themselves."""
    text = f"CT thorax {name.encode(codec).decode('latin-1')}, nativ"

    assert "CT thorax nativ" == TextCleaner(unknown=unknown).clean(text).text


@pytest.mark.parametrize(
    "text", ["Wirbelsäule 90° ±2°", "T10\x96L5 1ª 2º n°1", "Schädel 3\xd75 mm", "«Tête» ½", "patient\x92s left"]
)
def test_signs_of_latin_1_stay(text: str) -> None:
    """Those that people write in texts, and the apostrophe and the dash of Windows."""
    assert text == CLEANER.clean(text).text


def wide(text: str) -> str:
    """Return a text in letters and digits of full width."""
    return "".join(chr(ord(one) + 0xFEE0) if "!" <= one <= "~" else one for one in text)


def digits(text: str, zero: int) -> str:
    """Return a text with the digits of another script."""
    return "".join(chr(zero + int(one)) if one.isdigit() else one for one in text)


ARABIC, PERSIAN, DEVANAGARI, THAI = 0x0660, 0x06F0, 0x0966, 0x0E50


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        *((wide(one), one) for one in ("1961/03/03", "14:22:33", "x@y.example", "020-7946-0958", "Mueller")),
        *((digits("1961/03/03", zero), "1961/03/03") for zero in (ARABIC, PERSIAN, DEVANAGARI, THAI)),
        *((digits(one, ARABIC), one) for one in ("14:22:33", "020 7946 0958", "20123", "12")),
        (digits("1961\u060d03\u060d03", ARABIC), "1961/03/03"),
        ("1961\u201303\u201303", "1961-03-03"),
        ("3\u00a0March\u00a01961", "3 March 1961"),
        ("\u24bf\u24c4\u24bd\u24c3", "JOHN"),
        ("J\u00ado\u200bhn", "John"),
        ("M\u00fcl\u00adler", "M\u00fcller"),
    ],
)
@pytest.mark.parametrize("days", [None, 10])
def test_digits_and_letters_of_other_kinds(text: str, plain: str, days: int | None) -> None:
    """Dates, times, numbers and names are what they are in wide letters, in any digits, with any dash, and cut up."""
    cleaned = CLEANER.clean(f"chest {text} lung", OWN, days).text

    assert CLEANER.clean(f"chest {plain} lung", OWN, days).text == cleaned
    assert text not in cleaned


def test_what_may_stay_is_not_written_anew() -> None:
    """Harmless words and numbers keep their letters."""
    text = f"{wide('CT')}\u3000{wide('ABDOMEN 5mm')} \u2013 chest \u0665 mm\u00b2"

    assert text == CLEANER.clean(text, OWN).text


@pytest.mark.parametrize(
    "word",
    ["\U00031350", "\U0002ebf0\U0002ebf1", "\U000323b0\U000323b1", "\u5c71\U00031350", "\ue000", "\U000f0000"],
)
def test_names_in_letters_that_python_does_not_know_go(word: str) -> None:
    """Han of Unicode 15.0, 15.1 and 17.0 and of private use: no Python takes them for what is between words."""
    reviewed = TextCleaner(unknown=Unknown.REVIEW).clean(f"knee {word}")

    assert "knee" == CLEANER.clean(f"knee {word}").text
    assert (f"knee {word}", (word,)) == (reviewed.text, reviewed.to_review)


def test_words_of_an_own_place_that_no_vocabulary_knows() -> None:
    """They go by themselves, too, where unknown words stay; a word of it that is known stays."""
    own = OwnValues.of(others=["OFFIS e.V.", "Chest Clinic Oldenborg"])
    cleaner = TextCleaner(unknown=Unknown.REVIEW)

    assert ("Chest Test Document", ()) == cleaner.clean("OFFIS Chest Test Document Oldenborg", own)[::2]
    assert ("Chest Oldenborgs", ("Oldenborgs",)) == cleaner.clean("Chest Oldenborgs", own)[::2]


def test_a_site_brings_words() -> None:
    """They are kept like those of the built-in vocabulary, and own values go before them."""
    cleaner = TextCleaner(load_vocabulary().with_more(["Frobnicate", "Schmidt"]))

    assert "FROBNICATE Schmidt knee" == cleaner.clean("FROBNICATE Schmidt knee").text
    assert "FROBNICATE knee" == cleaner.clean("FROBNICATE Schmidt knee", OwnValues.of(persons=["Schmidt^Eva"])).text
    assert "knee" == CLEANER.clean("FROBNICATE Schmidt knee").text


@PROPERTY
@given(st.text(max_size=40), st.lists(st.text(st.characters(categories=["L"]), min_size=2, max_size=8), max_size=3))
def test_no_own_name_is_ever_left(text: str, names: list[str]) -> None:
    """In any text, at any place, as a word of its own; and cleaning twice is cleaning once."""
    own = OwnValues.of(persons=["^".join(names)])
    planted = " ".join((text, *names, text))
    cleaned = CLEANER.clean(planted, own).text

    assert not own.words & {word.folded for word in words_of(cleaned)}
    assert cleaned == CLEANER.clean(cleaned, own).text


@pytest.mark.parametrize(
    "piece",
    [
        "a.",
        "1",
        "1 ",
        "12 Aaa ",
        "a@",
        "(",
        "1-",
        "+1 ",
        "頭部",
        "東京都",
        "Aa^",
        "head",
        "1/",
        "http://",
        "tel ",
        "<>",
        "é",
        "a-",
        "都",
        "1年",
    ],
)
@pytest.mark.timeout(20)
def test_no_text_takes_long(piece: str) -> None:
    """As long as an LT may be, and made to be searched for ever, by what is looked for only where something else is."""
    cleaned = CLEANER.clean(piece * (10220 // len(piece)) + " @ :// str. 1", OWN, -5)

    assert len(cleaned.text) <= 10240


@pytest.mark.parametrize("between", [" ", "_", " .", "-"])
@pytest.mark.timeout(20)
def test_no_label_far_from_its_number_takes_long(between: str) -> None:
    """What stands between them takes the time that its length takes, and not the cube of it."""
    assert CLEANER.clean(f"MR tel{between * (8000 // len(between))}x 12", OWN, -5).text.startswith("MR")


def test_a_long_text_is_cleaned_line_by_line() -> None:
    """Nothing of a line is left that is longer than any that people write."""
    lines = ["liver of Echo 2019-03-24"] * 1000 + ["liver " * 3000, "MR"]
    cleaned = CLEANER.clean("\n".join(lines), OWN)

    assert cleaned.text == "\n".join(["liver of"] * 1000 + ["", "MR"])
    assert cleaned.removed == 2001


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((text, text) for text in ("SAG_STN", "PJN", "3-pl T2* FGRE", "Ax T2 FS RTr PROPELLER", "FFPE HE TP DXF")),
        *((text, text) for text in ("Triphase", "SpecialsCTBIOPSY_Adult_", "CTHEAD", "sB800", "Liver_Infrarenal")),
        ("chest DXQ 2019-03-24", "chest"),
        ("chest DXQ Willowbrook", "chest"),
        ("chest QN DXQ Oliver", "chest"),
        ("chest for DXQ", "chest for"),
        ("chest Dr. DXQ", "chest"),
        ("DXQ 4711", "4711"),
        ("knee NG", "knee"),
        ("knee Vlk", "knee"),
        ("KRK knee", "knee"),
        ("Wm knee", "knee"),
        ("CTMOROZ", ""),
        ("Trimble", ""),
        ("McTHORAX", ""),
        ("smB800", ""),
    ],
)
def test_what_can_only_be_an_abbreviation_stays_among_what_stays(text: str, expected: str) -> None:
    """Nobody is called by letters without a syllable; beside a name, a date or a long number they may be part of it."""
    assert expected == CLEANER.clean(text).text


@pytest.mark.parametrize("text", ["knee PGQ", "knee GPQ", "knee QPG", "KNEE QGP", "knee qll", "KNEE PRGRN", "knee SGH"])
def test_abbreviations_of_own_names_go(text: str) -> None:
    """Initials in each order, names without their vowels, initials of places."""
    own = OwnValues.of(persons=["Quill^Peregrine^Grant"], others=["Sankt Georg Hospital"])

    assert "knee" == CLEANER.clean(text, own).text.lower()
    assert "knee BSG" == CLEANER.clean("knee BSG", own).text


def test_a_whole_own_name_takes_nothing_beside_it_along() -> None:
    """What is also a name stays beside all parts of the patient's name; one part alone takes it along."""
    own = OwnValues.of(persons=["Smith^Oliver"])

    assert "SPGR POST" == CLEANER.clean("SPGR POST Oliver Smith", own).text
    assert "SPGR" == CLEANER.clean("SPGR POST Oliver", own).text
    assert "SPGR" == CLEANER.clean("SPGR POST Oliver Smith").text


@PROPERTY
@given(st.text(max_size=60))
def test_nothing_is_invented(text: str) -> None:
    """Every word of the result is one of the text, in the same order."""
    words = iter([word.text for word in words_of(text)])

    assert all(any(word.text in source for source in words) for word in words_of(CLEANER.clean(text).text))


def test_the_benchmark() -> None:
    """The figures of docs/text-cleaning.md: nothing planted is left, and 95 of 100 harmless words stay."""
    result = score(Planter(2026).descriptors(3000), by_cleaner())

    assert (2700, {}) == (sum(result.planted.values()), dict(result.left))
    assert result.kept / result.harmless >= 0.95


def test_the_benchmark_through_the_engine() -> None:
    """Whole instances lose and keep what their texts alone do."""
    descriptors = list(Planter(7).descriptors(300))
    through_engine, alone = score(descriptors, by_engine()), score(descriptors, by_cleaner())

    assert (270, {}) == (sum(through_engine.planted.values()), dict(through_engine.left))
    assert alone.kept == through_engine.kept


def test_the_vocabulary_knows_the_standards_words_and_no_eponyms() -> None:
    """Terms of PS3.16 are kept; the names in them are not, but beside the words that make them terms."""
    vocabulary = load_vocabulary()

    assert all(vocabulary.standing(word) is Standing.KNOWN for word in ("tractography", "Parenchyma", "os"))
    assert all(vocabulary.standing(word) is Standing.UNKNOWN for word in ("Hadlock", "Bazett", "Framingham", "Texas"))
    assert Standing.BESIDE is vocabulary.standing("white")
    assert "matter" in vocabulary.partners["white"]


@pytest.mark.parametrize(
    ("word", "folded"),
    [("Weiß", "weiss"), ("FRANÇOIS", "francois"), ("mm²", "mm2"), ("ÀÉ", "ae"), ("Đắc", "dac"), ("Łoś", "los")],
)
def test_folding(word: str, folded: str) -> None:
    """Case, accents and ligatures do not tell words apart."""
    assert folded == fold(word)


@pytest.mark.parametrize(
    "word", ["Mu\u0308ller", "\u092e\u0940\u0930\u093e", "\u0787\u07a6\u0799\u07ac", "\U0001e900\U0001e944\U0001e901"]
)
def test_what_stands_behind_a_letter_belongs_to_its_word(word: str) -> None:
    """Accents and vowel signs of whatever script (Latin, Devanagari, Thaana, Adlam) do not cut a name into pieces."""
    assert [found.text for found in words_of(f"{word} 2 {word}")] == [word, "2", word]


@pytest.mark.parametrize("unknown", Unknown)
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ﾔﾏｸﾞﾁ^ﾊﾅ ﾞ", "liver ﾔﾏｸﾞﾁ"),
        ("Nguyễn^Đắc Hưng", "liver DAC HUNG NGUYEN"),
        ("Nguyễn^Đắc Hưng", "liver ĐẮCHƯNG.NGUYỄN"),
        ("Łoś^Ewa", "liver Ewa Los"),
        ("Busch^Jean", "liver BuschJean JEANBUSCH"),
        ("De la Cruz^Jan", "liver J. DELACRUZ"),
        ("Y\u0131ld\u0131r\u0131m^I\u015f\u0131k", "liver YILDIRIM_ISIK"),
        ("Ждин^Дмитрий", "liver scanOfЖдинKnee"),
    ],
)
def test_own_names_go_however_they_are_written(name: str, text: str, unknown: Unknown) -> None:
    """Without their strokes also where that is a word; written together also where unknown words stay."""
    assert TextCleaner(unknown=unknown).clean(text, OwnValues.of(persons=[name])).text == "liver"
