"""Invented people: names, addresses in towns that do not exist, and artificial personal identity codes.

The individual numbers 900-999 are never given to a real person (Decree 690/2022), so no code
made here is anybody's.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from vault.domain.hetu import SIGNS, spell
from vault.domain.private import Private
from vault.domain.records import Author
from vault.testing.synthetic.dice import Dice

_OLDEST_ADULT, _YOUNGEST_ADULT = date(1941, 1, 1), date(2007, 12, 31)
_OLDEST_MINOR, _YOUNGEST_MINOR = date(2010, 1, 1), date(2015, 12, 31)

# women's names, then men's; written for this register, in no real combination on purpose
_GIVEN: Final = {
    "fi": (
        "Aino Eeva Hilkka Inkeri Kaarina Laura Maija Noora Päivi Riikka Sanna Tuulikki Venla Ilona Saara Helmi",
        "Antti Eero Heikki Ilkka Juhani Kalle Lauri Mikko Niilo Olli Pekka Risto Sampo Tapio Veikko Yrjö",
    ),
    "sv": (
        "Agneta Birgitta Carola Disa Ebba Fredrika Gunilla Hedvig Ingrid Karin Linnéa Märta Siv Åsa",
        "Anders Bengt Christer Erik Fredrik Göran Henrik Johan Kaj Lars Mårten Nils Rolf Sven",
    ),
    "en": ("Alice Claire Emily Fiona Grace Hannah Joan Ruth", "Andrew Colin David Edward George Henry Peter Thomas"),
}
_FAMILY: Final = {
    "fi": (
        "Ahokangas Harjunpelto Iltarusko Jokikivi Kaislaranta Kuusivaara Lehtosalmi Mustikkala Niittykoski "
        "Pihlajasuo Rantakaisla Suvituuli Tähkäpelto Utuniemi Vesanharju Ylisaari Äijönmaa Öljymäki"
    ),
    "sv": (
        "Almskog Björkholmen Dalsved Ekstrand-Vik Fagernäs Granbacken Hagström-Lind Kvarnsund Ljungåker "
        "Norrdahl Rönnskär Sjöäng Tallvik Åkerhjelm Östanå"
    ),
    "en": "Ashdown Brookfield Carrow Fairweather Greenhalgh Marlowe Northcott Whitcombe",
}
_WOMEN: Final = frozenset({"äiti", "sisar", "mamma", "syster", "mother", "sister"})
_MEN: Final = frozenset({"isä", "veli", "pappa", "bror", "father", "brother"})
_STREETS: Final = {
    "fi": "Kuvitelmakatu Satupolku Esimerkkitie Keijukaisenkuja Mallitalontie Tarinakatu",
    "sv": "Sagostigen Exempelvägen Fantasigatan Mönstergränden Diktarvägen Älvvägen",
}
_TOWNS: Final = {
    "fi": (("99901", "Satukylä"), ("99902", "Mallila"), ("99903", "Esimerkkilä")),
    "sv": (("99904", "Exempelby"), ("99905", "Sagonäs")),
}

CLINICIANS: Final = (
    Author("Marjatta Koivulehto", "A-10417", "psykoterapeutti"),
    Author("Jorma Hietasaari", "A-10582", "psykologi, psykoterapeutti"),
    Author("Sirkka Vuorenpää", "A-10733", "psykoterapeutti"),
    Author("Petri Laaksolahti", "A-10860", "psykiatrian erikoislääkäri"),
    Author("Elina Tervajoki", "A-11024", "psykiatrinen sairaanhoitaja"),
    Author("Outi Metsäkangas", "A-11139", "psykologi"),
    Author("Tuomas Korpiniemi", "A-11256", "perheterapeutti"),
    Author("Annika Strandell", "A-11371", "psykoterapeut"),
    Author("Kristian Bergåker", "A-11498", "psykolog, psykoterapeut"),
    Author("Monica Liljendahl", "A-11515", "specialist i psykiatri"),
    Author("Peter Lindhagen", "A-11632", "psykiatrisk sjukskötare"),
    Author("Eleanor Whitfield", "A-11749", "psychotherapist"),
)
PHYSICIANS: Final = {"fi": CLINICIANS[3], "sv": CLINICIANS[9], "en": CLINICIANS[3]}
THERAPISTS: Final = {
    "fi": (*CLINICIANS[:3], *CLINICIANS[4:7]),
    "sv": (CLINICIANS[7], CLINICIANS[8], CLINICIANS[10]),
    "en": (CLINICIANS[11],),
}
OFFICE: Final = Author("Kirsi Saarenheimo", "T-20018", "toimistosihteeri")


@dataclass(frozen=True, slots=True)
class Person(Private):
    """Who an invented patient is; the representation shows nothing."""

    given_names: str
    family_name: str
    code: str
    birth_date: date
    language: str
    street: str
    postal_code: str
    city: str
    email: str
    phone: str


def draw_person(dice: Dice, language: str, sign_number: int, *, minor: bool) -> Person:
    """Invent somebody.

    :param sign_number: which of the signs of her century she gets, so that all occur.
    """
    oldest, youngest = (_OLDEST_MINOR, _YOUNGEST_MINOR) if minor else (_OLDEST_ADULT, _YOUNGEST_ADULT)
    born = oldest + timedelta(days=dice.below((youngest - oldest).days + 1))
    number = dice.between(900, 998)
    signs = SIGNS[born.year // 100 * 100]
    code = spell(born, number, signs[sign_number % len(signs)])
    given = " ".join(dice.some(_GIVEN[language][number % 2].split(), dice.between(1, 2)))
    family = dice.pick(_FAMILY[language].split())
    tongue = "sv" if language == "sv" else "fi"
    postal_code, city = dice.pick(_TOWNS[tongue])
    street = f"{dice.pick(_STREETS[tongue].split())} {dice.between(1, 88)} {dice.pick('ABCD')} {dice.between(1, 60)}"
    email = f"{_plain(given.split()[0])}.{_plain(family)}.{dice.between(100, 999)}@example.org"
    phone = f"+358 40 0000 {dice.between(0, 999):03d}"
    return Person(given, family, code, born, language, street, postal_code, city, email, phone)


def draw_name(dice: Dice, language: str, *, men: bool | None = None) -> str:
    """Invent another person's name; a man's, a woman's, or either."""
    given = _GIVEN[language][dice.below(2) if men is None else men]
    return f"{dice.pick(given.split())} {dice.pick(_FAMILY[language].split())}"


def draw_relative(dice: Dice, language: str, relations: Sequence[str]) -> tuple[str, str]:
    """Invent somebody close: a name, and one of the relations that fits it."""
    relation = dice.pick(relations)
    men = True if relation in _MEN else False if relation in _WOMEN else None
    return draw_name(dice, language, men=men), relation


def _plain(name: str) -> str:
    return unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
