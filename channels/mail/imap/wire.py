"""The socket below imaplib: read through a buffer of our own, so that another thread can end it at any moment.

Rule: what was read before encryption began is thrown away with it, so nobody on the way can put words into the server's
mouth.
"""

from __future__ import annotations

import contextlib
import imaplib
import ipaddress
import math
import select
import socket
import ssl
import threading
import time

PIECE = 256 << 10  # bytes read at a time
MOST_LINE = 16 << 20  # bytes; a search among two million mails gives a line this long
MOST_LITERAL = 256 << 20  # bytes; far above the largest mail that is asked for whole
# Seconds of silence, between probes, and how many: a dead line is known after two minutes also while nothing is asked.
KEEPALIVE = (60, 15, 4)


class Wire(imaplib.IMAP4):
    """One connection. Everything but `cut` belongs to one thread."""

    def __init__(self, timeout: float, tls: ssl.SSLContext | None = None) -> None:
        """Not connected yet. `tls` encrypts from the first byte; `timeout` is in seconds without any."""
        self._seconds = timeout
        self._tls = tls
        self._ended = threading.Event()
        self._buffer = bytearray()
        self.sock = socket.socket()

    def connect(self, host: str, port: int) -> None:
        """Connect and read the greeting. Raises OSError and imaplib's errors."""
        super().__init__(host, port, self._seconds)

    # what imaplib calls

    def open(self, host: str = "", port: int = 143, timeout: float | None = None) -> None:
        self.host, self.port = host, port
        self.sock.close()
        self.sock = socket.create_connection((host, port), self._seconds)
        _keep_alive(self.sock)
        if self._ended.is_set():  # `cut` came while there was no socket to shut down
            raise self.abort("cut")
        if self._tls:
            self._encrypt(self._tls)

    def read(self, size: int) -> bytes:
        if size > MOST_LITERAL:
            raise self.abort("more was sent than was asked for")
        while len(self._buffer) < size:
            self._fill()
        return self._take(size)

    def readline(self) -> bytes:
        looked = 0
        while (end := self._buffer.find(b"\n", looked)) < 0:
            looked = len(self._buffer)
            if looked > MOST_LINE:
                raise self.abort("a line without an end")
            self._fill()
        return self._take(end + 1)

    def shutdown(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.close()

    # what we call

    @property
    def is_private(self) -> bool:
        """Whether the other end is this machine or in a private network."""
        return is_private(self.sock.getpeername()[0])

    @property
    def encrypted(self) -> bool:
        return isinstance(self.sock, ssl.SSLSocket)

    def start_tls(self, tls: ssl.SSLContext) -> None:
        kind, said = self._simple_command("STARTTLS")
        if kind != "OK":
            raise self.abort(f"STARTTLS refused: {said!r}")
        self._buffer.clear()
        self.untagged_responses = {}
        self._encrypt(tls)
        self._get_capabilities()

    def await_line(self, seconds: float) -> bool:
        """Whether a whole line came within `seconds`. It stays to be read."""
        until = time.monotonic() + seconds
        poll = select.poll()
        poll.register(self.sock.fileno(), select.POLLIN)
        while b"\n" not in self._buffer:
            left = until - time.monotonic()
            held = self.sock.pending() if isinstance(self.sock, ssl.SSLSocket) else 0
            if not held and (left <= 0 or not poll.poll(math.ceil(left * 1000))):
                return False
            self.sock.settimeout(0)
            try:
                self._fill()
            except (BlockingIOError, ssl.SSLWantReadError):
                continue  # half a TLS record, or one that carries no data
            finally:
                self.sock.settimeout(self._seconds)
        return True

    def cut(self) -> None:
        """End it from another thread: whatever the own thread waits for fails at once."""
        self._ended.set()
        with contextlib.suppress(OSError):
            # SSLSocket's own method would take TLS away below the other thread's feet.
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    # inside

    def _encrypt(self, tls: ssl.SSLContext) -> None:
        # The handshake is apart, so that `cut` finds the socket while it lasts.
        secured = tls.wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
        self.sock = secured
        secured.do_handshake()

    def _fill(self) -> None:
        piece = self.sock.recv(PIECE)
        if not piece:
            raise self.abort("socket error: EOF")
        self._buffer += piece

    def _take(self, size: int) -> bytes:
        taken = bytes(memoryview(self._buffer)[:size])
        del self._buffer[:size]
        return taken


def is_private(address: str) -> bool:
    """Whether an IP address is this machine's own or one of a private network."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return found.is_private


def _keep_alive(sock: socket.socket) -> None:
    idle, interval, count = KEEPALIVE
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # Not every system lets these be chosen.
    for name, value in (("TCP_KEEPIDLE", idle), ("TCP_KEEPINTVL", interval), ("TCP_KEEPCNT", count)):
        if (option := getattr(socket, name, None)) is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
