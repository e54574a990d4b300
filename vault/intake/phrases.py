"""The words by which Finnish, Swedish and English requests are recognised: data, so that a person can extend them.

Every entry is a regular expression over lower-case text with single spaces. A ``plain`` phrase names
the right itself; a ``hint`` is only a sign of it.
"""

import re
from typing import TypeAlias

from vault.domain.request import AnswerBy, RequestKind

Patterns: TypeAlias = tuple[re.Pattern[str], ...]


def _any(*phrases: str) -> Patterns:
    return tuple(re.compile(phrase) for phrase in phrases)


_DATA = r"(?:tieto|tiedo|merkin|kirjau|asiakirj|uppgift|anteckning|journal|data|record|information|entr(?:y|ies))"
_NEAR = r".{0,80}"  # at most so far apart, in one sentence or the next

PLAIN: dict[RequestKind, Patterns] = {
    RequestKind.INSPECTION: _any(
        r"\btarkastus(?:oike|pyyn)",
        r"\btietopyyn",
        rf"\b(?:tutustua|tarkastaa|nähdä|saada){_NEAR}\b(?:kaikki|kaikkiin|kaikista|omat|omiin|tietoni|tietoihini)\b",
        r"\b(?:artiklan? 15|15(?:\.|:n)? artikla)",
        rf"\b(?:mitä|mitkä|kaikki|kaikkiin){_NEAR}tie(?:to|do){_NEAR}\bminusta\b",
        rf"\b(?:jäljennö|kopio){_NEAR}(?:tiedo|asiakirj|kertomu|merkin)",
        r"\bregisterutdrag",
        r"\b(?:rätt till insyn|insynsrätt|begäran om (?:insyn|tillgång))",
        rf"\b(?:ta del av|tillgång till|granska|få ut){_NEAR}(?:uppgifter|journal|handlingar)",
        r"\bartikel 15\b",
        rf"\bvilka uppgifter{_NEAR}\bom mig\b",
        rf"\bkopi(?:a|or) (?:av|på){_NEAR}(?:uppgifter|journal|handlingar)",
        r"\b(?:subject access request|right of access)\b",
        rf"\b(?:access to|inspect|see){_NEAR}\b(?:my|about me)\b{_NEAR}(?:data|records?|information|file|notes)",
        r"\barticle 15\b",
        rf"\bwhat{_NEAR}(?:data|information|records?){_NEAR}\babout me\b",
        rf"\bcop(?:y|ies) of{_NEAR}(?:data|records?|information|file|notes)",
    ),
    RequestKind.LOG: _any(
        r"\b(?:loki(?:tie|merk|t\b|n\b|a\b)|käyttöloki|luovutusloki|lokiin)",
        rf"\b(?:kuka|ketkä|kenen){_NEAR}(?:katso|luk(?:en|i)|käsitel|avan|käyttän)",
        r"\blogg(?:uppgift|utdrag|bok|en\b|ar\b)",
        rf"\bvem{_NEAR}(?:läst|tittat|öppnat|sett|tagit del|behandlat)",
        r"\b(?:access logs?|log (?:data|information|entries)|usage logs?)\b",
        rf"\bwho (?:has |have )?(?:ever )?(?:accessed|read|viewed|looked|seen|opened|used){_NEAR}",
    ),
    RequestKind.RECTIFICATION: _any(
        rf"\b(?:oikais|korja(?:ta|am|tte|kaa|us)){_NEAR}{_DATA}",
        rf"{_DATA}{_NEAR}\b(?:oikais|korja(?:ta|am|tte|kaa|us)|virheelli)",
        rf"\b(?:rätta|rättelse|korriger){_NEAR}{_DATA}",
        rf"{_DATA}{_NEAR}\b(?:felaktig|rättas)",
        rf"\b(?:rectif|correct(?:ion)?\b){_NEAR}{_DATA}",
        rf"{_DATA}{_NEAR}\b(?:inaccurate|incorrect)",
    ),
    RequestKind.ERASURE: _any(
        rf"\b(?:poista(?:a|kaa|maan|tte)|poisto|hävitt|hävitä){_NEAR}{_DATA}",
        rf"{_DATA}{_NEAR}\b(?:poista(?:a|misen|mista)|poistetaan)",
        r"\boikeus tulla unohdetuksi",
        rf"\b(?:radera|ta bort|utplåna){_NEAR}{_DATA}",
        r"\brätten? att bli (?:bort)?glömd",
        rf"\b(?:eras|delet){_NEAR}{_DATA}",
        r"\bright to be forgotten",
    ),
}

HINTS: dict[RequestKind, Patterns] = {
    RequestKind.INSPECTION: _any(
        r"\b(?:omat|omia|kaikki) tie(?:to|do)",
        r"\btietojani?\b|\btietoni\b",
        r"\bpotilas(?:tie|asiak|kertom)",
        r"\bmina (?:uppgifter|personuppgifter|handlingar)\b|\bmin journal\b",
        r"\bpatient(?:journal|uppgift)",
        r"\bmy (?:\w+ )?(?:data|records?|file|information|notes)\b",
        r"\b(?:gdpr|tietosuoja-?asetu|dataskyddsförordning)",
    ),
}

