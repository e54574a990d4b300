"""The real key daemon: what it serves, whom it turns away, and that no bytes bring it down."""

import contextlib
import json
import os
import resource
import signal
import socket as sockets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from vault.crypto.boxes import seal_key
from vault.crypto.daemon import MOST_CONNECTIONS
from vault.crypto.frames import PROTOCOL, Feed, Message, pack, parse
from vault.crypto.keydir import read_public
from vault.crypto.local import LocalKeyService
from vault.errors import LimitError, NotAllowedError, OutOfReachError, RefusedError, TamperedError
from vault.settings import read_secret
from vault.testing.keyservice import RunningKeyService, start_key_service

KEY = bytes(range(32))


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningKeyService]:
    with start_key_service(tmp_path_factory.mktemp("keys"), "--rate", "print:unseal=20") as running:
        yield running


@contextlib.contextmanager
def connected(daemon: RunningKeyService) -> Iterator[sockets.socket]:
    with contextlib.closing(sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)) as raw:
        raw.settimeout(10)
        raw.connect(str(daemon.socket))
        yield raw


def admitted(raw: sockets.socket, daemon: RunningKeyService, office: str) -> None:
    raw.sendall(pack([{"hello": PROTOCOL, "token": read_secret(daemon.files.token_files[office])}]))
    assert replies(raw, 1) == [{"office": office}]


def replies(raw: sockets.socket, count: int) -> list[Message]:
    feed = Feed()
    found: list[Message] = []
    while len(found) < count and (data := raw.recv(65_536)):
        found += [reply for body in feed.bodies(data) for reply in parse(body)]
    return found


