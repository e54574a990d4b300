"""The words around a request in Finnish, Swedish and English: labels, closings, wishes; what each language sounds like.

The words of the rights themselves stand in :mod:`vault.intake.rights`.
"""

import re

from vault.domain.request import AnswerBy
from vault.intake.rights import at_word

WISHES: dict[AnswerBy, re.Pattern[str]] = {
    AnswerBy.PAPER: at_word(
        r"paperilla|paperisena|paperipost|kirjeenä|kirjeitse|postitse|kirjepost",
        r"(?:på papper|per brev|med posten|per post|i brevform|pappersform)\b",
        r"(?:on paper|by (?:regular )?post|by letter|paper copy|in the post)\b",
    ),
    AnswerBy.MAIL: at_word(
        r"sähköposti(?:lla|tse|in\b|ini\b|na\b|se)",
        r"(?:per|via|med) (?:krypterad )?e-?(?:post|mail)",
        r"by (?:encrypted )?e-?mail\b",
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
            *("vi", "till", "ett", "kan", "när", "måste", "från", "den"),
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
            *("we", "can", "from", "with", "need", "was", "have", "in", "do"),
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
