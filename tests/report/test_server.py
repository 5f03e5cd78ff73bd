"""One page, on this machine alone, for those who know its address."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from http.client import HTTPConnection
from pathlib import Path

import pytest

from torchdx.errors import CallError
from torchdx.report import server as module
from torchdx.report.server import Made, Pages, Server

POLICY = "default-src 'none'; style-src 'unsafe-inline'"


class Source:
    """What the page is made from: a number that can be changed, and a count of makings."""

    def __init__(self) -> None:
        self.number = self.made = 0
        self.failing = False

    def version(self) -> str:
        return str(self.number)

    def make(self) -> Made:
        self.made += 1
        if self.failing:
            raise ValueError("no page today")
        return Made(f"<p>page {self.number} äöü", self.version())


@pytest.fixture
def source(monkeypatch):
    monkeypatch.setattr(module, "EVERY_S", 0.0)
    monkeypatch.setattr(module, "SHARE", 1e9)
    return Source()


@pytest.fixture
def server(source):
    running = Server(Pages(source.version, source.make), policy=POLICY)
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


def ask(server, path=None, method="GET", **headers):
    """Status, headers and body of one request."""
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=5)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with contextlib.closing(connection):
        connection.request(method, f"/{server.token}/" if path is None else path, headers=named)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()


def test_who_knows_the_address_gets_the_page_and_nothing_may_keep_it(server):
    status, headers, body = ask(server)
    assert (status, body) == (200, "<p>page 0 äöü")
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Content-Security-Policy"] == POLICY
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert not [name for name in headers if name.lower().startswith("access-control")]
    assert "Python" not in headers["Server"]
    assert server.url == f"http://127.0.0.1:{server.server_port}/{server.token}/"
    assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize("path", ["/", "/favicon.ico", "/wrong/", "/../etc/passwd", "/%C3%A4"])
def test_another_address_is_not_found_and_nothing_is_told(server, source, path):
    status, _, body = ask(server, path)
    assert (status, body) == (404, "")
    assert source.made == 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "FOO"])
def test_nothing_can_be_done_but_read(server, source, method):
    status, headers, body = ask(server, method=method)
    assert (status, headers["Allow"], body) == (405, "GET, HEAD", "")
    assert source.made == 0


def test_head_is_answered_without_the_page(server):
    status, headers, body = ask(server, method="HEAD")
    assert (status, body) == (200, "")
    assert int(headers["Content-Length"]) == len("<p>page 0 äöü".encode())


def test_a_foreign_host_header_is_refused(server, source):
    port = server.server_port
    for host in (f"evil.example:{port}", "127.0.0.1", f"127.0.0.1:{port + 1}", ""):
        assert ask(server, Host=host)[0] == 421, host
    assert source.made == 0
    assert ask(server, Host=f"localhost:{port}")[0] == 200


def test_two_host_headers_are_refused(server):
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=5) as line:
        host = f"Host: 127.0.0.1:{server.server_port}\r\n"
        line.sendall(f"GET /{server.token}/ HTTP/1.1\r\n{host}{host}\r\n".encode())
        assert line.recv(100).split()[1] == b"421"


def test_the_same_page_is_answered_304_until_it_changes(server, source):
    tag = ask(server)[1]["ETag"]
    assert ask(server, If_None_Match=tag)[::2] == (304, "")
    assert source.made == 1
    source.number = 7
    status, headers, body = ask(server, If_None_Match=tag)
    assert (status, body) == (200, "<p>page 7 äöü")
    assert headers["ETag"] != tag
    assert source.made == 2


def test_a_page_that_cannot_be_made_is_answered_with_the_last(server, source, capsys):
    ask(server)
    source.number, source.failing = 1, True
    assert ask(server)[::2] == (200, "<p>page 0 äöü")
    assert ask(server)[::2] == (200, "<p>page 0 äöü")
    assert source.made == 2, "not tried again before something is new"
    assert capsys.readouterr().err.count("ValueError: no page today") == 1
    source.number, source.failing = 2, False
    assert ask(server)[2] == "<p>page 2 äöü"


def test_a_first_page_that_cannot_be_made_is_tried_again(server, source):
    source.failing = True
    assert ask(server)[0] == 503
    source.failing = False
    assert ask(server)[0] == 200


def test_pages_are_made_one_at_a_time_and_not_more_often_than_needed(monkeypatch):
    source, busy, most = Source(), [], []

    def make() -> Made:
        busy.append(1)
        most.append(len(busy))
        time.sleep(0.02)
        busy.pop()
        return source.make()

    pages = Pages(source.version, make)
    threads = [threading.Thread(target=pages.current) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (max(most), source.made) == (1, 1)
    source.number = 1
    pages.current()
    assert source.made == 1, "too soon"
    clock = time.monotonic() + module.EVERY_S + 1
    monkeypatch.setattr(module.time, "monotonic", lambda: clock)
    assert pages.current().version == "1"


def test_a_port_that_is_taken_is_told_in_one_message(server, source):
    port = server.server_port
    with pytest.raises(CallError, match=f"cannot listen on port {port} of 127.0.0.1: .*in use"):
        Server(Pages(source.version, source.make), port=port)
    with pytest.raises(CallError, match="cannot listen on port 70000"):
        Server(Pages(source.version, source.make), port=70_000)


PROGRAM = """
import sys
from torchdx.report.server import Made, serve
make, ready = lambda: Made("<p>", "1"), lambda url: print(url, flush=True)
sys.exit(serve(make, version=lambda: "1", ready=ready))
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_quietly(number, status):
    call = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        url = run.stdout.readline()
        port = int(re.search(r":(\d+)/", url)[1])
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
        time.sleep(0.2)
        os.kill(run.pid, number)
        said = run.communicate(timeout=10)
    assert (run.returncode, said) == (status, ("", ""))


def test_it_needs_no_torch():
    code = "import sys, torchdx.report.server; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path.cwd())
