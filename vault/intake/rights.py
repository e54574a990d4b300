"""The words by which each right is recognised: data, so that a person can extend them.

Every entry is a regular expression over one sentence in lower case with single spaces. What people write seldom
names a right; mostly a verb stands near a word for records, in either order, and that is what most entries say.
"""

import re
from typing import Final, TypeAlias

from vault.domain.request import RequestKind


class Near:
    """An expression that begins with common words, and the rarer ones in it: without these it need not be tried."""

    __slots__ = ("_rare", "_whole")

    def __init__(self, rare: str, whole: str) -> None:
        """Compile both; wherever ``whole`` matches, ``rare`` must match too."""
        self._rare, self._whole = re.compile(rare), re.compile(whole)

    def search(self, words: str) -> bool:
        """Tell whether the words hold it."""
        return self._rare.search(words) is not None and self._whole.search(words) is not None


Patterns: TypeAlias = tuple[re.Pattern[str] | Near, ...]

_NEAR = ".{0,80}"  # at most so far apart

_DATA = (
    r"(?:\b(?:potilas|hoito|henkilö|terveys|asiakas|käynti|terapia|istunto)*(?:tie(?:to|do)|merkin|merkit|kirjau|papere)"
    r"|asiakirj|kertomu|epikriis|rekister|dokument|merkintö"
    r"|uppgift|anteckning|journal|handling|papper|patientregist"
    r"|\b(?:data|records?|files?|information|notes|charts?|documents|details)\b)"
)
_WEAK = r"(?:data|information|details|uppgift|personuppgift|papper|tie(?:to|do)|merkin|rekister)"
_OWN = (  # records that somebody has, not information in general
    r"(?:\b(?:potilas|hoito|henkilö|terveys|asiakas|käynti|terapia|istunto)+(?:tie(?:to|do)|merkin|merkit|kirjau|papere)"
    r"|\btie(?:to|do)\w*(?:ni|mme|nsa)\b|kirjaukse|\bpaper(?:[ei]i?ni|eita|it)|asiakirj|kertomu|epikriis|merkintö|merkinnät|muistiinpano"
    r"|journal|anteckning|\b(?:patient)?handling|patient(?:register|uppgift|papper)"
    r"|\b(?:records?|files?|notes|charts?|documents|papers|(?:personal|patient) (?:data|information))\b"
    r"|\b(?:my|his|her|all|mina|alla|hennes|hans|omat|omia|omiin|kaikki|kaikkiin|minun)\b.{0,25}" + _WEAK + ")"
)
_ABOUT = (
    r"\b(?:minusta|musta|itsestäni|minua koskev\w+|häntä koskev\w+|hänestä|lapsestani|tyttärestäni|pojastani"
    r"|om mig|gäller mig|om (?:henne|honom)|om (?:min|mitt|vår|vårt) \w+"
    r"|(?:about|on|concerning|regarding) (?:me|her|him|(?:my|our) \w+))\b"
)
_THINGS = rf"(?:{_DATA}|{_ABOUT})"
_HELD = (
    r"\b(?:kirja(?:ttu|nnut|tut)|kirjoit\w+|tallessa|talle(?:nn|te)\w+|dokumentoi\w+|arkisto\w+|tietokan\w+|järjestelmi\w+"
    r"|teillä on|mitä|millais\w+|käsittel\w+"
    r"|skrivit|sparat|sparade|behandlar|vilka|dokumenter\w+|finns|vad|har ni|ni har|register"
    r"|written|wrote|documented|stored|hold|held|have|keep|kept|got|what|process|processed)"
)
_VIEW = (
    r"\b(?:tutustu\w*|tarkasta\w*|nähdä|nähtäväks\w+|näkem\w+|lukea|saada|saan|saisinko|saanko|haltuuni|pääsy\w*"
    r"|(?:jälj?ennö|kopio)\w*|tuloste\w*|otte(?:en|et)"
    r"|läsa|se|ta del av|tillgång|granska|få|kopi(?:a|or)\w*|utskrift|utdrag|begär ut|hämta ut|bekanta"
    r"|access|inspect|see|read|view|obtain|get|have|cop(?:y|ies)|printout|everything)\b"
)
_ASK = (
    r"\b(?:pyydän|pyytäisin|haluan|haluaisin|tarvits\w+|tilaan|toivo\w+|lähettä\w+|lähetä|laitta\w+|laita|antakaa|saada|mahdollista|luettavaksi|toimitta\w+|saisin\w*|kiitos"
    r"|begär|vill|önskar|behöv\w+|skicka|sänd|posta|ge mig|tack|ber|möjligt|få"
    r"|request\w*|want|need|wish|would like|i'd like|send|post me|give me|provide|please|pls|collect|possible)\b"
)
_READERS = (
    r"\b(?:katso\w*|katsel\w*|luke\w*|avan\w*|avaa\w*|käyn(?:yt|eet)|käyttän\w+|käsitel\w*|mennyt|menn(?:eet)"
    r"|urkki\w*|nuuski\w*|vakoil\w*|läst|tittat|snokat|öppnat|sett|varit inne|gått in|haft tillgång|tagit del|behandlat"
    r"|opened|viewed|accessed|looked|snooped|pried|seen|read|used|been in)\b"
)


