"""Names of persons of many languages, and how people write them elsewhere.

Written without a look at the search that it tries: what stands here comes from PS3.5 annexes H to K, from telephone
books and from how file names, labels and letters repeat a name.

Public names: ``Name``, ``NAMES``, ``written``, ``BEYOND``.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import random
    from collections.abc import Callable


class Name(NamedTuple):
    """A person.

    Attributes:
        family: In letters of the alphabet, or of the only script that the name has.
        given: Likewise.
        ideographic: Family and given name in the second component group, "" for none.
        phonetic: In the third.
        charset: Specific Character Set that can hold all of it.
        codec: Python's for the first component group and other text in it.

    """

    family: str
    given: str
    ideographic: tuple[str, str] = ("", "")
    phonetic: tuple[str, str] = ("", "")
    charset: str = "ISO_IR 192"
    codec: str = "utf-8"

    @property
    def text(self) -> str:
        """Return the value of a PN element."""
        groups = [f"{self.family}^{self.given}", "^".join(self.ideographic), "^".join(self.phonetic)]
        return "=".join(group if group != "^" else "" for group in groups).rstrip("=")


_LATIN1, _LATIN2, _LATIN5 = ("ISO_IR 100", "latin-1"), ("ISO_IR 101", "iso8859-2"), ("ISO_IR 148", "iso8859-9")
_NONE, _UTF8 = ("", "ascii"), ("ISO_IR 192", "utf-8")


def _western(text: str, charset: tuple[str, str]) -> list[Name]:
    return [
        Name(family, given, charset=charset[0], codec=charset[1])
        for family, _, given in (one.strip().partition("^") for one in text.split(";"))
    ]


NAMES: Final[tuple[Name, ...]] = (
    *_western(
        "Hendricks^Philippa; Smith-Featherstone^Rosalind; O'Shaughnessy^Declan; McAllister^Fergus;"
        "Van der Meulen^Katrijn;"
        "Abernathy^Theodora; Vanderbilt-Okafor^Chidi; D'Angelo^Raffaella; St. Clair^Imogen; Oyelaran^Babatunde;"
        "Whittingstall^Peregrine; De la Cruz^Esperanza; Nguyen^Thanhtrung; Xu^Xiaoming; Ng^Keeyong;"
        "Krishnamurthy^Lakshmi",
        _NONE,
    ),
    *_western(
        "Größmann^Jürgen; Müller-Lüdenscheidt^Käthe; Weißgerber^Sören; Lefèvre^Hélène; Ibáñez Núñez^José;"
        "Sørensen^Bjørn; Åkerström^Märta; Gonçalves^Conceição; Bjarnadóttir^Þórunn; Etxebarría^Iñaki",
        _LATIN1,
    ),
    *_western("Dvořáček^Jiří; Wiśniewski^Łukasz; Szőllősi^Gergő; Đurđević^Željko", _LATIN2),
    *_western("Y\u0131ld\u0131r\u0131m^Çağlar; Şimşek^Gülşen", _LATIN5),
    *_western("Lefèvre^Hélène; Nguyễn^Đắc Hưng; Žukauskaitė^Jūratė; Größmann^Jürgen; Țepeluș^Ștefania", _UTF8),
    Name("Кузнецова", "Людмила", charset="ISO_IR 144", codec="iso8859-5"),
    Name("Щербаков", "Дмитрий"),
    Name("Παπαδόπουλος", "Γεώργιος", charset="ISO_IR 126", codec="iso8859-7"),
    Name("لنزار", "قباني", charset="ISO_IR 127", codec="iso8859-6"),
    Name("שרון", "דבורה", charset="ISO_IR 138", codec="iso8859-8"),
    Name("ศรีสุวรรณ", "สมชาย", charset="ISO_IR 166", codec="tis-620"),
    Name("Kurosawa", "Masahiko", ("黒沢", "雅彦"), ("くろさわ", "まさひこ"), "\\ISO 2022 IR 87", "iso2022_jp"),
    Name("ｼﾐｽﾞ", "ﾋﾛﾀｶ", ("清水", "博隆"), ("しみず", "ひろたか"), "ISO 2022 IR 13\\ISO 2022 IR 87", "shift_jis"),
    Name("Matsushita", "Chiaki", ("松下", "千秋"), ("マツシタ", "チアキ")),
    Name("Hwangbo", "Seungmin", ("皇甫", "承民"), ("황보", "승민"), "\\ISO 2022 IR 149", "euc_kr"),
    Name("Namgoong", "Hyejin", ("南宮", "慧珍"), ("남궁", "혜진")),
    Name("Ouyang", "Zhengrong", ("欧阳", "正荣"), charset="GB18030", codec="gb18030"),
    Name("Shangguan", "Wanrong", ("上官", "婉容"), charset="\\ISO 2022 IR 58", codec="iso2022_cn"),
    Name("Sima", "Xiangru", ("司馬", "相如")),
)

_GERMAN: Final = str.maketrans(
    {
        "ä": "ae",
        "ö": "oe",
        "ü": "ue",
        "ß": "ss",
        "Ä": "Ae",
        "Ö": "Oe",
        "Ü": "Ue",
        "ø": "oe",
        "Ø": "Oe",
        "å": "aa",
        "Å": "Aa",
    }
)
_STROKES: Final = str.maketrans(
    {
        "ß": "ss",
        "ø": "o",
        "Ø": "O",
        "ł": "l",
        "Ł": "L",
        "đ": "d",
        "Đ": "D",
        "\u0131": "i",
        "þ": "th",
        "Þ": "Th",
        "æ": "ae",
    }
)


def plain(text: str) -> str:
    """Return a text without accents and strokes."""
    parts = unicodedata.normalize("NFKD", text)
    return "".join(one for one in parts if not unicodedata.combining(one)).translate(_STROKES)


def german(text: str) -> str:
    """Return a text with an umlaut as two letters, other accents dropped."""
    return plain(unicodedata.normalize("NFC", text).translate(_GERMAN))


def _wide(text: str) -> str:
    return "".join(chr(ord(one) + 0xFEE0) if "!" <= one <= "~" else one for one in text)


def _katakana(text: str) -> str:
    return "".join(chr(ord(one) + 0x60) if "ぁ" <= one <= "ゖ" else one for one in text)


def _single(text: str) -> bool:
    return len(text) >= 4


ORDERS: Final = {
    "as in PN": "{family}^{given}",
    "given first": "{given} {family}",
    "comma": "{family}, {given}",
    "blank": "{family} {given}",
    "underline": "{family}_{given}",
    "dot": "{given}.{family}",
    "slash": "{family}/{given}",
    "joined": "{family}{given}",
    "joined, given first": "{given}{family}",
    "two lines": "{family}\r\n{given}",
    "with title": "Prof. Dr. med. {given} {family}",
    "initial": "{given[0]}. {family}",
    "caret and middle": "{family}^{given}^A^^",
}
"""The whole name."""

ALONE: Final = {
    "family": "{family}",
    "family's": "{family}'s knee",
    "given": "{given}",
    "in a sentence": "seen with Mrs {family} on ward",
    "digits behind": "{family}2",
    "digits before": "07{family}",
    "in brackets": "CT({family})",
    "in a path": "C:\\export\\{family}\\ct",
    "camel": "scanOf{family}Knee",
    "underlines": "T1_{family}_post",
}
"""One of its parts."""

CASES: Final[dict[str, Callable[[str], str]]] = {"as is": str, "upper": str.upper, "lower": str.lower}
FORMS: Final[dict[str, Callable[[str], str]]] = {
    "": str,
    "without accents": plain,
    "two letters for one": german,
    "decomposed": lambda text: unicodedata.normalize("NFD", text),
    "hyphen as blank": lambda text: text.replace("-", " "),
    "hyphen gone": lambda text: text.replace("-", ""),
    "apostrophe gone": lambda text: text.replace("'", ""),
    "typographic apostrophe": lambda text: text.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}"),
    "blanks gone": lambda text: text.replace(" ", ""),
    "full width": _wide,
}

BEYOND: Final[dict[str, Callable[[Name], str]]] = {
    "initials": lambda name: f"{name.given[0]}{name.family[0]}",
    "initials with dots": lambda name: f"{name.given[0]}.{name.family[0]}.",
    "three letters of each": lambda name: f"{name.family[:3]}{name.given[:3]}",
    "misspelled": lambda name: name.family[:2] + name.family[3:],
    "reversed": lambda name: name.family[::-1],
}
"""What nobody expects a search to find without many false alarms."""


def written(name: Name, draw: random.Random) -> tuple[str, str]:
    """Return one way in which somebody writes a name, and what to call it."""
    if name.ideographic[0] and draw.random() < 0.5:
        return _eastern(name, draw)
    family, given = name.family, name.given
    order = draw.choice([*ORDERS, *(ALONE if _single(family) and _single(given) else ())])
    if "-" in family and draw.random() < 0.4:
        return draw.choice(family.split("-")), "half of a double name"
    form = draw.choice([one for one, change in FORMS.items() if not one or change(family + given) != family + given])
    if form == "full width" and draw.random() < 0.8:
        form = ""
    case = draw.choice(list(CASES))
    family, given = (CASES[case](FORMS[form](part)) for part in (family, given))
    text = {**ORDERS, **ALONE}[order].format(family=family, given=given)
    return text, f"{order}, {case}, {form}"


def _eastern(name: Name, draw: random.Random) -> tuple[str, str]:
    group, label = draw.choice(
        [(name.ideographic, "ideographic")] + ([(name.phonetic, "phonetic")] if name.phonetic[0] else [])
    )
    family, given = group
    joins = {
        "caret": "^",
        "joined": "",
        "blank": " ",
        "wide blank": "\N{IDEOGRAPHIC SPACE}",
        "middle dot": "\N{KATAKANA MIDDLE DOT}",
    }
    join = draw.choice(list(joins))
    text = f"{family}{joins[join]}{given}"
    if label == "phonetic" and _katakana(text) != text and draw.random() < 0.3:
        text, label = _katakana(text), "hiragana as katakana"
    if draw.random() < 0.2:
        text, label = f"{text}様", f"{label} with honorific"
    return text, f"{label}, {join}"
