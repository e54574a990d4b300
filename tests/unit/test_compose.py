"""docker-compose.yml keeps the production shape: what stands where, who holds which secret, what the world reaches."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from vault.domain.roles import OfficeName
from vault.settings import Settings, load

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if service["image"].startswith("dsr-vault:"))
ONCE = ("airflow-setup", "migrate", "objects-setup")  # they end by themselves
OFFICES = {
    "worker-intake": OfficeName.INTAKE,
    "worker-collector": OfficeName.COLLECTOR,
    "worker-sealer": OfficeName.SEALER,
    "worker-keeper": OfficeName.KEEPER,
    "desk": OfficeName.DESK,
}
WORKERS = sorted(name for name in OFFICES if name.startswith("worker-"))
AIRFLOWS = ("api-server", "scheduler", "dag-processor", "triggerer")


def secrets_of(name: str) -> set[str]:
    given = SERVICES[name].get("secrets", [])
    return {secret if isinstance(secret, str) else secret["source"] for secret in given}


def settings_of_compose() -> Settings:
    return load(ROOT / "infra" / "compose" / "dsr.toml")


def test_debians_docker_compose_accepts_it() -> None:
    program = shutil.which("docker-compose")
    assert program, "Debian's package docker-compose is missing; run infra/setup --for test"

    done = subprocess.run(
        [program, "-f", FILE, "config", "--quiet"], check=False, capture_output=True, text=True, cwd=ROOT
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_by_a_version_tag(name: str) -> None:
    image, _, tag = SERVICES[name]["image"].rpartition(":")

    assert image
    assert re.search(r"\d+\.\d+|\d{4}-\d\d-\d\d", tag)


def test_the_images_base_is_pinned_and_it_runs_as_nobody_special() -> None:
    lines = (ROOT / "infra" / "images" / "Dockerfile").read_text(encoding="utf-8").splitlines()

    assert [line for line in lines if line.startswith("FROM ")] == ["FROM python:3.11.11-slim-bookworm"]
    assert "USER 10001:10001" in lines
    assert any("--require-hashes" in line for line in lines)


@pytest.mark.parametrize("name", SERVICES)
def test_no_container_has_privileges(name: str) -> None:
    service = SERVICES[name]

    assert not service.get("privileged")
    assert service["cap_drop"] == ["ALL"]
    assert not service.get("cap_add")
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["read_only"] is True
    assert not {"pid", "ipc", "devices", "userns_mode"} & service.keys()
    assert service.get("network_mode") in {None, "none"}


@pytest.mark.parametrize("name", SERVICES)
def test_no_container_reaches_the_hosts_own_files(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith("./infra/"):
            assert volume.endswith(":ro")
            assert (ROOT / source).is_file()
        else:
            assert source in COMPOSE["volumes"]


@pytest.mark.parametrize("name", OURS)
def test_our_containers_run_as_an_ordinary_account(name: str) -> None:
    assert SERVICES[name]["user"] == "10001:10001"


def test_only_the_web_port_is_published() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert published == {"web": ["443:443"]}
    assert not any("network_mode" in SERVICES[name] for name in published)


@pytest.mark.parametrize("name", ["front", "engine", "queue", "data"])
def test_inner_networks_lead_nowhere(name: str) -> None:
    assert COMPOSE["networks"][name]["internal"] is True


@pytest.mark.parametrize(
    ("name", "networks"),
    [("postgres", {"data"}), ("objects", {"data"}), ("redis", {"queue"}), ("web", {"edge", "front"})],
)
def test_stores_stand_on_inner_networks_only(name: str, networks: set[str]) -> None:
    assert set(SERVICES[name]["networks"]) == networks


def test_only_the_proxy_stands_where_the_world_comes_in() -> None:
    assert [name for name, service in SERVICES.items() if "edge" in service.get("networks", [])] == ["web"]


def test_only_those_who_fetch_or_send_mail_have_a_way_out() -> None:
    out = {name for name, service in SERVICES.items() if "mail" in service.get("networks", [])}

    assert out == {"triggerer", "worker-intake", "worker-collector", "worker-sealer", "desk"}


def test_the_key_service_has_no_network_and_is_alone_with_the_keys() -> None:
    holders = [name for name in SERVICES if secrets_of(name) & {"key_file", "key_passphrase"}]

    assert SERVICES["keys"]["network_mode"] == "none"
    assert holders == ["keys"]


@pytest.mark.parametrize("name", OFFICES)
def test_an_office_holds_its_own_token_and_no_other(name: str) -> None:
    tokens = {secret for secret in secrets_of(name) if secret.startswith("token_")}

    assert tokens == {f"token_{OFFICES[name]}"}


@pytest.mark.parametrize("name", AIRFLOWS)
def test_airflows_own_parts_hold_no_token_and_no_key_of_the_vault(name: str) -> None:
    held = secrets_of(name)

    assert not any(secret.startswith(("token_", "key_", "openpgp", "smime", "objects_")) for secret in held)
    assert "database_vault_password" not in held
    assert ("assertion_key" in held) == (name == "api-server")


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_knows_nothing_of_airflows_books(name: str) -> None:
    held = secrets_of(name)

    assert not any(secret.startswith("airflow_") for secret in held)
    assert not any("SQL_ALCHEMY" in key or "JWT" in key for key in SERVICES[name]["environment"])


@pytest.mark.parametrize(
    ("secret", "holders"),
    [
        ("mailbox_password", {"worker-intake", "triggerer"}),
        ("smime_key", {"worker-intake"}),
        ("smime_passphrase", {"worker-intake"}),
        ("openpgp_passphrase", {"worker-intake", "worker-sealer"}),
        ("desk_session_secret", {"desk"}),
        ("database_admin_password", {"postgres"}),
        ("database_vault_password", {"postgres", "migrate"}),
        ("objects_root_password", {"objects", "objects-setup"}),
        ("web_key", {"web"}),
    ],
)
def test_a_secret_is_held_by_those_who_need_it(secret: str, holders: set[str]) -> None:
    assert {name for name in SERVICES if secret in secrets_of(name)} == holders


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_takes_from_its_own_offices_queue_only(name: str) -> None:
    command = SERVICES[name]["command"]

    assert command[:3] == ["airflow", "celery", "worker"]
    assert command[command.index("--queues") + 1] == OFFICES[name]


def test_every_queue_of_the_dags_has_its_worker() -> None:
    named = {
        queue
        for dag in (ROOT / "dags").glob("*.py")
        for queue in re.findall(r"""queue["']?\s*[:=]\s*["'](\w+)["']""", dag.read_text(encoding="utf-8"))
    }

    assert {"intake", "collector", "sealer"} <= named
    assert named == {OFFICES[name].value for name in WORKERS}


def test_airflow_runs_on_celery_with_fabs_users() -> None:
    for name in (*AIRFLOWS, *WORKERS):
        environment = SERVICES[name]["environment"]
        assert environment["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
        assert environment["AIRFLOW__CORE__AUTH_MANAGER"].endswith("FabAuthManager")
        assert environment["AIRFLOW__CORE__LOAD_EXAMPLES"] == "False"


@pytest.mark.parametrize("name", SERVICES)
def test_what_runs_says_whether_it_is_well(name: str) -> None:
    assert ("healthcheck" in SERVICES[name]) == (name not in ONCE)
    assert SERVICES[name]["restart"] == ("no" if name in ONCE else "unless-stopped")


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_stands_in_the_environment_or_on_a_command_line(name: str) -> None:
    service = SERVICES[name]
    environment = service.get("environment", {})

    for key, value in environment.items():
        if re.search(r"PASSWORD|SECRET|_KEY|TOKEN|CONN|BROKER|BACKEND|ROOT_USER", key):
            assert key.endswith(("_FILE", "_CMD"))
            assert re.fullmatch(r"(cat )?/run/secrets/\w+", value)
    assert not re.search(r"(?i)password=|requirepass|://\w+:", " ".join(map(str, service.get("command", []))))


def test_every_secret_comes_from_a_file_that_git_does_not_keep() -> None:
    kept = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    held = {secret for name in SERVICES for secret in secrets_of(name)}

    assert "infra/compose/secrets/" in kept
    assert all(set(secret) == {"file"} for secret in COMPOSE["secrets"].values())
    assert all(secret["file"].startswith("./infra/compose/secrets/") for secret in COMPOSE["secrets"].values())
    assert held == set(COMPOSE["secrets"])


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_waits_for_parts_that_exist(name: str) -> None:
    for other, rule in SERVICES[name].get("depends_on", {}).items():
        expected = "service_completed_successfully" if other in ONCE else "service_healthy"
        assert rule == {"condition": expected}


def test_the_settings_are_whole_and_each_secret_they_name_is_a_secret_of_the_file() -> None:
    settings = settings_of_compose()
    named = set(re.findall(r"/run/secrets/(\w+)", (ROOT / "infra/compose/dsr.toml").read_text(encoding="utf-8")))

    assert set(settings.keys.token_files) == {office.value for office in OfficeName}
    assert set(settings.database.password_files) == {office.value for office in OfficeName}
    assert named <= set(COMPOSE["secrets"])


@pytest.mark.parametrize("name", OFFICES)
def test_an_office_finds_the_secrets_that_every_office_opens(name: str) -> None:
    assert {"objects_access_key", "objects_secret_key"} <= secrets_of(name)


@pytest.mark.parametrize("office", OfficeName)
@pytest.mark.parametrize("kind", ["token_{}", "database_{}_password"])
def test_only_an_offices_own_container_and_the_server_hold_what_it_signs_in_with(office: OfficeName, kind: str) -> None:
    secret = kind.format(office.value)
    server = "keys" if kind.startswith("token") else "postgres"

    assert {name for name in SERVICES if secret in secrets_of(name)} - {server} == {
        name for name, served in OFFICES.items() if served is office
    }
    assert secret in secrets_of(server)


def test_the_public_names_agree() -> None:
    desk = settings_of_compose().desk
    airflow, own = (urlsplit(url).hostname for url in (desk.airflow_url, desk.url))
    nginx = (ROOT / "infra/compose/nginx.conf").read_text(encoding="utf-8")

    assert SERVICES["api-server"]["environment"]["AIRFLOW__API__BASE_URL"] == desk.airflow_url
    assert SERVICES["api-server"]["environment"]["DSR_DESK_URL"] == desk.url
    assert SERVICES["web"]["networks"]["front"] == {"aliases": [airflow]}
    assert {f"server_name {airflow};", f"server_name {own};"} <= {line.strip() for line in nginx.splitlines()}


def test_the_log_buckets_objects_may_not_be_deleted_by_policy() -> None:
    policy = yaml.safe_load((ROOT / "infra/compose/objects-policy.json").read_text(encoding="utf-8"))

    denied = [rule for rule in policy["Statement"] if rule["Effect"] == "Deny"]

    assert denied[0]["Resource"] == [f"arn:aws:s3:::{settings_of_compose().objects.log_bucket}/*"]
    assert {"s3:DeleteObject", "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"} <= set(denied[0]["Action"])


@pytest.mark.parametrize("script", ["postgres-init.sh", "redis-start.sh", "objects-setup.sh", "make-secrets"])
def test_scripts_are_well_formed(script: str) -> None:
    shell = "bash" if script == "make-secrets" else "sh"

    assert subprocess.run([shell, "-n", ROOT / "infra/compose" / script], check=False).returncode == 0
