"""A whole object store of one's own: Ceph's RADOS Gateway on a monitor and one disk, unprivileged, in about 1.5 s.

Object Lock, presigned links' expiry and refused secrets are real here, as they are not in moto.
"""

import contextlib
import functools
import json
import signal
import socket
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vault.errors import OutOfReachError, WrongUseError
from vault.testing import object_server, places, processes
from vault.testing.object_server import ObjectServer
from vault.testing.ports import answers, free_ports
from vault.testing.processes import Account, find_program, identity

_PROGRAMS = {
    "radosgw": "radosgw",
    "ceph-mon": "ceph-mon",
    "ceph-osd": "ceph-osd",
    "ceph": "ceph-common",
    "ceph-authtool": "ceph-common",
    "monmaptool": "ceph-common",
    "radosgw-admin": "radosgw",
}
_PARTS = ("rgw", "osd", "mon")  # the order in which they must stop
# notes for debugging, which are gathered in memory also where none are written, would take half of a request's time
_CONFIGURATION = """\
[global]
fsid = {fsid}
mon_initial_members = a
mon_host = [v2:127.0.0.1:{mon},v1:127.0.0.1:{mon_v1}]
public_network = 127.0.0.0/8
cluster_network = 127.0.0.0/8
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
paxos_propose_interval = 0.02
paxos_min_wait = 0.01
auth_allow_insecure_global_id_reclaim = false
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
mon_data_avail_crit = 1
mon_data_avail_warn = 1
osd_max_object_name_len = 460
osd_fast_fail_on_connection_refused = true
osd_memory_target = 939524096
osd_objectstore = {store}
memstore_device_bytes = 4294967296
bluestore_block_size = 8589934592
bluestore_block_db_create = false
bluestore_block_wal_create = false
osd_class_dir = {classes}
osd_data = {base}/osd
mon_data = {base}/mon
rgw_data = {base}/rgw
keyring = {base}/keyring
run_dir = {run}
admin_socket = {run}/$name.asok
log_file = {base}/$name.log
rgw_frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw_run_sync_thread = false
debug_rgw = 0/0
debug_ms = 0/0
debug_osd = 0/0
debug_objecter = 0/0
debug_monc = 0/0
debug_objclass = 0/0
debug_rados = 0/0
debug_optracker = 0/0
rgw_lc_debug_interval = {life_cycle_day}
"""


@dataclass(frozen=True, slots=True)
class _Cluster:
    """The paths and the account with which its programs run."""

    home: Path
    base: Path
    account: Account | None

    @property
    def conf(self) -> Path:
        return self.base / "ceph.conf"

    def run(self, program: str, *arguments: str | Path) -> None:
        """Run one of Ceph's programs to its end.

        :raises OutOfReachError: it failed.
        """
        command = [find_program(program, _PROGRAMS[program]), "-c", self.conf, *arguments]
        if not processes.run_as(command, self.account, log=self.home / "setup.log", cwd=self.base):
            raise OutOfReachError("server_failed", f"{program} failed; read setup.log of the object store")

    def ask(self, program: str, *arguments: str | Path, given: str = "") -> str:
        """Run one of Ceph's programs and return what it prints; '' when it fails."""
        command = [find_program(program, _PROGRAMS[program]), "-c", self.conf, *arguments]
        with (self.home / "setup.log").open("ab") as log:
            done = subprocess.run(
                [str(part) for part in command],
                check=False,
                input=given.encode(),
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.base,
                **identity(self.account),
            )
        return done.stdout.decode() if done.returncode == 0 else ""

    def start(self, name: str, program: str, *arguments: str | Path) -> processes.Running:
        """Start one of Ceph's daemons."""
        command = [find_program(program, _PROGRAMS[program]), "-c", self.conf, *arguments, "-f"]
        return processes.start_named(name, self.home, command, account=self.account, cwd=self.base)


@contextlib.contextmanager
def rgw(directory: Path | None = None, *, durable: bool = False) -> Iterator[ObjectServer]:
    """Run an object store while inside; without `directory` it lives in memory and leaves nothing behind.

    :param durable: keep the objects on disk (BlueStore), not in the server's memory.
    :raises WrongUseError: `server_missing`, with the name of the Debian package.
    :raises OutOfReachError: the server does not start.
    """
    starter = functools.partial(start, durable=durable)
    # a gateway that served a request takes five seconds to end of itself; memory needs no such care
    stopper = stop if durable else functools.partial(stop, first=signal.SIGKILL)
    with places.lent(starter, stopper, directory, "dsr-rgw-") as server:
        yield server


def installed() -> bool:
    """Tell whether Debian's packages for it are here."""
    try:
        for program, package in _PROGRAMS.items():
            find_program(program, package)
    except WrongUseError:
        return False
    return True


def start(directory: Path, *, durable: bool = True) -> ObjectServer:
    """Start an object store that outlives us, or adopt the one that runs there.

    :raises WrongUseError: `server_missing`, with the name of the Debian package.
    :raises OutOfReachError: the server does not start.
    """
    for program, package in _PROGRAMS.items():
        find_program(program, package)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    server = object_server.recall(directory, count=len(_PARTS), stand_in=False)
    if server is not None:
        return server
    stop(directory)  # what a crash left
    account = processes.unprivileged("ceph")
    cluster = _Cluster(directory, places.base_of(directory, account), account)
    fresh = not (directory / "secret-key").exists()
    if fresh:
        places.empty(cluster.base)
    server = _configure(cluster, durable=durable)
    _serve(cluster, server, fresh=fresh)
    return server