def near(rare: str, second: str) -> Near:
    """Match the two in either order."""
    return Near(rare, rf"{rare}{_NEAR}{second}|{second}{_NEAR}{rare}")


def _after(common: str, rare: str) -> Near:
    """Match a rare expression behind a common one."""
    return Near(rare, rf"{common}{_NEAR}{rare}")


def at_word(*phrases: str) -> re.Pattern[str]:
    """Match any of the phrases where a word begins: one search for all of them, and it passes over most letters."""
    return re.compile(rf"\b(?:{'|'.join(phrases)})")


NAMED: Final[Patterns] = (  # the right of access by one of its names
    at_word(
        r"tarkastus(?:oike|pyyn)|tietopyyn|artiklan? 15|15(?:\.|:n)? artikla",
        r"registerutdrag|rätt till insyn|insynsrätt|begäran om (?:insyn|tillgång)|artikel 15\b",
        r"d?sar\b|(?:data )?subject access request\b|right of access\b|article 15\b",
        rf"(?:jälj?ennö|kopio|kopi(?:a|or)\b|cop(?:y|ies)\b){_NEAR}{_DATA}",
    ),
    _after(_DATA, r"\bkopio"),
)
INSPECTION: Final[Patterns] = (near(_VIEW, _OWN), near(_HELD, _ABOUT), near(_ASK, _ABOUT), near(_VIEW, _ABOUT))
ALSO: Final = re.compile(r"\b(?:sekä|ja|och|samt|and)\b")  # "my records and who has read them" asks for two things
ASKED: Final[Patterns] = (near(_ASK, _OWN),)  # she wants something with records: mostly to have them

