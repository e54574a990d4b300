"""A case on its whole road where the register is a FHIR server: read into the sealed draft, and nothing of it kept."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from vault.cli import main
from vault.domain.case import Stage
from vault.domain.roles import Purpose
from vault.errors import OutOfReachError
from vault.steps import check
from vault.steps.review import RELEASE, Ruling, decide, open_draft
from vault.testing.cast import make_cast
from vault.testing.fhir_export import export, patient_id
from vault.testing.fhir_server import FhirServer, fhir_server
from vault.testing.installation import installed
from vault.testing.places import write_private
from vault.testing.road import CLINICIAN, REGISTRAR, Road, run_on


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Road, FhirServer]]:
    """An installation whose settings name a FHIR server that holds the cast's patients."""
    with installed() as installation:
        cast = make_cast(installation, 12)
        with fhir_server(list(export(cast.people))) as server:
            settings = server.settings()
            names = ("kind", "url", "token_url", "client_id", "client_secret_file", "ca_file")
            table = "\n".join(f'{name} = "{getattr(settings, name)}"' for name in names)
            config = installation.config.read_text(encoding="utf-8")
            write_private(installation.config, f"{config}\n[register]\n{table}\n")
            try:
                yield Road(installation, cast), server
            finally:
                cast.close()


def test_a_case_is_drafted_and_sealed_and_no_record_is_kept(served: tuple[Road, FhirServer]) -> None:
    road, server = served
    who, known = road.cast.patient("bound_sv"), road.refs()
    road.mail("bound_sv")
    road.run("receive-mail")
    (ref,) = road.refs() - known

    run_on(road.home, "identify", ref)
    assert road.at(ref).stage is Stage.CHECKING  # no mail key is bound there: a code goes by post
    read = [request["path"] for request in server.requests()]
    assert not [path for path in read if "everything" in path]
    with road.installation.office("desk") as parts:
        check.prove_identity(parts, REGISTRAR, ref, "document_seen_in_person", "passport seen")
    run_on(road.home, "collect", ref)

    assert road.at(ref).stage is Stage.DRAFTED
    assert road.at(ref).subject == f"F-{patient_id(who.subject)}"
    with road.installation.office("desk") as parts:
        draft = open_draft(parts, ref, Purpose.REVIEW, CLINICIAN)
        told = {document["id"] for document in draft.listing["documents"]}
        assert {"identity", "visits", "sessions"} <= told
        assert draft.recomputed() == draft.row.digest
        rulings = [Ruling(document["id"], RELEASE) for document in draft.listing["documents"]]
        decide(parts, CLINICIAN, ref, draft.row.digest, rulings)
    run_on(road.home, "seal", ref)
    assert road.at(ref).stage is Stage.SEALED
    run_on(road.home, "deliver", ref)

    (note,) = server.created()
    assert note["identifier"][0]["value"] == ref
    with road.installation.office("registry") as parts, parts.database.connect() as connection:
        kept = connection.execute("select (select count(*) from records), (select count(*) from subjects)").fetchone()
        keys = connection.execute("select distinct kind from wrapped_keys").fetchall()
    assert kept == (0, 0)
    assert keys == [("log",)]


def test_a_server_that_is_away_stops_the_step_and_not_the_case(served: tuple[Road, FhirServer]) -> None:
    road, server = served
    known = road.refs()
    road.mail("bound_en")
    road.run("receive-mail")
    (ref,) = road.refs() - known
    server.fault("unwell", 1)
    with pytest.raises(OutOfReachError, match="fhir_unwell"):
        run_on(road.home, "identify", ref)
    run_on(road.home, "identify", ref)
    assert road.at(ref).stage is Stage.CHECKING
    assert road.at(ref).exception is None


def test_nothing_is_imported_beside_a_fhir_server(
    served: tuple[Road, FhirServer], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DSR_CONFIG", str(served[0].installation.config))
    (tmp_path / "in.ndjson").write_text("{}", encoding="utf-8")
    done = CliRunner().invoke(main, ["register", "import", str(tmp_path)])
    assert (done.exit_code, "register_elsewhere" in done.output) == (2, True)
