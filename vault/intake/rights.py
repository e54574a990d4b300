"""The words by which each right is recognised: data, so that a person can extend them.

Every entry is a regular expression over one sentence in lower case with single spaces. What people write seldom
names a right; mostly a verb stands near a word for records, in either order, and that is what most entries say.
"""

import re
from typing import Final, TypeAlias

from vault.domain.request import RequestKind

Patterns: TypeAlias = tuple[re.Pattern[str], ...]

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


def near(first: str, second: str) -> re.Pattern[str]:
    """Match the two in either order."""
    return re.compile(rf"{first}{_NEAR}{second}|{second}{_NEAR}{first}")


def _any(*phrases: str) -> Patterns:
    return tuple(re.compile(phrase) for phrase in phrases)


NAMED: Final[Patterns] = _any(  # the right of access by one of its names
    r"\btarkastus(?:oike|pyyn)|\btietopyyn|\b(?:artiklan? 15|15(?:\.|:n)? artikla)",
    r"\bregisterutdrag|\b(?:rätt till insyn|insynsrätt|begäran om (?:insyn|tillgång))|\bartikel 15\b",
    r"\b(?:d?sar|(?:data )?subject access request|right of access)\b|\barticle 15\b",
    rf"\b(?:jälj?ennö|kopio|kopi(?:a|or)\b|cop(?:y|ies)\b){_NEAR}{_DATA}|{_DATA}{_NEAR}\bkopio",
)
INSPECTION: Final[Patterns] = (near(_VIEW, _OWN), near(_HELD, _ABOUT), near(_ASK, _ABOUT), near(_VIEW, _ABOUT))
ALSO: Final = re.compile(r"\b(?:sekä|ja|och|samt|and)\b")  # "my records and who has read them" asks for two things
ASKED: Final[Patterns] = (near(_ASK, _OWN),)  # she wants something with records: mostly to have them