ON_BEHALF: Patterns = _any(
    r"\b(?:lapse(?:ni|mme)|poika(?:ni|mme)|poikamme|tyttär(?:eni|emme)|äi(?:tini|dillä)|isäni|puolisoni|alaikäi)",
    r"\b(?:\w+n )?puolesta(?:an|nsa)?\b|\bpäämiehe|\bvaltuut|\bvaltakirj|\bedunvalvo|\bhuoltaja",
    r"\b(?:mitt|vårt|våra|mina) barn|\bmin (?:son|dotter|mor|mamma|far|pappa|make|maka)\b",
    r"\b(?:för|på) .{1,40} (?:räkning|vägnar)\b|\bfullmakt|\bombud\b|\bvårdnadshavare|\bintressebevakare",
    r"\bmy (?:child|children|son|daughter|mother|father|husband|wife|spouse|client)\b",
    r"\bon behalf of\b|\bpower of attorney|\bguardian|\bauthori[sz]ed (?:by|to)\b",
)

WISHES: dict[AnswerBy, Patterns] = {
    AnswerBy.PAPER: _any(
        r"\b(?:paperilla|paperisena|paperipost|kirjeenä|kirjeitse|postitse|kirjepost)",
        r"\b(?:på papper|per brev|med posten|per post|i brevform|pappersform)\b",
        r"\b(?:on paper|by (?:regular )?post|by letter|paper copy|in the post)\b",
    ),
    AnswerBy.MAIL: _any(
        r"\bsähköposti(?:lla|tse|in\b|ini\b|na\b|se)",
        r"\b(?:per|via|med) (?:krypterad )?e-?(?:post|mail)",
        r"\bby (?:encrypted )?e-?mail\b",
    ),
}

WORDS: dict[str, frozenset[str]] = {
    "fi": frozenset(
        [
            *("hei", "on", "ja", "että", "minun", "minusta", "minua", "teillä", "haluan", "pyydän", "saada", "joita"),
            *("tiedot", "kaikki", "nimi", "terveisin", "ystävällisin", "kiitos", "olen", "voisitteko", "mitä", "ovat"),
            *("kuka", "tässä", "koodi", "vastaus", "henkilötunnus", "kirjeenä", "myös", "ei", "mutta", "tai"),
        ]
    ),
    "sv": frozenset(
        [
            *("hej", "jag", "och", "att", "mig", "mina", "min", "mitt", "ni", "er", "är", "det", "som", "om", "för"),
            *("vill", "begär", "uppgifter", "alla", "namn", "hälsningar", "vänliga", "tack", "vem", "har", "med", "av"),
            *("personbeteckning", "koden", "kod", "svar", "inte", "eller", "också", "även", "på"),
        ]
    ),
    "en": frozenset(
        [
            *(
                "hello",
                "hi",
                "dear",
                "i",
                "the",
                "and",
                "my",
                "me",
                "you",
                "your",
                "please",
                "of",
                "to",
                "all",
                "would",
            ),
            *("like", "data", "name", "regards", "kind", "thank", "thanks", "who", "has", "what", "about", "code"),
            *("sincerely", "request", "records", "is", "are", "for", "by", "not", "or", "also", "hold"),
        ]
    ),
}

NAME_LABELS = ("nimi", "koko nimi", "nimeni", "namn", "fullständigt namn", "mitt namn", "name", "full name", "my name")
GIVEN_LABELS = ("etunimi", "etunimet", "förnamn", "first name", "given names", "given name", "first names")
FAMILY_LABELS = ("sukunimi", "efternamn", "last name", "surname", "family name")
CODE_LABELS = ("henkilötunnus", "henkilötunnukseni", "hetu", "personbeteckning", "personal identity code")
EMAIL_LABELS = ("sähköposti", "sähköpostiosoite", "e-post", "e-postadress", "email", "e-mail", "e-mail address")
ADDRESS_LABELS = ("osoite", "postiosoite", "adress", "postadress", "address", "postal address")

PARTICLES = frozenset({"von", "af", "av", "de", "van", "der", "la", "le", "da", "bin", "al"})
SAID_NAME = re.compile(r"\b(?:nimeni on|mitt namn är|jag heter|my name is)\s+([^,.;:\n]{3,80})", re.IGNORECASE)
CLOSINGS = re.compile(
    r"(?:(?:ystävällisin |parhain |kunnioittavin |lämpimin )?terveisin|terv\.|kunnioittaen|kiittäen|kiitos"
    r"|(?:med )?(?:vänliga? |bästa |hjärtliga )?hälsning(?:ar)?|mvh|högaktningsfullt|tack"
    r"|(?:kind(?:est)? |best |warm )?regards|(?:yours )?(?:sincerely|faithfully|truly)|thank you|thanks|--)(?!\w)",
    re.IGNORECASE,
)
CODE_WORDS = re.compile(r"koodi|\b(?:engångs)?kod(?:en)?\b|(?<!postal )(?<!zip )(?<!identity )\bcode\b", re.IGNORECASE)
QUOTE_STARTS = re.compile(
    r"\s*-{2,}\s*(?:alkuperäinen viesti|ursprungligt meddelande|original message|välitetty viesti|forwarded message)"
    r"|.{0,200}\b(?:kirjoitti|skrev|wrote)\s*:\s*$"
    r"|\s*(?:lähettäjä|från|from)\s*:.*@.*$",
    re.IGNORECASE,
)
