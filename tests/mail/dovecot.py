"""A Dovecot of our own, as Debian packages it: on free ports, in a temporary folder, with TLS, users and IDLE."""

from __future__ import annotations

import contextlib
import getpass
import grp
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.ports import free_port

BINARY = "/usr/sbin/dovecot"
STARTS_WITHIN = 20.0  # seconds

CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
protocols = imap
listen = 127.0.0.1
default_internal_user = {user}
default_login_user = {user}
default_internal_group = {group}
mail_uid = {user}
mail_gid = {group}
first_valid_uid = 1
mail_location = maildir:{folder}/mail/%u
mailbox_list_index = no
auth_failure_delay = 0
auth_mechanisms = plain login{mechanisms}
disable_plaintext_auth = no
mail_max_userip_connections = 50
ssl = yes
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
imap_idle_notify_interval = 1 mins
imap_capability = {capability}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {folder}/users
}}
{passdb}
userdb {{
  driver = static
  args = uid={user} gid={group} home={folder}/mail/%u
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Junk {{
    auto = create
    special_use = \\Junk
  }}
  mailbox Sent {{
    auto = create
    special_use = \\Sent
  }}
}}
service imap-login {{
  chroot =
  process_min_avail = 1
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
  }}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
"""


@dataclass(slots=True)
class Dovecot:
    """A server with one maildir per user. Mail is delivered by writing files, as a delivery agent does."""

    folder: Path
    user: str
    port: int = 0
    tls_port: int = 0
    users: dict[str, str] = field(default_factory=lambda: {"ada": "correct horse"})
    tokeninfo: str = ""  # a URL that knows whose an OAuth token is
    capability: str = ""  # instead of what it can
    _process: subprocess.Popen[bytes] | None = None
    _delivered: int = 0
    _homes: set[Path] = field(default_factory=set)

    @property
    def cafile(self) -> str:
        return str(self.folder / "cert.pem")

    @property
    def log(self) -> str:
        path = self.folder / "dovecot.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    # its life

    def start(self) -> None:
        """Start, on the same ports as before if there was a before, and wait until it answers."""
        self.port = self.port or free_port()
        self.tls_port = self.tls_port or free_port()
        self._configure()
        self._process = subprocess.Popen(
            [BINARY, "-F", "-c", self.folder / "dovecot.conf"],
            user=self.user if os.geteuid() == 0 else None,
            group=self._group if os.geteuid() == 0 else None,
            extra_groups=[] if os.geteuid() == 0 else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        until = time.monotonic() + STARTS_WITHIN
        while not self._answers():
            if self._process.poll() is not None:
                said = self._process.stderr.read().decode() if self._process.stderr else ""
                raise AssertionError(f"Dovecot does not start: {said} {self.log}")
            assert time.monotonic() < until, f"Dovecot does not answer: {self.log}"
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop it. Everybody who is connected is told BYE."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        for pid, _ in self._children():  # left alone they look only every ten seconds whether it is still there
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stderr:
            self._process.stderr.close()
        self._process = None

    def kill_sessions(self) -> int:
        """Kill, without a word, the processes that serve logged in users. How many there were."""
        found = [pid for pid, name in self._children() if name == "dovecot/imap"]
        for pid in found:
            os.kill(pid, signal.SIGKILL)
        return len(found)

    # mail

    def deliver(self, raw: bytes, *, to: str = "ada", folder: str = "", ago: timedelta = timedelta()) -> Path:
        """Deliver a mail. `folder` is the maildir's name for it, such as `.Junk`; "" is the inbox."""
        self._delivered += 1
        home = self.folder / "mail" / to / folder
        if home not in self._homes:
            for part in ("tmp", "new", "cur"):
                self._made(home / part)
            self._homes.add(home)
        name = f"{int(time.time())}.M{self._delivered:06d}P{os.getpid()}.here"
        temporary = home / "tmp" / name
        temporary.write_bytes(raw)
        at = time.time() - ago.total_seconds()
        os.utime(temporary, (at, at))
        self._own(temporary)
        return temporary.rename(home / "new" / name)

    def renumber(self, *, to: str = "ada") -> None:
        """Lose what is known of the inbox but for its mail: its UIDs begin anew, under another UIDVALIDITY."""
        home = self.folder / "mail" / to
        for path in (*home.glob("dovecot-uidlist"), *home.glob("dovecot.index*")):
            path.unlink()

    # inside

    def _children(self) -> list[tuple[int, str]]:
        assert self._process is not None
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                name = (path / "cmdline").read_bytes().partition(b"\0")[0].decode(errors="replace")
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self._process.pid:
                    found.append((int(path.name), name.partition(" ")[0]))
        return found

    @property
    def _group(self) -> int:
        return pwd.getpwnam(self.user).pw_gid

    def _configure(self) -> None:
        for name in ("run", "state", "mail"):
            self._made(self.folder / name)
        passdb = ""
        if self.tokeninfo:
            options = f"tokeninfo_url = {self.tokeninfo}\nusername_attribute = user\n"
            (self.folder / "oauth2.conf").write_text(options, encoding="utf-8")
            passdb = f"passdb {{\n driver = oauth2\n mechanisms = xoauth2\n args = {self.folder}/oauth2.conf\n}}\n"
        users = "".join(f"{name}:{{PLAIN}}{password}::::::\n" for name, password in self.users.items())
        (self.folder / "users").write_text(users, encoding="utf-8")
        config = CONFIG.format(
            folder=self.folder,
            user=self.user,
            group=_group_name(self._group),
            port=self.port,
            tls_port=self.tls_port,
            mechanisms=" xoauth2" if self.tokeninfo else "",
            passdb=passdb,
            capability=self.capability,
        )
        (self.folder / "dovecot.conf").write_text(config, encoding="utf-8")
        if not (self.folder / "cert.pem").exists():
            _write_certificate(self.folder)
        for path in self.folder.iterdir():
            self._own(path)

    def _made(self, path: Path) -> None:
        missing = [each for each in (path, *path.parents) if not each.exists()]
        path.mkdir(parents=True, exist_ok=True)
        for each in missing:
            self._own(each)

    def _own(self, path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, pwd.getpwnam(self.user).pw_uid, self._group)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as sock:
                return sock.recv(4) == b"* OK"
        except OSError:
            return False


@contextlib.contextmanager
def dovecot(**more: Any) -> Iterator[Dovecot]:
    """A running Dovecot. Without the program a run skips the test and says so; in CI, which installs it, it fails."""
    if why := _lacks():
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    user = "dovenull" if os.geteuid() == 0 else getpass.getuser()
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="dovecot-", dir=memory if os.access(memory, os.W_OK) else None))
    folder.chmod(0o755)
    server = Dovecot(folder, user, **more)
    server._own(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _lacks() -> str:
    if not Path(BINARY).exists() or not Path("/usr/lib/dovecot/imap").exists():
        return "no Dovecot on this machine (Debian: apt-get install dovecot-imapd); IMAP was not tried for real"
    version = subprocess.run([BINARY, "--version"], capture_output=True, text=True, check=False).stdout
    if not version.startswith("2.3."):
        return f"the tests are written for Dovecot 2.3 (Debian 12), not {version.split(' ')[0]}"
    return ""


def _group_name(gid: int) -> str:
    return grp.getgrgid(gid).gr_name


def _write_certificate(folder: Path) -> None:
    """A certificate for localhost that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
