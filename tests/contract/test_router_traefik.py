"""Traefik itself, asked over real sockets."""

from __future__ import annotations

import json
import math
import re
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from websockets.sync.client import connect as connect_websocket
from websockets.sync.server import ServerConnection
from websockets.sync.server import serve as serve_websocket

from paas.errors import RouterError
from paas.interfaces import LogQuery
from paas.model.events import silent
from paas.model.route import Certificate
from paas.model.secret import Secret
from paas.routers.traefik import TraefikRouter, ports, problem
from paas.routers.traefik import router as router_module
from tests.contract.router_lab import Answer, Lab, backends, lab
from tests.polling import until
from tests.ports import free_ports

pytestmark = pytest.mark.docker

ID = re.compile(r"[0-9a-f]{32}")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trust(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def certificate(authority: trustme.CA, *hosts: str) -> Certificate:
    made = authority.issue_cert(*hosts)
    chain = b"".join(part.bytes() for part in made.cert_chain_pems).decode()
    return Certificate(host=hosts[0], chain=chain, key=Secret(made.private_key_pem.bytes().decode()), names=hosts)


# --- switching -----------------------------------------------------------------------------------------------------


def test_when_apply_returns_only_the_new_servers_answer(traefik: Lab) -> None:
    with backends("old", "new") as (old, new):
        route = traefik.route(old)
        for server in (old, new) * 5:
            traefik.router.apply(replace(route, servers=(server.address,)))
            assert {traefik.ask(route.hosts[0]).name for _ in range(4)} == {server.name}


def test_a_server_with_a_long_queue_gets_nothing_new_until_it_has_caught_up(traefik: Lab) -> None:
    with backends("old", "new") as (old, new), ThreadPoolExecutor(20) as clients:
        route = traefik.route(old)
        traefik.router.apply(route)
        waiting = [clients.submit(traefik.ask, route.hosts[0], "/stream") for _ in range(20)]
        both = replace(route, servers=(old.address, new.address))
        assert until(lambda: traefik.router.in_flight(both.servers)[old.address] == 20)
        traefik.router.apply(both)

        def asked() -> set[str]:
            traefik.router.ease()
            return {traefik.ask(route.hosts[0]).name for _ in range(6)}

        assert until(lambda: asked() == {"new"})
        (seen,) = (one for one in traefik.router.observe() if one.app_id == route.app_id)
        assert set(seen.servers) == set(both.servers), "one that rests is still there"
        old.go_on.set()
        assert {answer.result(20).status for answer in waiting} == {200}
        assert until(lambda: asked() == {"old", "new"})


def test_a_server_that_starts_anew_leads_to_all_of_them(traefik: Lab) -> None:
    with backends("old", "new") as (old, new), ThreadPoolExecutor(20) as clients:
        route = traefik.route(old)
        traefik.router.apply(route)
        waiting = [clients.submit(traefik.ask, route.hosts[0], "/stream") for _ in range(20)]
        assert until(lambda: traefik.router.in_flight(route.servers)[old.address] == 20)
        traefik.router.apply(replace(route, servers=(old.address, new.address)))
        dynamic = traefik.settings.home / "traefik" / "routes" / "routes.yml"

        def rests() -> bool:
            traefik.router.ease()
            return "weight: 0" in dynamic.read_text()

        assert until(rests)
        TraefikRouter(traefik.settings).up(silent)
        assert "weight: 0" not in dynamic.read_text()
        assert until(lambda: {traefik.ask(route.hosts[0]).name for _ in range(6)} == {"old", "new"})
        old.go_on.set()
        assert {answer.result(20).status for answer in waiting} == {200}


def test_ten_switches_under_load_lose_no_request(traefik: Lab) -> None:
    with backends("one", "two") as (one, two):
        route = traefik.route(one)
        traefik.router.apply(route)
        done, failed, good = threading.Event(), [], []

        def load(keep: bool) -> None:
            connection = traefik.connect(route.hosts[0])
            while not done.is_set():
                try:
                    connection.request("GET", "/", headers={"Host": route.hosts[0]})
                    response = connection.getresponse()
                    response.read()
                    (good if response.status == 200 else failed).append(response.status)
                    if not keep:
                        connection.close()
                except OSError as error:
                    failed.append(error)
                    connection.close()
            connection.close()

        with ThreadPoolExecutor(3) as threads:
            for keep in (True, True, False):
                threads.submit(load, keep)
            try:
                for server in (two, one) * 5:
                    before = len(good)
                    traefik.router.apply(replace(route, servers=(server.address,)))
                    until(lambda before=before: len(good) > before + 20)
            finally:
                done.set()
        assert failed == []
        assert len(good) > 200


def test_many_apps_that_change_at_once_disturb_no_other(traefik: Lab) -> None:
    with backends("quiet", "busy") as (quiet, busy):
        still = traefik.route(quiet)
        traefik.router.apply(still)
        routes = [traefik.route(busy) for _ in range(20)]
        done, seen = threading.Event(), []

        def probe() -> None:
            while not done.is_set():
                seen.append(traefik.ask(still.hosts[0]).name)

        with ThreadPoolExecutor(11) as threads:
            asking = threads.submit(probe)
            try:
                list(threads.map(traefik.router.apply, routes))
                list(threads.map(lambda route: traefik.router.apply(replace(route, servers=())), routes))
                until(lambda: len(seen) > 20)
            finally:
                done.set()
            asking.result()
        assert set(seen) == {"quiet"}
        for route in routes:
            assert traefik.ask(route.hosts[0]).status == 503
            traefik.router.remove(route.app_id)
            assert traefik.ask(route.hosts[0]).status == 404


def test_a_dead_server_costs_nobody_a_request_not_even_an_upload(traefik: Lab) -> None:
    with backends("alive") as (alive,):
        route = traefik.route(alive, f"127.0.0.1:{free_ports(1)[0]}")
        traefik.router.apply(route)
        assert {traefik.ask(route.hosts[0]).status for _ in range(10)} == {200}
        body = b"x" * 3_000_000
        for _ in range(4):
            answer = traefik.ask(route.hosts[0], method="POST", body=body)
            assert json.loads(answer.body)["got"] == len(body)


def test_idle_connections_to_replicas_end_so_that_a_drain_can_be_told(traefik: Lab) -> None:
    with backends("one") as (one,):
        route = traefik.route(one)
        traefik.router.apply(route)
        traefik.ask(route.hosts[0])
        assert until(lambda: one.open == 0, 5.0)


def test_what_traefik_does_not_take_over_is_put_back(traefik: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    with backends("old", "new") as (old, new):
        route = traefik.route(old)
        traefik.router.apply(route)
        monkeypatch.setattr(router_module, "CONFIRM", 0.5)
        with traefik.docker() as client:
            client.pause(traefik.container)
            try:
                with pytest.raises(RouterError, match=r"within 0\.5 s"):
                    traefik.router.apply(replace(route, servers=(new.address,)))
            finally:
                client.unpause(traefik.container)
        assert until(lambda: route in traefik.router.observe())
        assert traefik.ask(route.hosts[0]).name == "old"


def test_a_host_of_another_app_is_refused_and_nothing_changes(traefik: Lab) -> None:
    with backends("mine", "other") as (mine, other):
        route = traefik.route(mine)
        traefik.router.apply(route)
        before = traefik.router.observe()
        with pytest.raises(RouterError, match="leads to"):
            traefik.router.apply(traefik.route(other, host=route.hosts[0]))
        with pytest.raises(RouterError):
            traefik.router.apply(traefik.route(other, host="a.com`) || Host(`b.com"))
        assert traefik.router.observe() == before
        assert traefik.ask(route.hosts[0]).name == "mine"


# --- hosts ---------------------------------------------------------------------------------------------------------


def test_an_unknown_host_gets_a_404_page_with_a_request_id(traefik: Lab) -> None:
    with backends("app") as (app,):
        traefik.router.apply(traefik.route(app))
        for host in ("nobody.localhost", "localhost", "127.0.0.1", "a.b.c.example.com"):
            answer = traefik.ask(host)
            assert answer.status == 404
            assert answer.headers["x-request-id"] in answer.body.decode()


def test_an_app_without_servers_gets_an_honest_503_page(traefik: Lab) -> None:
    route = traefik.route()
    traefik.router.apply(route)
    plain, page = traefik.ask(route.hosts[0]), traefik.ask(route.hosts[0], Accept="text/html,*/*")
    for answer in (plain, page):
        assert answer.status == 503
        assert answer.headers["retry-after"]
        assert "not running" in answer.body.decode()
        assert answer.headers["x-request-id"] in answer.body.decode()
    assert page.headers["content-type"].startswith("text/html")
    assert plain.headers["content-type"].startswith("text/plain")


def test_a_wildcard_is_one_label_and_gives_way_to_an_exact_host(traefik: Lab) -> None:
    with backends("wild", "deep", "exact") as (wild, deep, exact):
        traefik.router.apply(traefik.route(wild, host="*.w.example.com"))
        traefik.router.apply(traefik.route(deep, host="*.a.w.example.com"))
        traefik.router.apply(traefik.route(exact, host="b.w.example.com"))
        assert traefik.ask("x.w.example.com").name == "wild"
        assert traefik.ask("X.W.EXAMPLE.COM").name == "wild"
        assert traefik.ask("y.a.w.example.com").name == "deep"
        assert traefik.ask("b.w.example.com").name == "exact"
        assert traefik.ask("w.example.com").status == 404
        assert traefik.ask("y.z.w.example.com").status == 404


# --- what passes -----------------------------------------------------------------------------------------------------


def test_every_request_has_an_id_that_app_client_and_log_share(traefik: Lab) -> None:
    with backends("app") as (app,):
        route = traefik.route(app)
        traefik.router.apply(route)
        first, second = traefik.ask(route.hosts[0]), traefik.ask(route.hosts[0])
        for answer in (first, second):
            assert ID.fullmatch(answer.headers["x-request-id"])
            assert answer.seen["X-Request-Id"] == answer.headers["x-request-id"]
        assert first.headers["x-request-id"] != second.headers["x-request-id"]
        assert until(lambda: any(first.headers["x-request-id"] in line for line in lines(traefik, route.app_id)))


@pytest.mark.parametrize(("given", "kept"), [("build-1234.a_b", True), ("short", False), ("x" * 129, False),
                                             ("with space and id=fake", False), ("quote\"quote", False)])  # fmt: skip
def test_a_clients_own_id_is_kept_when_it_is_harmless(traefik: Lab, given: str, kept: bool) -> None:
    with backends("app") as (app,):
        route = traefik.route(app)
        traefik.router.apply(route)
        answer = traefik.ask(route.hosts[0], X_Request_Id=given)
        assert (answer.seen["X-Request-Id"] == given) is kept


def test_what_a_client_says_about_its_address_is_not_believed(traefik: Lab) -> None:
    with backends("app") as (app,):
        route = traefik.route(app)
        traefik.router.apply(route)
        connection = traefik.connect(route.hosts[0])
        given = {"Host": route.hosts[0], "X-Forwarded-For": "6.6.6.6", "X_Forwarded_For": "6.6.6.6",
                 "X-Forwarded-Proto": "https", "X-Real-Ip": "6.6.6.6"}  # fmt: skip
        connection.request("GET", "/a%2Fb?q=1", headers=given)
        answer = Answer(200, {}, connection.getresponse().read())
        connection.close()
        assert "6.6.6.6" not in json.dumps(answer.seen)
        assert answer.seen["X-Forwarded-For"] == "127.0.0.1"
        assert answer.seen["X-Forwarded-Proto"] == "http"
        assert answer.seen["Host"] == route.hosts[0]
        assert json.loads(answer.body)["path"] == "/a%2Fb?q=1"


def test_a_streamed_answer_arrives_piece_by_piece(traefik: Lab) -> None:
    with backends("app") as (app,):
        route = traefik.route(app)
        traefik.router.apply(route)
        connection = traefik.connect(route.hosts[0])
        connection.request("GET", "/stream", headers={"Host": route.hosts[0]})
        response = connection.getresponse()
        assert response.read(5) == b"first"
        app.go_on.set()
        assert response.read() == b"last"
        connection.close()


def test_websockets_pass_and_survive_a_change_of_routes(traefik: Lab) -> None:
    def echo(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(f"{connection.request.headers['X-Request-Id']} {message}")

    with serve_websocket(echo, "127.0.0.1", 0) as server, backends("other") as (other,):
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        route = traefik.route(f"127.0.0.1:{server.socket.getsockname()[1]}")
        traefik.router.apply(route)
        plain = socket.create_connection(("127.0.0.1", traefik.settings.http_port))
        with connect_websocket(f"ws://{route.hosts[0]}/ws", sock=plain) as client:
            client.send("one")
            assert ID.match(first := str(client.recv(10)))
            traefik.router.apply(replace(route, servers=(other.address,)))
            client.send("two")
            assert client.recv(10) == first.replace("one", "two")
        server.shutdown()
        thread.join(10)


# --- https -----------------------------------------------------------------------------------------------------------


def test_https_serves_the_certificate_and_http_redirects(
    traefik: Lab, authority: trustme.CA, trust: ssl.SSLContext
) -> None:
    with backends("app") as (app,):
        route = traefik.route(app, host="secure.example.com", tls_hosts=("secure.example.com",))
        route = replace(route, hosts=("secure.example.com", "plain.example.com"))
        traefik.router.certificates([certificate(authority, "secure.example.com")])
        traefik.router.apply(route)
        assert traefik.ask("secure.example.com", trust=trust).seen["X-Forwarded-Proto"] == "https"
        redirect = traefik.ask("secure.example.com", "/a?b=1")
        assert redirect.status in (302, 307)
        assert redirect.headers["location"] == f"https://secure.example.com:{traefik.settings.https_port}/a?b=1"
        assert traefik.ask("plain.example.com").name == "app"
        traefik.router.apply(replace(route, tls_hosts=()))
        assert traefik.ask("secure.example.com").name == "app"
        assert traefik.ask("secure.example.com", trust=trust).status == 404
        traefik.router.remove(route.app_id)


def test_a_certificate_is_swapped_under_open_connections(
    traefik: Lab, authority: trustme.CA, trust: ssl.SSLContext
) -> None:
    host = "swap.example.com"
    with backends("app") as (app,):
        first, second = certificate(authority, host), certificate(authority, host)
        route = traefik.route(app, host=host, tls_hosts=(host,))
        traefik.router.certificates([first])
        traefik.router.apply(route)
        connection = traefik.connect(host, trust)
        before = connection.sock.getpeercert(binary_form=True)
        traefik.router.certificates([second])
        connection.request("GET", "/", headers={"Host": host})
        assert connection.getresponse().read()
        connection.close()
        again = traefik.connect(host, trust)
        assert again.sock.getpeercert(binary_form=True) != before
        again.close()
        keys = list((traefik.settings.home / "traefik" / "certs").glob("*.key"))
        assert len(keys) == 1
        assert keys[0].stat().st_mode & 0o777 == 0o600
        traefik.router.remove(route.app_id)


def test_an_unknown_host_by_https_gets_no_apps_certificate(
    traefik: Lab, authority: trustme.CA, trust: ssl.SSLContext
) -> None:
    traefik.router.certificates([certificate(authority, "known.example.com")])
    with pytest.raises(ssl.SSLCertVerificationError):
        traefik.ask("unknown.example.com", trust=trust)


# --- what is told ----------------------------------------------------------------------------------------------------


def lines(traefik: Lab, app_id: str) -> list[str]:
    return [line.text for line in traefik.router.logs(app_id, LogQuery(lines=0))]


def test_traffic_is_counted_also_when_nothing_runs(traefik: Lab) -> None:
    with backends("app") as (app,):
        route = traefik.route(app)
        traefik.router.apply(route)
        for _ in range(3):
            traefik.ask(route.hosts[0])
        traefik.router.apply(replace(route, servers=()))
        traefik.ask(route.hosts[0])

        def counted() -> dict[str, int]:
            return next((one.requests for one in traefik.router.traffic() if one.app_id == route.app_id), {})

        assert until(lambda: counted() == {"2xx": 3, "5xx": 1}), counted()


def test_an_app_that_answers_with_hundreds_of_statuses_is_named_and_keeps_nobody_from_being_counted(
    traefik: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    with backends("odd", "other") as (odd, other):
        routes = traefik.route(odd), traefik.route(other)
        for route in routes:
            traefik.router.apply(route)
        for status in range(400, 1000):
            traefik.ask(routes[0].hosts[0], f"/status/{status}")
        traefik.ask(routes[1].hosts[0])

        def counted() -> list[tuple[int, int]]:
            found = {one.app_id: one for one in traefik.router.traffic()}
            known = [found[route.app_id] for route in routes if route.app_id in found]
            return [(sum(one.requests.values()), one.buckets[math.inf]) for one in known]

        assert until(lambda: counted() == [(600, 600), (1, 1)]), counted()
        told = [one.getMessage() for one in caplog.records if one.name == "paas.traefik"]
        assert len(told) == 1
        assert told[0].startswith(f"{routes[0].app_name} has answered with ")


def test_access_lines_are_the_apps_own_and_hold_no_query(traefik: Lab) -> None:
    with backends("app", "other") as (app, other):
        mine, theirs = traefik.route(app), traefik.route(other)
        traefik.router.apply(mine)
        traefik.router.apply(theirs)
        for path in ("/one?token=geheim", "/two", "/three"):
            traefik.ask(mine.hosts[0], path)
        traefik.ask(theirs.hosts[0], "/theirs")
        assert until(lambda: len(lines(traefik, mine.app_id)) == 3)
        text = "\n".join(lines(traefik, mine.app_id))
        assert f"GET {mine.hosts[0]}/one 200" in text
        assert app.address in text
        assert "geheim" not in text
        assert "theirs" not in text
        last = list(traefik.router.logs(mine.app_id, LogQuery(lines=1)))
        assert ["/three" in line.text for line in last] == [True]


def test_followed_lines_come_once_and_as_they_happen(traefik: Lab) -> None:
    with backends("app") as (app,):
        route = traefik.route(app)
        traefik.router.apply(route)
        traefik.ask(route.hosts[0], "/before")
        until(lambda: lines(traefik, route.app_id))
        followed = traefik.router.logs(route.app_id, LogQuery(lines=10, follow=True))
        assert "/before" in next(followed).text
        traefik.ask(route.hosts[0], "/after")
        assert "/after" in next(followed).text
        followed.close()  # type: ignore[attr-defined]


def test_the_routers_own_lines_warn_of_nothing(traefik: Lab) -> None:
    text = lines(traefik, "")
    assert any("Traefik version" in line for line in text)
    assert [line for line in text if line.startswith(("WARN", "ERROR"))] == []


def test_traefik_has_nothing_to_complain_about(traefik: Lab) -> None:
    assert problem(traefik.router) == ""


def test_api_and_metrics_listen_on_loopback_only(tmp_path: Path) -> None:
    with lab(tmp_path, bind="0.0.0.0") as made:
        told = ports.listener(made.settings.traefik_port)
        served = ports.listener(made.settings.http_port)
        assert told is not None
        assert told.address == "127.0.0.1"
        assert served is not None
        assert "traefik" in served.owner
        assert made.ask("any", "/api/rawdata").status == made.ask("any", "/metrics").status == 404