def stop(directory: Path, *, first: signal.Signals = signal.SIGTERM) -> None:
    """Stop the store that runs there, if one does; durable objects stay."""
    for part in _PARTS:
        processes.stop_named(part, directory, first=first)
    places.close_run_directory(directory)


def destroy(directory: Path) -> None:
    """Stop the store and remove its objects, keys and logs."""
    stop(directory)
    places.discard(directory)


def _configure(cluster: _Cluster, *, durable: bool) -> ObjectServer:
    """Choose ports once (the monitor's stands in the cluster's own map) and write ceph.conf."""
    port = object_server.noted_port(cluster.home) or free_ports(3)
    server = ObjectServer(port, cluster.home, stand_in=False)
    server.remember()
    fsid_file = cluster.home / "fsid"
    if not fsid_file.exists():
        fsid_file.write_text(str(uuid.uuid4()), encoding="utf-8")
    text = _CONFIGURATION.format(
        fsid=fsid_file.read_text(encoding="utf-8"),
        mon=port + 1,
        mon_v1=port + 2,
        port=port,
        base=cluster.base,
        run=places.run_directory(cluster.home, cluster.account),
        store="bluestore" if durable else "memstore",
        classes=next(Path("/usr/lib").glob("*/rados-classes"), "/usr/lib/rados-classes"),
        life_cycle_day=-1 if durable else 10,
    )
    places.write_private(cluster.conf, text, cluster.account)
    return server


def _make_keyrings(cluster: _Cluster) -> str:
    """Make the cluster's inner keys and return the disk's."""
    ring = cluster.base / "keyring"
    every = ("--cap", "mon", "allow *", "--cap", "osd", "allow *")
    cluster.run("ceph-authtool", "--create-keyring", ring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
    cluster.run("ceph-authtool", ring, "--gen-key", "-n", "client.admin", *every)
    cluster.run("ceph-authtool", ring, "--gen-key", "-n", "client.rgw", *every)
    return cluster.ask("ceph-authtool", "--gen-print-key").strip()


def _make_monitor(cluster: _Cluster, port: int) -> None:
    addresses = f"[v2:127.0.0.1:{port},v1:127.0.0.1:{port + 1}]"
    chart = cluster.base / "monmap"
    fsid = (cluster.home / "fsid").read_text(encoding="utf-8")
    cluster.run("monmaptool", "--create", "--clobber", "--fsid", fsid, "--addv", "a", addresses, chart)
    cluster.run("ceph-mon", "-i", "a", "--mkfs", "--monmap", chart, "--keyring", cluster.base / "keyring")


def _make_disk(cluster: _Cluster, key: str) -> None:
    """Register one disk with the running monitor and format it."""
    ring = cluster.base / "osd" / "keyring"
    (cluster.base / "osd").mkdir(mode=0o700)
    places.write_private(ring, f'[osd.0]\n\tkey = {key}\n\tcaps mon = "allow *"\n\tcaps osd = "allow *"\n')
    for path in (ring, ring.parent):
        places.give(path, cluster.account)
    name = str(uuid.uuid4())
    secret = json.dumps({"cephx_secret": key})
    number = cluster.ask("ceph", "--connect-timeout", "10", "osd", "new", name, "-i", "-", given=secret).strip()
    if number != "0":
        raise OutOfReachError("server_failed", "the object store's disk was not accepted; read setup.log")
    cluster.run("ceph-osd", "-i", "0", "--mkfs", "--keyring", ring, "--no-mon-config", "--osd-uuid", name)


def _disk_is_up(cluster: _Cluster) -> bool:
    """Ask the disk's own socket, which answers a JSON line with a length and JSON."""
    with contextlib.suppress(OSError, ValueError), socket.socket(socket.AF_UNIX) as line:
        line.settimeout(2)
        line.connect((cluster.home / "run").read_text(encoding="utf-8") + "/osd.0.asok")
        line.sendall(b'{"prefix": "status", "format": "json"}\0')
        with line.makefile("rb") as answer:
            answer.read(4)
            return bool(json.loads(answer.read())["state"] == "active")
    return False


def _make_user(cluster: _Cluster) -> None:
    """Make the one user; the gateway draws the keys, so that no command line ever shows them."""
    answer = cluster.ask("radosgw-admin", "user", "create", "--uid=dsr-vault", "--display-name=DSR Vault")
    if not answer:
        raise OutOfReachError("server_failed", "the object store's user was not made; read setup.log")
    keys = json.loads(answer)["keys"][0]
    object_server.keep_keys(cluster.home, keys["access_key"], keys["secret_key"])


def _serve(cluster: _Cluster, server: ObjectServer, *, fresh: bool) -> None:
    """Start monitor, disk and gateway, making on the way what a fresh store lacks."""
    key = _make_keyrings(cluster) if fresh else ""
    if fresh:
        _make_monitor(cluster, server.port + 1)
    cluster.start("mon", "ceph-mon", "-i", "a")
    if fresh:
        _make_disk(cluster, key)
    disk = cluster.start("osd", "ceph-osd", "-i", "0", "--keyring", cluster.base / "osd" / "keyring")
    # a client that comes before the disk is up looks again only after five seconds
    processes.wait_until(lambda: _disk_is_up(cluster), "Ceph's disk", process=disk)
    if fresh:
        _make_user(cluster)
    running = cluster.start("rgw", "radosgw", "-n", "client.rgw")
    processes.wait_until(lambda: answers(server.port), "RADOS Gateway", process=running)
