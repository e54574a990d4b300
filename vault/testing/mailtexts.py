"""What requesters write, in Finnish, Swedish and English: real sentences for tests and the demo."""

from collections.abc import Sequence

from vault.domain.request import RequestKind

_OPENINGS = {"fi": "Hei,", "sv": "Hej,", "en": "Dear Sir or Madam,"}
_ASKS: dict[str, dict[RequestKind, str]] = {
    "fi": {
        RequestKind.INSPECTION: "pyydän saada tutustua kaikkiin tietoihin, joita teillä on minusta (15 artikla).",
        RequestKind.LOG: "Haluan myös tietää, kuka on katsonut tietojani ja milloin.",
        RequestKind.RECTIFICATION: "Pyydän korjaamaan tiedoissani olevan virheen.",
        RequestKind.ERASURE: "Pyydän poistamaan tietoni.",
    },
    "sv": {
        RequestKind.INSPECTION: "jag begär att få ta del av alla uppgifter som ni har om mig (artikel 15).",
        RequestKind.LOG: "Jag vill också veta vem som har läst mina uppgifter.",
        RequestKind.RECTIFICATION: "Jag begär rättelse av en felaktig uppgift i min journal.",
        RequestKind.ERASURE: "Jag ber er radera mina uppgifter.",
    },
    "en": {
        RequestKind.INSPECTION: "please send me a copy of all the personal data that you hold about me (Article 15).",
        RequestKind.LOG: "I would also like to know who has read my records.",
        RequestKind.RECTIFICATION: "Please correct an error in my records.",
        RequestKind.ERASURE: "Please erase my data.",
    },
}
_LABELS = {
    "fi": ("Nimi", "Henkilötunnus"),
    "sv": ("Namn", "Personbeteckning"),
    "en": ("Name", "Personal identity code"),
}
_CLOSINGS = {"fi": "Ystävällisin terveisin", "sv": "Med vänliga hälsningar", "en": "Kind regards"}
_PAPER = {
    "fi": "Pyydän vastauksen paperilla kirjeitse.",
    "sv": "Jag vill ha svaret på papper per post.",
    "en": "Please answer me on paper, by post.",
}
_CODES = {
    "fi": "tässä kirjeessä saamani koodi:",
    "sv": "här är koden som jag fick per brev:",
    "en": "here is the code from your letter:",
}
_SMALL_TALK = {
    "fi": "onko vastaanottonne auki lauantaisin? Etsin helposti saavutettavaa aikaa aamulle.",
    "sv": "har ni öppet på lördagar? Jag söker en tid på morgonen.",
    "en": "are you open on Saturdays? I am looking for an appointment in the morning.",
}
SUBJECTS = {"fi": "Tietopyyntö", "sv": "Begäran om registerutdrag", "en": "Request for my data"}


def request_text(
    language: str,
    name: str,
    code: str | None,
    kinds: Sequence[RequestKind] = (RequestKind.INSPECTION,),
    *,
    on_paper: bool = False,
) -> str:
    """Write a request that names the person and what is asked."""
    name_label, code_label = _LABELS[language]
    lines = [_OPENINGS[language], "", *(_ASKS[language][kind] for kind in kinds), ""]
    lines += [_PAPER[language], ""] if on_paper else []
    lines += [f"{name_label}: {name}"] + ([f"{code_label}: {code}"] if code else [])
    return "\n".join([*lines, "", _CLOSINGS[language], name, ""])


def code_text(language: str, name: str, case_ref: str, code: str) -> str:
    """Write a reply that brings a one-time code back."""
    return "\n".join([_OPENINGS[language], "", _CODES[language], code, case_ref, "", _CLOSINGS[language], name, ""])


def small_talk(language: str, name: str) -> str:
    """Write a mail that asks for nothing we answer."""
    return "\n".join([_OPENINGS[language], "", _SMALL_TALK[language], "", _CLOSINGS[language], name, ""])
