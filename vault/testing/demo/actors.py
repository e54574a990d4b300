"""The demo's people: a registrar and a clinician at the desk over HTTP, and requesters who answer their post."""

from dataclasses import dataclass, field

from vault.domain.private import Private
from vault.testing.cast import Cast, Deliver, code_reply
from vault.testing.demo.postoffice import PostOffice
from vault.testing.staff import StaffClient

_BY_CODE = ("code", "inline", "scanned")
_SEEN = {"smime": "document_seen_in_person", "paper": "known_in_person"}
_QUESTION = (
    "Emme voineet varmistua siitä, kuka pyynnön on tehnyt. Pyydämme sinua käymään toimipisteessämme "
    "henkilöllisyystodistuksen kanssa tai kertomaan, miten tavoitamme sinut puhelimitse."
)
_SMALL_TALK = "The message asks for opening hours, not for personal data."


@dataclass(slots=True)
class Registrar(Private):
    """Opens what nobody could identify, decides on evidence, asks, or closes."""

    client: StaffClient
    cast: Cast
    roles: dict[str, str] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    def work(self) -> list[str]:
        """Do what is to be done; return one line a deed."""
        done = []
        for ref in self.client.identity_list():
            if ref not in self.seen:
                self.seen.add(ref)
                done += self._look(ref)
        return done

    def _look(self, ref: str) -> list[str]:
        particulars = self.client.open_identity(ref)
        exception = particulars.get("exception")
        if exception == "no_request_found":
            self.client.close(ref, "no_request", _SMALL_TALK)
            return [f"the registrar closed {ref}: no request"]
        role = self.cast.role_of(particulars.get("name") or "")
        if role is None or particulars.get("stage") != "checking":
            self.seen.discard(ref)
            return []
        self.roles[ref] = role
        if role == "asked":
            self.client.ask(ref, _QUESTION)
            return [f"the registrar asked the requester of {ref}; its clock pauses"]
        if role in _SEEN:
            self.client.prove(ref, _SEEN[role], "Identity document seen at the reception, compared, not copied.")
            return [f"the registrar recorded that identity is proved for {ref}"]
        return []


@dataclass(slots=True)
class Clinician(Private):
    """Reviews each draft and decides; refuses one document of the first that holds another person's letter."""

    client: StaffClient
    ground: str
    refused: str | None = None

    def work(self) -> list[str]:
        """Decide about every draft that waits; return one line a deed."""
        return [self._review(ref) for ref in self.client.review_list()]

    def _review(self, ref: str) -> str:
        documents = self.client.open_review(ref)
        others = [name for name in documents if name.startswith("third-person")]
        withheld = others[:1] if others and self.refused is None else []
        rulings = {name: ("refuse", self.ground) if name in withheld else ("release", None) for name in documents}
        self.client.decide(ref, rulings)
        if withheld:
            self.refused = ref
            return f"the clinician released {len(documents) - 1} documents of {ref} and refused one, with a ground"
        return f"the clinician released {len(documents)} documents of {ref}"


@dataclass(slots=True)
class Requesters(Private):
    """Read their post and mail their one-time codes back."""

    cast: Cast
    post: PostOffice
    registrar: Registrar
    drop: Deliver
    answered: set[str] = field(default_factory=set)

    def work(self) -> list[str]:
        """Send back the codes that came by post; return one line a deed."""
        done = []
        for ref, code in self.post.codes.items():
            role = self.registrar.roles.get(ref)
            if role in _BY_CODE and ref not in self.answered:
                self.answered.add(ref)
                self.drop(code_reply(self.cast, role, ref, code))
                done.append(f"the requester of {ref} mailed her one-time code back")
        return done
