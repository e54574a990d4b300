"""What kind of record a document is: LOINC document codes first, then words of its type and title.

Codes are LOINC's (https://loinc.org, as recalled); words are Finnish, Swedish and English. A document of
no known type is a session entry, and the report counts it.
"""

import functools
import re
from typing import Final

from vault.domain.records import RecordKind

_K: Final = RecordKind
_LOINC: Final = {
    "11506-3": _K.SESSION_ENTRY,  # Progress note
    "34109-9": _K.SESSION_ENTRY,  # Note
    "28635-1": _K.SESSION_ENTRY,  # Psychiatry Initial evaluation note
    "34788-0": _K.SESSION_ENTRY,  # Psychiatry Consult note: of the session itself
    "11488-4": _K.CONSULTATION,  # Consult note
    "57133-1": _K.REFERRAL,  # Referral note
    "18842-5": _K.STATEMENT,  # Discharge summary
    "68608-9": _K.STATEMENT,  # Summary note
    "18776-5": _K.TREATMENT_PLAN,  # Plan of care note
    "59284-0": _K.CONSENT,  # Consent Document
    "52033-8": _K.CORRESPONDENCE,  # General correspondence
}
_WORDS: Final = tuple(
    (kind, re.compile(words, re.IGNORECASE))
    for kind, words in (
        (_K.THIRD_PERSON_DOCUMENT, r"kolmannen henkilön|muun henkilön|tredje person|third person"),
        (_K.MINOR_DECISION_ABILITY, r"alaikäis|minderårig|\bminor"),
        (_K.INSPECTION, r"tarkastusoike|rätt att få tillgång|registerutdrag|right of access"),
        (_K.KELA_DOCUMENT, r"\bkela|\bfpa\b|b-lausun|b-utlåtande|kuntoutuspsykoterapia|rehabiliteringspsykoterapi"),
        (_K.REFERRAL, r"lähete|remiss|referral"),
        (
            _K.STATEMENT,
            r"(loppu|väli)(lausun|arvio)|slutut|mellanut|epikri(isi|s)|discharge|closing|interim|summary|yhteenveto",
        ),
        (_K.CERTIFICATE, r"todistus|lausunto|intyg|utlåtande|certificate|statement"),
        (_K.CONSULTATION, r"konsult|consult"),
        (_K.TREATMENT_PLAN, r"suunnitelma|vårdplan|care plan|treatment plan|plan of care"),
        (_K.REFUSAL_OF_CARE, r"kieltäyty|vägra|refusal"),
        (_K.CONSENT, r"suostumus|samtycke|consent|kielto|förbud|prohibition"),
        (_K.INVOICE, r"\blasku|faktura|invoice"),
        (_K.CORRESPONDENCE, r"kirje|viesti|\bbrev|meddelande|letter|message|correspondence"),
        (_K.SESSION_ENTRY, r"käynti|istunto|kertomus|merkintä|besök|session|anteckning|note|journal"),
    )
)
_CLOSING: Final = re.compile(r"loppu|slut|closing|discharge|epikri", re.IGNORECASE)
_INTERIM: Final = re.compile(r"väli|mellan|interim", re.IGNORECASE)

# Which field of a kind a section of a document fills, by the words of its heading.
_HEADINGS: Final = {
    _K.SESSION_ENTRY: (
        ("reason", r"tulosyy|tulon syy|käynnin syy|besöksorsak|orsak|\breason", "29299-5 46239-0"),
        ("history", r"esitiedot|anamnes|historia|history", "10164-2 11348-0 11329-0 10157-6"),
        ("state", r"nykytila|status|present state|mental state|tillstånd", "10190-7 11451-0"),
        ("observations", r"havain|tutkimu|löydö|observation|undersökning|iakttag|findings", "29545-1 30954-2"),
        ("problems", r"ongelma|problem", "11450-4"),
        ("diagnosis_text", r"diagno|taudinmäärit", "29548-5"),
        ("conclusions", r"johtopäätö|päätelm|slutsats|conclusion|assessment|bedömning|arvio|yhteenveto", "51848-0"),
        ("plan", r"suunnitelma|\bplan", "18776-5 51847-2"),
        ("execution", r"toteut|hoito|genomför|execution|treatment|intervention", "29554-3 62387-6"),
        ("follow_up", r"seuran|jatkohoito|uppfölj|follow", "69730-0"),
    ),
    _K.STATEMENT: (
        ("course", r"kulku|vaiheet|förlopp|course", "8648-8"),
        ("outcome", r"tulos|lopputulos|resultat|outcome", ""),
        ("recommendation", r"suosit|rekommend|recommend|jatko", "18776-5"),
    ),
    _K.CONSULTATION: (
        ("consulted", r"^konsultoitu|^konsulterad|^consulted", ""),
        ("question", r"kysymys|fråga|question|pyyntö", "42349-1"),
        ("answer", r"vastaus|svar|answer|reply|lausunto", "51848-0"),
    ),
    _K.REFERRAL: (("question", r"kysymys|fråga|question|syy|reason", "42349-1"),),
    _K.CERTIFICATE: (("purpose", r"tarkoitus|ändamål|purpose", ""),),
    _K.TREATMENT_PLAN: (
        ("methods", r"menetelm|keino|metod|method", ""),
        ("frequency", r"tiheys|frekvens|frequency", ""),
    ),
    _K.KELA_DOCUMENT: (("working_ability", r"työkyky|opiskelukyky|arbetsförmåga|working ability", ""),),
    _K.REFUSAL_OF_CARE: (
        ("refused", r"kieltäytymi|^kieltäyty|vägr|refus", ""),
        ("reason", r"\bsyy|perustel|skäl|reason", ""),
        ("explained", r"selvity|kerrot|upplys|förklar|explain", ""),
    ),
}
_COMPILED: Final = {
    kind: tuple((field, re.compile(words, re.IGNORECASE), frozenset(codes.split())) for field, words, codes in rows)
    for kind, rows in _HEADINGS.items()
}


@functools.lru_cache(maxsize=1024)
def kind_of(codes: frozenset[str], words: str) -> RecordKind | None:
    """Return the kind of a document, or None where neither its codes nor its words tell."""
    for code in sorted(codes):
        if code in _LOINC:
            return _LOINC[code]
    return next((kind for kind, pattern in _WORDS if pattern.search(words)), None)


def statement_type(words: str) -> str | None:
    """Tell a closing statement from an interim one, where its words do."""
    return "interim" if _INTERIM.search(words) else "closing" if _CLOSING.search(words) else None


@functools.lru_cache(maxsize=1024)
def field_of(kind: RecordKind, codes: frozenset[str], heading: str) -> str | None:
    """Return the field that a section fills: by the code of its heading, then by its words."""
    rows = _COMPILED.get(kind, ())
    by_code = next((field for field, _, known in rows if codes & known), None)
    return by_code or next((field for field, pattern, _ in rows if pattern.search(heading)), None)
