"""Shows one page on this machine, made anew as the run goes on.

It answers GET and HEAD at one address, `http://127.0.0.1:PORT/TOKEN/`, and nothing else. The token
is random, and the Host header has to name this machine, so that neither another user nor a page
in the browser comes to read it. Nothing may be stored, so that the browser keeps no ETag either:
who asks again sends the last in `If-None-Match`, and is answered 304 while the page is the same.
"""

import contextlib
import secrets
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, NamedTuple

from torchdx.errors import CallError
from torchdx.report.stopping import until_stopped

HERE = "127.0.0.1"
EVERY_S = 1.0  # a page is not made more often
SHARE = 0.2  # of a core that making pages may take, about
IDLE_S = 10.0  # for a request to arrive whole
POLICY = "default-src 'none'"


class Made(NamedTuple):
    """A page, and the version of what it shows."""

    html: str
    version: str


class Pages:
    """Has the page made when what it shows has changed, by one thread at a time.

    Args:
        version: what the page would show if it were made now, cheaply told.
        make: makes it.
    """

    def __init__(self, version: Callable[[], str], make: Callable[[], Made]) -> None:
        self._version, self._make = version, make
        self._lock = threading.Lock()
        self._last: Made | None = None
        self._tried = ""
        self._not_before = 0.0
        self._failure = ""

    def current(self) -> Made | None:
        """The page as it is now, or as it last could be made; None when it never could."""
        with self._lock:
            if time.monotonic() >= self._not_before:
                self._renew()
            return self._last

    def _renew(self) -> None:
        began = time.monotonic()
        try:
            version = self._version()
            if version in (self._tried, self._last and self._last.version):
                return
            self._tried = version if self._last else ""  # the first is tried until it comes
            self._last = self._make()
        except Exception as error:  # noqa: BLE001  # the last page stays
            self._tell(f"the page could not be made: {type(error).__name__}: {error}")
        now = time.monotonic()
        self._not_before = now + max(EVERY_S, (now - began) / SHARE)

    def _tell(self, failure: str) -> None:
        """Say it once."""
        if failure != self._failure:
            self._failure = failure
            with contextlib.suppress(OSError, ValueError):
                print(f"torchdx: {failure}", file=sys.stderr)  # noqa: T201


class Server(ThreadingHTTPServer):
    """Listens from when it is made; `run` answers.

    Args:
        pages: what it shows.
        policy: the Content-Security-Policy of the page.
        port: to listen on; 0 for any that is free.

    Raises:
        CallError: the port cannot be had.
    """

    allow_reuse_port = False

    def __init__(self, pages: Pages, *, policy: str = POLICY, port: int = 0) -> None:
        self.pages, self.policy = pages, policy
        self.token = secrets.token_urlsafe()
        try:
            super().__init__((HERE, port), _Handler)
        except (OSError, OverflowError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            msg = (
                f"cannot listen on port {port} of {HERE}: {why}. "
                "Name another, or leave --port out for one that is free."
            )
            raise CallError(msg) from None

    def server_bind(self) -> None:
        """Bind, without asking for the machine's name, which can take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HERE, self.server_address[1]

    @property
    def url(self) -> str:
        """Where the page stands."""
        return f"http://{HERE}:{self.server_port}/{self.token}/"

    @property
    def hosts(self) -> set[str]:
        """The Host headers that are answered."""
        return {f"{name}:{self.server_port}" for name in (HERE, "localhost")}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the midst of an answer is nothing to speak of."""

    def run(self) -> int:
        """Answer until Ctrl-C (130) or SIGTERM (143); returns the exit status."""
        with self:
            return until_stopped(self._forever)

    def _forever(self) -> int:
        self.serve_forever(poll_interval=0.2)
        return 0


def serve(
    make: Callable[[], Made],
    *,
    version: Callable[[], str],
    ready: Callable[[str], object],
    policy: str = POLICY,
    port: int = 0,
) -> int:
    """Show a page until Ctrl-C (130) or SIGTERM (143); returns the exit status.

    Args:
        make: makes the page; called by one thread at a time, only after its version has changed.
        version: of what the page would show now; called often, by one thread at a time.
        ready: told the address as soon as it is answered.
        policy: the Content-Security-Policy of the page.
        port: to listen on; 0 for any that is free.

    Raises:
        CallError: the port cannot be had.
    """
    server = Server(Pages(version, make), policy=policy, port=port)
    ready(server.url)
    return server.run()


class _Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: Server
    timeout = IDLE_S

    def do_GET(self) -> None:
        """The page, or that it is the same."""
        if self.headers.get_all("Host", []) not in [[host] for host in self.server.hosts]:
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return
        path = self.path.partition("?")[0].strip("/").encode()
        if not secrets.compare_digest(path, self.server.token.encode()):
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        page = self.server.pages.current()
        if page is None:
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE)
            return
        tag = f'"{page.version}"'
        if self.headers.get("If-None-Match") in (tag, f"W/{tag}"):
            self._answer(HTTPStatus.NOT_MODIFIED, ETag=tag)
            return
        kind = {"Content-Type": "text/html; charset=utf-8"}
        policy = {"Content-Security-Policy": self.server.policy}
        self._answer(HTTPStatus.OK, page.html.encode(), ETag=tag, **kind, **policy)

    def do_HEAD(self) -> None:
        """The same, less the page itself."""
        self.do_GET()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """A bare status; methods other than GET and HEAD are not allowed."""
        del message, explain
        if code == HTTPStatus.NOT_IMPLEMENTED:
            self._answer(HTTPStatus.METHOD_NOT_ALLOWED, Allow="GET, HEAD")
        else:
            self._answer(HTTPStatus(code))

    def _answer(self, status: HTTPStatus, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        headers |= {
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }
        for name, value in headers.items():
            self.send_header(name, value)
        if status is not HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        """Told as the server's name."""
        return "torchdx"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # http.server's name
        """Nothing: the terminal is the user's."""