def rest(raw: sockets.socket) -> bytes:
    """Read until the daemon closes, however it does."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while more := raw.recv(65_536):
            data += more
    return data


def flood(raw: sockets.socket, requests: bytes) -> None:
    for _ in range(200):
        raw.sendall(requests)


def outcomes(daemon: RunningKeyService) -> list[tuple[str, str, str]]:
    lines = [json.loads(line) for line in daemon.audit_lines()]
    return [(line["office"], line["verb"], line["outcome"]) for line in lines]


def test_offices_use_their_keys(daemon: RunningKeyService) -> None:
    registry, collector, keeper = daemon.client("registry"), daemon.client("collector"), daemon.client("keeper")
    sealed = seal_key(read_public(daemon.files.public("case")), "DSR-1", KEY)

    wrapped = registry.wrap("record", "S-1", KEY)

    assert collector.unwrap("record", "S-1", wrapped) == KEY
    assert collector.unseal("case", "DSR-1", sealed) == KEY
    assert collector.mac("subject", b"131052-308T") == registry.mac("subject", b"131052-308T")
    assert len(collector.mac("log-tag", b"S-1")) == 32
    Ed25519PublicKey.from_public_bytes(keeper.public("log")).verify(keeper.sign("log", b"note"), b"note")


def test_public_halves_are_those_of_the_files(daemon: RunningKeyService) -> None:
    operator = daemon.client("operator")

    for name in ("case", "print", "desk"):
        assert operator.public(name) == read_public(daemon.files.public(name))


@pytest.mark.parametrize("office", ["intake", "desk", "print", "keeper", "audit", "operator"])
def test_wrong_office_is_refused_and_audited(daemon: RunningKeyService, office: str) -> None:
    wrapped = daemon.client("registry").wrap("record", "S-1", KEY)

    with pytest.raises(NotAllowedError, match="key_use_refused"):
        daemon.client(office).unwrap("record", "S-1", wrapped)

    assert outcomes(daemon)[-1] == (office, "unwrap", "key_use_refused")


def test_wrong_reference_is_refused_and_the_connection_lives(daemon: RunningKeyService) -> None:
    registry = daemon.client("registry")
    wrapped = registry.wrap("record", "S-1", KEY)

    with pytest.raises(TamperedError, match="wrapped_key_tampered"):
        registry.unwrap("record", "S-2", wrapped)

    assert registry.unwrap("record", "S-1", wrapped) == KEY


@pytest.mark.parametrize("token", ["", "x" * 43, "é" * 20, "x" * 2_000])
def test_wrong_token_is_refused_and_audited(daemon: RunningKeyService, token: str) -> None:
    with pytest.raises(RefusedError, match=r"key_token_refused|key_request_too_large"):
        LocalKeyService(daemon.socket, token).public("case")

    assert outcomes(daemon)[-1][:2] == ("-", "connect")


def test_nothing_is_answered_before_the_token(daemon: RunningKeyService) -> None:
    with connected(daemon) as raw:
        raw.sendall(pack([{"verb": "public", "name": "case", "ref": "", "data": "", "use": ""}]))
        answer = rest(raw)

    assert parse(answer[4:])[0]["error"] == "key_request_malformed"
    assert b"value" not in answer


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\x00\x00\x00",
        b"\xff\xff\xff\xff",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00\x00\x04\x01" + b"x" * 1025,
        b"\x00\x00\x00\x02{}",
        b"\x00\x00\x00\x02[]",
        b"\x00\x00\x03\xe8" + b"[" * 1000,
        b"\x00\x00\x00\x04\xff\xfe\x00\x00",
        os.urandom(5_000),
    ],
    ids=lambda garbage: repr(garbage[:12]) if len(garbage) != 5_000 else "random",
)
def test_garbage_is_refused_and_the_daemon_lives(daemon: RunningKeyService, garbage: bytes) -> None:
    with connected(daemon) as raw:
        raw.sendall(garbage)
        raw.shutdown(sockets.SHUT_WR)
        rest(raw)

    assert daemon.client("operator").public("case")
    assert daemon.process.alive()


@pytest.mark.parametrize("garbage", [b"\x00\x10\x00\x01", b"\x00\x00\x00\x01{", b"\x00\x01\x86\xa0" + b"[" * 100_000])
def test_garbage_after_the_token_closes_the_connection(daemon: RunningKeyService, garbage: bytes) -> None:
    with connected(daemon) as raw:
        admitted(raw, daemon, "desk")
        raw.sendall(garbage)
        (answer,) = parse(rest(raw)[4:])

    assert str(answer["error"]).startswith("key_request_")
    assert outcomes(daemon)[-1] == ("desk", "connect", answer["error"])


@pytest.mark.parametrize("part", [0, 1, 3, 4, 20])
def test_dropped_connections_leave_the_daemon_alive(daemon: RunningKeyService, part: int) -> None:
    for _ in range(50):
        with connected(daemon) as raw:
            raw.sendall(pack([{"hello": PROTOCOL, "token": "x" * 43}])[:part])

    assert daemon.client("operator").public("case")


def test_frames_arrive_byte_by_byte_or_all_at_once(daemon: RunningKeyService) -> None:
    request = pack([{"verb": "public", "name": "case", "ref": "", "data": "", "use": ""}])
    with connected(daemon) as raw:
        admitted(raw, daemon, "operator")
        for byte in request:
            raw.sendall(bytes([byte]))
        (slow,) = replies(raw, 1)
        raw.sendall(request * 500)
        fast = replies(raw, 500)

    assert len(fast) == 500
    assert all(reply == slow for reply in fast)


def test_a_frame_of_many_is_answered_by_one_and_each_message_is_judged_alone(daemon: RunningKeyService) -> None:
    fair = {"verb": "public", "name": "case", "ref": "", "data": "", "use": ""}
    with connected(daemon) as raw:
        admitted(raw, daemon, "operator")
        raw.sendall(pack([fair, fair | {"verb": "sign", "name": "desk"}, fair]))
        first, refused, last = replies(raw, 3)

    assert first == last
    assert "value" in first
    assert refused["error"] == "key_use_refused"


def test_client_that_fetches_nothing_does_not_stop_the_others(daemon: RunningKeyService) -> None:
    request = pack([{"verb": "public", "name": "case", "ref": "", "data": "", "use": ""}])
    with connected(daemon) as raw:
        admitted(raw, daemon, "operator")
        raw.settimeout(1)
        with pytest.raises(TimeoutError):
            flood(raw, request * 1000)

        desk = daemon.client("desk")
        before = desk.status().granted
        time.sleep(0.2)
        assert desk.status().granted == before + 1  # it is heard no more, and we are


def test_too_many_connections_are_dropped_and_room_comes_back(daemon: RunningKeyService) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(MOST_CONNECTIONS + 5):
            stack.enter_context(connected(daemon))
            time.sleep(0.001)
        with pytest.raises(OutOfReachError):
            daemon.client("operator").public("case")

    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        with contextlib.suppress(OutOfReachError):
            assert daemon.client("operator").public("case")
            return
    pytest.fail("the daemon did not take connections again")


def test_silent_connection_is_closed_and_an_admitted_one_is_not(daemon: RunningKeyService) -> None:
    with connected(daemon) as known, connected(daemon) as silent:
        admitted(known, daemon, "operator")

        assert silent.recv(1) == b""  # after five seconds
        known.sendall(pack([{"verb": "public", "name": "case", "ref": "", "data": "", "use": ""}]))
        assert "value" in replies(known, 1)[0]


def test_too_large_request_is_refused_by_the_client(daemon: RunningKeyService) -> None:
    desk = daemon.client("desk")

    with pytest.raises(LimitError, match="key_request_too_large"):
        desk.sign("desk", bytes(1024 * 1024))

    assert len(desk.sign("desk", bytes(700_000))) == 64


def test_client_waits_for_a_used_up_rate(daemon: RunningKeyService) -> None:
    office = daemon.client("print")
    sealed = seal_key(office.public("print"), "L-1", KEY)

    before = time.monotonic()
    opened = {office.unseal("print", "L-1", sealed) for _ in range(44)}

    assert opened == {KEY}
    assert time.monotonic() - before >= 0.15  # 40 at once, then 20 a second
    hasty = LocalKeyService(daemon.socket, read_secret(daemon.files.token_files["print"]), patience=0)
    with pytest.raises(LimitError, match="key_rate_reached"):
        _ = [hasty.unseal("print", "L-1", sealed) for _ in range(44)]


def test_threads_share_a_client(daemon: RunningKeyService) -> None:
    registry = daemon.client("registry")
    keys = {f"S-{number}": bytes([number]) * 32 for number in range(40)}

    def round_trip(ref: str) -> bytes:
        wrapped = registry.wrap("record", ref, keys[ref])
        return registry.unwrap("record", ref, wrapped)

    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(round_trip, keys))

    assert opened == list(keys.values())


def test_forked_child_takes_a_connection_of_its_own(daemon: RunningKeyService) -> None:
    registry = daemon.client("registry")
    wrapped = registry.wrap("record", "S-1", KEY)
    child = os.fork()
    if not child:
        same = all(registry.unwrap("record", "S-1", wrapped) == KEY for _ in range(200))
        os._exit(0 if same else 1)

    assert all(registry.unwrap("record", "S-1", wrapped) == KEY for _ in range(200))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_thousands_of_unwraps_a_second(daemon: RunningKeyService) -> None:
    registry = daemon.client("registry")
    wrapped = registry.wrap("record", "S-1", KEY)

    before = time.process_time()
    for _ in range(2_000):
        registry.unwrap("record", "S-1", wrapped)

    # our own processor time: what others do on this machine must not decide
    assert time.process_time() - before < 1


def test_status_tells_how_it_fares(daemon: RunningKeyService) -> None:
    status = daemon.client("audit").status()

    assert status.office == "audit"
    assert status.granted > 0
    assert abs(time.time() - status.since.timestamp()) < 600


def test_one_line_for_one_use(daemon: RunningKeyService) -> None:
    registry = daemon.client("registry")
    registry.public("case")
    before = len(daemon.audit_lines())

    wrapped = registry.wrap("record", "S-1", KEY)
    for _ in range(5):
        registry.unwrap("record", "S-1", wrapped)

    assert len(daemon.audit_lines()) == before + 6


def test_nothing_secret_stands_in_audit_or_log(daemon: RunningKeyService) -> None:
    daemon.client("registry").mac("subject", b"131052-308T")
    tokens = [read_secret(path) for path in daemon.files.token_files.values()]

    text = daemon.files.audit_file.read_text() + (daemon.files.path / "daemon.log").read_text()

    assert not any(secret in text for secret in ("131052", KEY.hex(), *tokens))
    assert "Traceback" not in text


def test_no_core_dump_and_a_private_socket(daemon: RunningKeyService) -> None:
    limits = resource.prlimit(daemon.process.pid, resource.RLIMIT_CORE)

    assert limits == (0, 0)
    assert daemon.socket.stat().st_mode & 0o777 == 0o600


def test_own_account_may_not_read_its_memory() -> None:
    program = (
        "import ctypes; from vault.crypto.daemon import harden; harden(); print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "0\n"  # PR_GET_DUMPABLE


def test_another_account_is_turned_away(tmp_path: Path) -> None:
    with start_key_service(tmp_path, "--uid", str(os.geteuid() + 1)) as daemon:
        with pytest.raises((NotAllowedError, OutOfReachError), match=r"key_account_refused|key_service_away"):
            daemon.client("registry").public("case")

        assert outcomes(daemon)[1:] == [("-", "connect", "key_account_refused")] * 2
        assert daemon.socket.stat().st_mode & 0o777 == 0o660


def test_sigterm_stops_cleanly_under_load(tmp_path: Path) -> None:
    errors: list[Exception] = []

    def use(client: LocalKeyService) -> None:
        try:
            while True:
                client.public("case")
        except OutOfReachError as error:
            errors.append(error)

    with start_key_service(tmp_path) as daemon:
        threads = [threading.Thread(target=use, args=(daemon.client("operator"),)) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        os.kill(daemon.process.pid, signal.SIGTERM)
        for thread in threads:
            thread.join(timeout=20)

        assert len(errors) == 3
        assert not daemon.socket.exists()
        assert outcomes(daemon)[-1] == ("-", "stop", "granted")
        assert "Traceback" not in (tmp_path / "daemon.log").read_text()


def test_many_requests_travel_together_and_each_has_its_line(daemon: RunningKeyService) -> None:
    client = daemon.client("registry")
    keys = {f"S-many-{number}": bytes([number % 256]) * 32 for number in range(300)}

    wrapped = dict(zip(keys, client.many("wrap", "record", list(keys.items())), strict=True))
    before = len(daemon.audit_lines())
    opened = client.many("unwrap", "record", list(wrapped.items()))

    assert opened == list(keys.values())
    lines = [json.loads(line) for line in daemon.audit_lines()[before:]]
    assert [(line["verb"], line["ref"], line["outcome"]) for line in lines] == [("unwrap", r, "granted") for r in keys]
    assert client.many("mac", "subject", [("", b"one"), ("", b"two")]) == [
        client.mac("subject", b) for b in (b"one", b"two")
    ]
    assert client.many("wrap", "record", []) == []


@pytest.mark.parametrize("place", [0, 63, 64, 150, 199])
def test_one_refused_among_many_refuses_all_and_the_line_stays_in_step(daemon: RunningKeyService, place: int) -> None:
    client = daemon.client("registry")
    items = [(f"S-step-{number}", client.wrap("record", f"S-step-{number}", KEY)) for number in range(200)]
    moved = [*items]
    moved[place] = (items[place][0], items[place - 1][1])

    with pytest.raises(TamperedError):
        client.many("unwrap", "record", moved)

    assert client.many("unwrap", "record", items) == [KEY] * 200


def test_many_wait_for_a_rate_that_is_used_up(tmp_path: Path) -> None:
    with start_key_service(tmp_path / "k", "--rate", "registry:mac=100") as daemon:
        client = daemon.client("registry")
        items = [("", b"%d" % number) for number in range(230)]  # the burst is 200

        told = client.many("mac", "log-tag", items)

        assert len(set(told)) == len(told) == 230
        assert told[-1] == client.mac("log-tag", items[-1][1])
