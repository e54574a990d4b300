"""How fast a clinic's register is taken in through ``dsr register import``, and whether memory stays flat."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.house import code_of, on_disk
from bench.meter import most_memory
from bench.rows import Row
from vault.errors import OutOfReachError
from vault.testing.installation import Installation, destroy, start

PATIENTS, ENTRIES = 10_000, 30
_FEW = 1_000  # patients of the smaller import, against which memory is held
_LOOK_SECONDS = 0.05
_CODE = "urn:oid:1.2.246.21"  # the Finnish personal identity code
_TEXT = "Keskusteltu viikon tapahtumista ja harjoituksista. " * 4


def importing_rows(say: Callable[[str], None]) -> Iterator[Row]:
    """Measure and yield the rows.

    :raises VaultError: a server is missing, or the import failed.
    """
    with on_disk() as home:
        try:
            say("starting servers")
            installation = start(home, durable=True, stand_ins=False)
            _, small = _import(installation, home, range(PATIENTS, PATIENTS + _FEW), say)
            speed, large = _import(installation, home, range(PATIENTS), say)
        finally:
            destroy(home)
    note = f"{PATIENTS} patients with {ENTRIES} entries each, FHIR R4 NDJSON"
    yield Row("import/speed", speed, "entries/s", limit=3_000, note=note)
    peer = f"{_FEW} patients"
    yield Row(
        "import/memory", large, "MiB", peer, small, large / small, "largest resident size", limit=1.2, at_most=True
    )


def _import(installation: Installation, home: Path, indexes: range, say: Callable[[str], None]) -> tuple[float, float]:
    """Write an export and import it; return entries a second, and MiB of the largest resident size."""
    folder = home / f"export-{len(indexes)}"
    folder.mkdir()
    _write(folder, indexes)
    say(f"importing {len(indexes)} patients")
    command = [str(Path(sys.executable).with_name("dsr")), "register", "import", str(folder), "--json"]
    largest, begun = 0.0, time.perf_counter()
    with subprocess.Popen(command, env=installation.environment(), stdout=subprocess.DEVNULL) as child:
        while child.poll() is None:
            largest = max(largest, most_memory(child.pid))
            time.sleep(_LOOK_SECONDS)
    seconds = time.perf_counter() - begun
    if child.returncode != 0:
        raise OutOfReachError("bench_failed", "the import did not take everything in; read what it says above")
    return len(indexes) * ENTRIES / seconds, largest


def _write(folder: Path, indexes: range) -> None:
    """Write a bulk export: one file a resource type, as FHIR Bulk Data lays them out."""
    with (
        (folder / "Patient.ndjson").open("w", encoding="utf-8") as people,
        (folder / "Encounter.ndjson").open("w", encoding="utf-8") as visits,
        (folder / "Observation.ndjson").open("w", encoding="utf-8") as entries,
        (folder / "Practitioner.ndjson").open("w", encoding="utf-8") as staff,
    ):
        print(json.dumps(_practitioner()), file=staff)
        for index in indexes:
            print(json.dumps(_patient(index), ensure_ascii=False), file=people)
            for number in range(ENTRIES // 2):
                print(json.dumps(_encounter(index, number)), file=visits)
                print(json.dumps(_observation(index, number), ensure_ascii=False), file=entries)


def _practitioner() -> dict[str, object]:
    name = [{"family": "Koivulehto", "given": ["Marjatta"]}]
    return {"resourceType": "Practitioner", "id": "a1", "identifier": [{"value": "A-10417"}], "name": name}


def _patient(index: int) -> dict[str, object]:
    return {
        "resourceType": "Patient",
        "id": f"p{index}",
        "identifier": [{"system": _CODE, "value": code_of(index)}],
        "name": [{"family": "Jokikivi", "given": ["Aino"]}],
        "address": [{"line": ["Satupolku 1"], "postalCode": "99901", "city": "Satukylä", "country": "FI"}],
    }


def _encounter(index: int, number: int) -> dict[str, object]:
    day = f"2025-{number % 12 + 1:02d}-{number % 27 + 1:02d}"
    return {
        "resourceType": "Encounter",
        "id": f"e{index}-{number}",
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": f"Patient/p{index}"},
        "participant": [{"individual": {"reference": "Practitioner/a1"}}],
        "period": {"start": f"{day}T09:00:00+02:00", "end": f"{day}T09:45:00+02:00"},
    }


def _observation(index: int, number: int) -> dict[str, object]:
    return {
        "resourceType": "Observation",
        "id": f"o{index}-{number}",
        "status": "final",
        "code": {"text": "Havainnot"},
        "subject": {"reference": f"Patient/p{index}"},
        "encounter": {"reference": f"Encounter/e{index}-{number}"},
        "performer": [{"reference": "Practitioner/a1"}],
        "effectiveDateTime": f"2025-{number % 12 + 1:02d}-{number % 27 + 1:02d}T09:45:00+02:00",
        "valueString": _TEXT,
    }
