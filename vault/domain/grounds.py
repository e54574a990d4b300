"""Why something may be withheld, and what the requester can do about it: statutes, and plain words in three languages.

A refusal names a ground's code; the letter and the desk show its words. Everything that is not
withheld must be given, and every refusal, however small, carries the complaint right and the
court remedy (GDPR 12(4)).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from vault.errors import RefusedError


@dataclass(frozen=True, slots=True)
class Words:
    """The same text in Finnish, Swedish and English."""

    fi: str
    sv: str
    en: str

    def in_language(self, language: str) -> str:
        """Return the text in one language.

        :raises RefusedError: it is not ``fi``, ``sv`` or ``en`` (code ``language_unknown``).
        """
        match language:
            case "fi":
                return self.fi
            case "sv":
                return self.sv
            case "en":
                return self.en
        raise RefusedError("language_unknown", "texts are in fi, sv and en; choose one of them")


@dataclass(frozen=True, slots=True)
class Ground:
    """A ground on which a document, or a part of it, may be withheld.

    :param code: stable; stands in decisions.
    :param statute: where the ground stands, as the register and the desk cite it.
    :param title: a few words for a list.
    :param text: what the requester is told.
    """

    code: str
    statute: str
    title: Words
    text: Words


RIGHTS_OF_OTHERS = Ground(
    "rights_of_others",
    "GDPR Art. 15(4)",
    Words(
        fi="Toisen henkilön oikeudet ja vapaudet",
        sv="En annan persons rättigheter och friheter",
        en="Rights and freedoms of another person",
    ),
    Words(
        fi="Tiedot kertovat myös toisesta henkilöstä. Jäljennös ei saa vaikuttaa haitallisesti muiden oikeuksiin ja "
        "vapauksiin (EU:n yleinen tietosuoja-asetus, 15 artiklan 4 kohta), ja tässä se vaikuttaisi. Kaikki, mikä "
        "voitiin antaa ilman tätä haittaa, on annettu.",
        sv="Uppgifterna berättar också om en annan person. En kopia får inte inverka menligt på andras rättigheter "
        "och friheter (EU:s allmänna dataskyddsförordning, artikel 15.4), och det skulle den göra här. Allt som kunde "
        "lämnas ut utan sådan skada har lämnats ut.",
        en="The information also tells about another person. A copy may not adversely affect the rights and freedoms "
        "of others (General Data Protection Regulation, Article 15(4)), and here it would. Everything that could be "
        "given without that harm has been given.",
    ),
)

DANGER_TO_HEALTH = Ground(
    "danger_to_health",
    "Data Protection Act 1050/2018 s. 34 (health or treatment)",
    Words(
        fi="Vakava vaara terveydelle tai hoidolle",
        sv="Allvarlig fara för hälsan eller vården",
        en="Serious danger to health or treatment",
    ),
    Words(
        fi="Terveydenhuollon ammattihenkilö on arvioinut, että näiden tietojen antamisesta saattaisi aiheutua vakavaa "
        "vaaraa terveydellesi tai hoidollesi. Tällaisiin tietoihin ei ole oikeutta tutustua (tietosuojalaki 1050/2018, "
        "34 §). Muut tiedot on annettu.",
        sv="En yrkesutbildad person inom hälso- och sjukvården har bedömt att det skulle kunna medföra allvarlig fara "
        "för din hälsa eller vård om dessa uppgifter lämnades ut. Rätten till insyn gäller inte sådana uppgifter "
        "(dataskyddslagen 1050/2018, 34 §). Övriga uppgifter har lämnats ut.",
        en="A health-care professional has judged that giving this information might cause serious danger to your "
        "health or treatment. There is no right of access to such information (Data Protection Act 1050/2018, "
        "section 34). All other information has been given.",
    ),
)

DANGER_TO_RIGHTS = Ground(
    "danger_to_rights",
    "Data Protection Act 1050/2018 s. 34 (rights of the data subject or another)",
    Words(
        fi="Vakava vaara jonkun oikeuksille",
        sv="Allvarlig fara för någons rättigheter",
        en="Serious danger to somebody's rights",
    ),
    Words(
        fi="Terveydenhuollon ammattihenkilö on arvioinut, että näiden tietojen antamisesta saattaisi aiheutua vakavaa "
        "vaaraa sinun tai jonkun muun oikeuksille. Tällaisiin tietoihin ei ole oikeutta tutustua (tietosuojalaki "
        "1050/2018, 34 §). Muut tiedot on annettu.",
        sv="En yrkesutbildad person inom hälso- och sjukvården har bedömt att det skulle kunna medföra allvarlig fara "
        "för dina eller någon annans rättigheter om dessa uppgifter lämnades ut. Rätten till insyn gäller inte sådana "
        "uppgifter (dataskyddslagen 1050/2018, 34 §). Övriga uppgifter har lämnats ut.",
        en="A health-care professional has judged that giving this information might cause serious danger to your "
        "rights or to somebody else's. There is no right of access to such information (Data Protection Act 1050/2018, "
        "section 34). All other information has been given.",
    ),
)

THIRD_PERSON_DOCUMENT = Ground(
    "third_person_document",
    "Act 703/2023 s. 28(4)",
    Words(
        fi="Toista henkilöä koskeva erillinen asiakirja",
        sv="Separat handling om en annan person",
        en="Separate document about another person",
    ),
    Words(
        fi="Palvelutapahtumaan kuuluu erillinen asiakirja, joka koskee toista henkilöä. Toista koskevat tiedot "
        "kirjataan erilleen potilaan omista tiedoista (laki sosiaali- ja terveydenhuollon asiakastietojen käsittelystä "
        "703/2023, 28 §:n 4 momentti), eikä oikeus tutustua omiin tietoihin koske niitä.",
        sv="Till servicehändelsen hör en separat handling som gäller en annan person. Uppgifter om en annan person "
        "antecknas skilt från patientens egna uppgifter (lagen om behandling av kunduppgifter inom social- och "
        "hälsovården 703/2023, 28 § 4 mom.), och rätten till insyn i egna uppgifter gäller inte dem.",
        en="A separate document about another person belongs to the service event. Information about another person "
        "is recorded apart from the patient's own (Act on the Processing of Client Data in Social Welfare and Health "
        "Care 703/2023, section 28, subsection 4), and the right of access to one's own data does not cover it.",
    ),
)

GROUNDS: Mapping[str, Ground] = MappingProxyType(
    {ground.code: ground for ground in (RIGHTS_OF_OTHERS, DANGER_TO_HEALTH, DANGER_TO_RIGHTS, THIRD_PERSON_DOCUMENT)}
)

# GDPR 77; Act 1050/2018 s. 21
COMPLAINT = Words(
    fi="Jos katsot, että henkilötietojesi käsittelyssä rikotaan lakia, voit saattaa asian tietosuojavaltuutetun "
    "käsiteltäväksi (EU:n yleinen tietosuoja-asetus, 77 artikla; tietosuojalaki 1050/2018, 21 §). Se on maksutonta. "
    "Tietosuojavaltuutetun toimisto, PL 800, 00531 Helsinki; puhelin 029 566 6700; tietosuoja@om.fi; tietosuoja.fi.",
    sv="Om du anser att lagen överträds när dina personuppgifter behandlas kan du föra ärendet till "
    "dataombudsmannen (EU:s allmänna dataskyddsförordning, artikel 77; dataskyddslagen 1050/2018, 21 §). Det är "
    "avgiftsfritt. Dataombudsmannens byrå, PB 800, 00531 Helsingfors; telefon 029 566 6700; tietosuoja@om.fi; "
    "tietosuoja.fi.",
    en="If you consider that the processing of your personal data breaks the law, you may bring the matter before the "
    "Data Protection Ombudsman (General Data Protection Regulation, Article 77; Data Protection Act 1050/2018, "
    "section 21). It is free of charge. Office of the Data Protection Ombudsman, P.O. Box 800, 00531 Helsinki, "
    "Finland; telephone +358 29 566 6700; tietosuoja@om.fi; tietosuoja.fi.",
)

# GDPR 79
COURT_REMEDY = Words(
    fi="Sinulla on myös oikeus viedä asia tuomioistuimeen, jos katsot, että oikeuksiasi on loukattu (EU:n yleinen "
    "tietosuoja-asetus, 79 artikla). Kanne nostetaan rekisterinpitäjän kotipaikan tai oman "
    "asuinpaikkasi käräjäoikeudessa.",
    sv="Du har också rätt att föra saken till domstol om du anser att dina rättigheter har kränkts (EU:s allmänna "
    "dataskyddsförordning, artikel 79). Talan väcks vid tingsrätten på den personuppgiftsansvariges eller din egen "
    "bostadsort.",
    en="You also have the right to take the matter to court if you consider that your rights have been infringed "
    "(General Data Protection Regulation, Article 79). An action is brought in the district court of the place where "
    "the controller is established or where you live.",
)

# Act 1050/2018 s. 34, last subsection
OMBUDSMAN_INSTEAD = Words(
    fi="Jos et ole saanut kaikkia tietoja tietosuojalain 34 §:n perusteella, voit pyytää, että ne annetaan "
    "tietosuojavaltuutetulle.",
    sv="Om du med stöd av 34 § i dataskyddslagen inte har fått alla uppgifter kan du begära att de lämnas till "
    "dataombudsmannen.",
    en="If information was withheld from you under section 34 of the Data Protection Act, you may ask that it be given "
    "to the Data Protection Ombudsman.",
)