OTHERS: Final[dict[RequestKind, Patterns]] = {
    RequestKind.LOG: (
        *_any(
            r"\b(?:loki(?:tie|merk|t\b|n\b|a\b)|käyttöloki|luovutusloki|lokiin|lokit\b)",
            r"\blogg(?:uppgift|utdrag|bok|en\b|ar\b)|\bloggen\b",
            r"\b(?:access logs?|log (?:data|information|entries|of who)|usage logs?|audit (?:trail|log)|the log)\b",
            rf"\b(?:kuka|ketkä|kenen|kenelle|onko|joku|jotka){_NEAR}{_READERS}",
            rf"\b(?:kenelle|mihin){_NEAR}\bluovutet|\b(?:till vem|vem har ni){_NEAR}\blämnat ut",
            rf"\b(?:vem|vilka|som|någon){_NEAR}{_READERS}|\bhar .{{1,60}}{_READERS} (?:på |i )?(?:min|mitt|mina)\b",
            rf"\b(?:who|any(?:one|body)|some(?:one|body)){_NEAR}{_READERS}",
            rf"\bwhich (?:\w+ )?(?:staff|employees|members|people|persons){_NEAR}{_READERS}",
            r"\b(?:has|have) .{1,60}\b(?:opened|viewed|accessed|looked at|read|been in) my\b",
            rf"\b(?:to whom|who){_NEAR}\bdisclosed",
        ),
    ),
    RequestKind.RECTIFICATION: _any(
        r"\b(?:oikais|rectif)|\brättelse",
        rf"\bkorja(?:ta|am|tte|tka|kaa|us|tt){_NEAR}{_DATA}|{_DATA}{_NEAR}\bkorja(?:ta|am|tte|tka|kaa|us|tt)",
        rf"(?:väär|virhe){_NEAR}\b(?:muut|korja(?!ttu\b)|päivit)|\b(?:muut|korja|päivit)\w*{_NEAR}(?:väär|virhe)",
        rf"\b(?:fel\b|felaktig|felskriv|felstav|stämmer inte){_NEAR}\b(?:rätta|ändra|korriger|uppdater)",
        rf"\b(?:rätta|korriger)\w*{_NEAR}(?:{_DATA}|\bfel)|{_DATA}{_NEAR}\b(?:felaktig|rättas|korriger)",
        rf"\b(?:wrong|errors?|mistakes?|incorrect|inaccurate|mis-?spel\w+){_NEAR}\b(?:fix|correct|update|amend|change)",
        rf"\b(?:fix|correct(?:ion)?\b|update|amend){_NEAR}(?:{_DATA}|wrong|error|mistake)",
        rf"{_DATA}{_NEAR}\b(?:inaccurate|incorrect)",
    ),
    RequestKind.ERASURE: (
        near(r"\b(?:poista(?:a|kaa|ma|mi|tte|tta)|poisto|poistet|hävit|tuho[ta])", rf"(?:{_THINGS}|\bkaikki)"),
        near(r"\b(?:rader|ta bort|utplån|förstör|avlägsn)", _THINGS),
        near(r"\b(?:delet|eras|remov|destroy|wip(?:e|ed)\b|purg)", _THINGS),
        *_any(r"\bunohdetu", r"\brätten? att bli (?:bort)?glömd", r"\bright to (?:be forgotten|erasure)"),
    ),
    RequestKind.RESTRICTION: (
        near(r"\brajoit", rf"(?:käsittely|käytö|{_DATA})"),
        near(r"\bbegräns", rf"(?:behandling|användning|{_DATA})"),
        near(r"\brestrict", r"\b(?:processing|use)\b"),
        *_any(
            rf"\bälkää käyttäkö{_NEAR}{_DATA}|\banvänd inte{_NEAR}{_DATA}",
            rf"\b(?:stop|do not|don't) us(?:e|ing){_NEAR}{_DATA}",
            r"\b(?:artiklan? 18|18(?:\.|:n)? artikla|artikel 18|article 18)\b",
        ),
    ),
    RequestKind.PORTABILITY: (
        near(r"\bsiir(?:rä|tä)\w*", _DATA),
        near(r"\b(?:överför|flytta)\w*", _DATA),
        near(r"\b(?:transfer|move|port)\b", _DATA),
        *_any(
            r"\bkoneluettav|\bmaskinläsbar|\bmachine[- ]readable|portab|\bsiirto-oike",
            r"\b(?:artiklan? 20|20(?:\.|:n)? artikla|artikel 20|article 20)\b",
        ),
    ),
    RequestKind.OBJECTION: (
        near(r"\b(?:vastusta\w*|kiell\w+|kiellän)", rf"(?:käsittely|luovut|markkinoin|tutkimu|{_DATA})"),
        near(r"\b(?:invänd\w*|motsätt\w*)", rf"(?:behandling|marknadsföring|forskning|{_DATA})"),
        near(r"\bobject\b", rf"\b(?:processing|use|marketing|research|{_DATA})"),
        *_any(
            rf"\ben (?:hyväksy|halua|salli){_NEAR}{_DATA}{_NEAR}(?:markkinoin|tutkimu|käytetään)",
            rf"\bvill inte{_NEAR}{_DATA}{_NEAR}(?:används|marknadsföring|forskning)",
            rf"\b(?:don't|do not) (?:want|consent|agree){_NEAR}{_DATA}{_NEAR}\b(?:used|marketing|research)",
        ),
    ),
}

CHILD: Final[Patterns] = _any(
    r"\blapse(?:ni|mme|lleni|stani|ltani)|\b(?:poikan?i|poikamme|pojastani|tyttär\w+|alaikäi\w+|huollettava\w+|huoltaja\b)",
    r"\b(?:mitt|vårt|våra|mina|ert) barn|\b(?:min|vår) (?:\d+-?åriga? )?(?:son|dotter)s?\b|\bvårdnadshavare",
    r"\b(?:mamma|pappa|mor|far|förälder) till\b|\bvårdnad(?:en)? om\b",
    r"\b(?:my|our) (?:\d+[- ]year[- ]old )?(?:child|children|son|daughter)\b",
    r"\b(?:mother|father|parent) of\b|\bcustody\b",
)
SOMEBODY: Final[Patterns] = (
    *_any(
        r"\b(?:\w+n )?puolesta(?:an|nsa)?\b|\bpäämiehe|\bvaltuu|\bvaltakirj|\bedunvalvo",
        rf"\b(?:äitini|isäni|puolisoni|vaimoni|mieheni|vanhempani) {_DATA}",
        r"\b(?:för|på) .{1,40} (?:räkning|vägnar)\b|\bfullmakt|\bombud\b|\bintressebevakare",
        rf"\bmin (?:mor|mamma|far|pappa|make|maka|man|fru)s\b.{{0,20}}{_DATA}",
        r"\bon behalf of\b|\bpower of attorney|\bguardian|\bauthori[sz]ed (?:by|to|me)\b|\bmy client\b",
        r"\b(?:of|for|about) my (?:mother|father|husband|wife|spouse|parents?)\b",
        rf"\bmy (?:mother|father|husband|wife|spouse)'?s\b.{{0,20}}{_DATA}",
    ),
)