OTHERS: Final[dict[RequestKind, Patterns]] = {
    RequestKind.LOG: (
        at_word(
            r"loki(?:tie|merk|t\b|n\b|a\b)|käyttöloki|luovutusloki|lokiin|lokit\b",
            r"logg(?:uppgift|utdrag|bok|en\b|ar\b)|loggen\b",
            r"access logs?\b|log (?:data|information|entries|of who)\b|usage logs?\b|audit (?:trail|log)\b|the log\b",
            rf"(?:kuka|ketkä|kenen|kenelle|onko|joku|jotka){_NEAR}{_READERS}",
            rf"(?:kenelle|mihin){_NEAR}\bluovutet|(?:till vem|vem har ni){_NEAR}\blämnat ut",
            rf"(?:vem|vilka|som|någon){_NEAR}{_READERS}|har .{{1,60}}{_READERS} (?:på |i )?(?:min|mitt|mina)\b",
            rf"(?:who|any(?:one|body)|some(?:one|body)){_NEAR}{_READERS}",
            rf"which (?:\w+ )?(?:staff|employees|members|people|persons){_NEAR}{_READERS}",
            r"(?:has|have) .{1,60}\b(?:opened|viewed|accessed|looked at|read|been in) my\b",
            rf"(?:to whom|who){_NEAR}\bdisclosed",
        ),
    ),
    RequestKind.RECTIFICATION: (
        at_word(
            r"oikais|rectif|rättelse",
            rf"(?:muut|korja|päivit)\w*{_NEAR}(?:väär|virhe)",
            rf"(?:fel\b|felaktig|felskriv|felstav|stämmer inte){_NEAR}\b(?:rätta|ändra|korriger|uppdater)",
            rf"(?:rätta|korriger)\w*{_NEAR}(?:{_DATA}|\bfel)",
            rf"(?:wrong|errors?|mistakes?|incorrect|inaccurate|mis-?spel\w+){_NEAR}\b(?:fix|correct|update|amend|change)",
            rf"(?:fix|correct(?:ion)?\b|update|amend){_NEAR}(?:{_DATA}|wrong|error|mistake)",
        ),
        re.compile(rf"(?:väär|virhe){_NEAR}\b(?:muut|korja(?!ttu\b)|päivit)"),
        near(r"\bkorja(?:ta|am|tte|tka|kaa|us|tt)", _DATA),
        _after(_DATA, r"\b(?:felaktig|rättas|korriger|inaccurate|incorrect)"),
    ),
    RequestKind.ERASURE: (
        near(r"\b(?:poista(?:a|kaa|ma|mi|tte|tta)|poisto|poistet|hävit|tuho[ta])", rf"(?:{_THINGS}|\bkaikki)"),
        near(r"\b(?:rader|ta bort|utplån|förstör|avlägsn)", _THINGS),
        near(r"\b(?:delet|eras|remov|destroy|wip(?:e|ed)\b|purg)", _THINGS),
        at_word(r"unohdetu", r"rätten? att bli (?:bort)?glömd", r"right to (?:be forgotten|erasure)"),
    ),
    RequestKind.RESTRICTION: (
        near(r"\brajoit", rf"(?:käsittely|käytö|{_DATA})"),
        near(r"\bbegräns", rf"(?:behandling|användning|{_DATA})"),
        near(r"\brestrict", r"\b(?:processing|use)\b"),
        at_word(
            rf"älkää käyttäkö{_NEAR}{_DATA}|använd inte{_NEAR}{_DATA}",
            rf"(?:stop|do not|don't) us(?:e|ing){_NEAR}{_DATA}",
            r"artiklan? 18\b|18(?:\.|:n)? artikla\b|artikel 18\b|article 18\b",
        ),
    ),
    RequestKind.PORTABILITY: (
        near(r"\bsiir(?:rä|tä)\w*", _DATA),
        near(r"\b(?:överför|flytta)\w*", _DATA),
        near(r"\b(?:transfer|move|port)\b", _DATA),
        re.compile("portab"),
        at_word(
            r"koneluettav|maskinläsbar|machine[- ]readable|siirto-oike",
            r"artiklan? 20\b|20(?:\.|:n)? artikla\b|artikel 20\b|article 20\b",
        ),
    ),
    RequestKind.OBJECTION: (
        near(r"\b(?:vastusta\w*|kiell\w+|kiellän)", rf"(?:käsittely|luovut|markkinoin|tutkimu|{_DATA})"),
        near(r"\b(?:invänd\w*|motsätt\w*)", rf"(?:behandling|marknadsföring|forskning|{_DATA})"),
        near(r"\bobject\b", rf"\b(?:processing|use|marketing|research|{_DATA})"),
        at_word(
            rf"en (?:hyväksy|halua|salli){_NEAR}{_DATA}{_NEAR}(?:markkinoin|tutkimu|käytetään)",
            rf"vill inte{_NEAR}{_DATA}{_NEAR}(?:används|marknadsföring|forskning)",
            rf"(?:don't|do not) (?:want|consent|agree){_NEAR}{_DATA}{_NEAR}\b(?:used|marketing|research)",
        ),
    ),
}

CHILD: Final = at_word(
    r"lapse(?:ni|mme|lleni|stani|ltani)|poikan?i|poikamme|pojastani|tyttär\w+|alaikäi\w+|huollettava\w+|huoltaja\b",
    r"(?:mitt|vårt|våra|mina|ert) barn|(?:min|vår) (?:\d+-?åriga? )?(?:son|dotter)s?\b|vårdnadshavare",
    r"(?:mamma|pappa|mor|far|förälder) till\b|vårdnad(?:en)? om\b",
    r"(?:my|our) (?:\d+[- ]year[- ]old )?(?:child|children|son|daughter)\b",
    r"(?:mother|father|parent) of\b|custody\b",
)
SOMEBODY: Final = at_word(
    r"(?:\w+n )?puolesta(?:an|nsa)?\b|päämiehe|valtuu|valtakirj|edunvalvo",
    rf"(?:äitini|isäni|puolisoni|vaimoni|mieheni|vanhempani) {_DATA}",
    r"(?:för|på) .{1,40} (?:räkning|vägnar)\b|fullmakt|ombud\b|intressebevakare",
    rf"min (?:mor|mamma|far|pappa|make|maka|man|fru)s\b.{{0,20}}{_DATA}",
    r"on behalf of\b|power of attorney|guardian|authori[sz]ed (?:by|to|me)\b|my client\b",
    r"(?:of|for|about) my (?:mother|father|husband|wife|spouse|parents?)\b",
    rf"my (?:mother|father|husband|wife|spouse)'?s\b.{{0,20}}{_DATA}",
)
