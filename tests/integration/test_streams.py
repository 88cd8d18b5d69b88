"""Logs, exec, attach, port-forward and proxies, as kubectl and the Python client use them."""

from __future__ import annotations

import gc
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import kubernetes
import pytest
from kubernetes.stream import portforward, stream
from served_api import Kubectl, Served

from canary_tutorial.lab import kinds

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Page(BaseHTTPRequestHandler):
    """What runs in the pod: echoes, and a redirect."""

    def do_GET(self) -> None:
        if self.path == "/":
            self.send_response(302)
            self.send_header("Location", "/graph?g0=1")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        length = int(self.headers.get("Content-Length", 0))
        sent = self.rfile.read(length).decode()
        body = f"{self.command} {self.path} {sent} {self.headers.get('Authorization')}".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def page() -> Iterator[int]:
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield httpd.server_port
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@pytest.fixture
def core(server: Served) -> Iterator[kubernetes.client.CoreV1Api]:
    with kubernetes.config.new_client_from_config(str(server.kubeconfig)) as client:
        yield kubernetes.client.CoreV1Api(client)
    gc.collect()  # that client leaves its WebSocket open: let it be noticed here, where it is ignored


def write_log(server: Served, name: str, *texts: str) -> Path:
    path = server.directory / name
    with path.open("a") as file:
        for i, text in enumerate(texts):
            file.write(f"2026-11-23T10:00:{i:02}.123456789Z stdout F {text}\n")
    return path


def test_kubectl_logs_shows_what_the_container_wrote(server: Served, kubectl: Kubectl) -> None:
    server.pod("web", ("app", "istio-proxy"))
    write_log(server, "web_app.log", "one", "two", "three")
    write_log(server, "web_app_previous.log", "before the crash")
    assert kubectl("logs", "-n", "test", "web", "-c", "app").stdout == "one\ntwo\nthree\n"
    assert kubectl("logs", "-n", "test", "web", "-c", "app", "--tail=2").stdout == "two\nthree\n"
    assert kubectl("logs", "-n", "test", "web", "-c", "app", "--tail=0").stdout == ""
    assert kubectl("logs", "-n", "test", "web", "-c", "app", "--limit-bytes=5").stdout == "one\nt"
    assert kubectl("logs", "-n", "test", "web", "-c", "app", "--previous").stdout == "before the crash\n"
    assert kubectl("logs", "-n", "test", "web", "-c", "app", "--since-time=2026-11-23T10:00:02Z").stdout == "three\n"
    stamped = kubectl("logs", "-n", "test", "web", "-c", "app", "--timestamps", "--tail=1").stdout
    assert stamped == "2026-11-23T10:00:02.123456789Z three\n"


def test_logs_of_a_container_that_is_not_there_says_so(server: Served, kubectl: Kubectl) -> None:
    server.pod("web", ("app", "istio-proxy"))
    refused = kubectl("logs", "-n", "test", "web", "-c", "nope", ok=False)
    assert "container nope is not valid for pod web" in refused.stderr
    assert 'pods "none" not found' in kubectl("logs", "-n", "test", "none", ok=False).stderr
    assert "is waiting to start" in kubectl("logs", "-n", "test", "web", "-c", "app", ok=False).stderr


def test_logs_follow_until_the_container_ends(server: Served, kubectl: Kubectl) -> None:
    server.pod("web")
    server.node.running.add("app")
    write_log(server, "web_app.log", "first")

    def later() -> None:
        time.sleep(0.4)
        write_log(server, "web_app.log", "second")
        time.sleep(0.3)
        server.node.running.clear()

    writer = threading.Thread(target=later)
    writer.start()
    assert kubectl("logs", "-n", "test", "-f", "web").stdout == "first\nsecond\n"
    writer.join()


def test_exec_carries_output_errors_and_the_exit_code(server: Served, kubectl: Kubectl) -> None:
    server.pod("web")
    done = kubectl("exec", "-n", "test", "web", "--", "sh", "-c", "echo out; echo err >&2; exit 3", ok=False)
    assert (done.stdout, done.returncode) == ("out\n", 3)
    assert done.stderr == "err\ncommand terminated with exit code 3\n"
    assert kubectl("exec", "-n", "test", "web", "--", "echo", "fine").stdout == "fine\n"


def test_exec_passes_standard_input_to_its_end(server: Served, kubectl: Kubectl) -> None:
    server.pod("web")
    text = "".join(f"line {i}\n" for i in range(20_000))
    assert kubectl("exec", "-i", "-n", "test", "web", "--", "cat", stdin=text).stdout == text
    assert kubectl("attach", "-i", "-n", "test", "web", stdin="hello\n").stdout.endswith("hello\n")


def test_exec_of_a_missing_program_or_pod_explains_itself(server: Served, kubectl: Kubectl) -> None:
    server.pod("web")
    server.pod("done", phase="Succeeded")
    assert "No such file" in kubectl("exec", "-n", "test", "web", "--", "/no/such", ok=False).stderr
    assert "completed pod" in kubectl("exec", "-n", "test", "done", "--", "true", ok=False).stderr
    assert 'pods "none" not found' in kubectl("exec", "-n", "test", "none", "--", "true", ok=False).stderr


def test_cp_copies_a_file_there_and_back(server: Served, kubectl: Kubectl, tmp_path: Path) -> None:
    server.pod("web")
    source, back = tmp_path / "source.txt", tmp_path / "back.txt"
    source.write_text("content\n" * 1000)
    (tmp_path / "inside").mkdir()
    kubectl("cp", str(source), f"test/web:{tmp_path}/inside/copied.txt")
    assert (tmp_path / "inside/copied.txt").read_text() == source.read_text()
    kubectl("cp", f"test/web:{tmp_path}/inside/copied.txt", str(back))
    assert back.read_text() == source.read_text()


def test_the_python_client_execs_and_reads_logs(server: Served, core: kubernetes.client.CoreV1Api) -> None:
    server.pod("web")
    write_log(server, "web_app.log", "one")
    assert core.read_namespaced_pod_log("web", "test") == "one\n"
    socket = stream(core.connect_get_namespaced_pod_exec, "web", "test", command=["sh", "-c", "echo out; exit 7"],
                    stdout=True, stderr=True, stdin=False, tty=False, _preload_content=False)  # fmt: skip
    socket.run_forever(timeout=10)
    assert (socket.read_stdout(), socket.returncode) == ("out\n", 7)


def test_kubectl_port_forward_carries_many_requests(server: Served, kubectl: Kubectl, page: int) -> None:
    server.pod("web", port=page)
    forwarding = subprocess.Popen(["kubectl", "port-forward", "-n", "test", "pod/web", f":{page}"],
                                  env=server.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True)  # fmt: skip
    try:
        assert forwarding.stdout
        line = forwarding.stdout.readline()
        assert line.startswith("Forwarding from 127.0.0.1:"), line
        local = int(line.split("127.0.0.1:")[1].split(" ")[0])
        for i in range(20):
            with urllib.request.urlopen(f"http://127.0.0.1:{local}/n/{i}", timeout=10) as answer:
                assert answer.read().decode().startswith(f"GET /n/{i}")
    finally:
        forwarding.kill()
        forwarding.communicate()


def test_the_python_client_forwards_a_port(server: Served, core: kubernetes.client.CoreV1Api, page: int) -> None:
    server.pod("web", port=page)
    forward = portforward(core.connect_get_namespaced_pod_portforward, "web", "test", ports=str(page))
    socket = forward.socket(page)
    socket.settimeout(10)
    socket.sendall(b"GET /x HTTP/1.0\r\n\r\n")
    answer = b""
    while data := socket.recv(4096):
        answer += data
    assert b"GET /x" in answer
    socket.close()


def endpoints(server: Served, page: int) -> None:
    server.pod("web", port=page)
    ports = [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]
    service = {"metadata": {"name": "web", "namespace": "test"}, "spec": {"ports": ports, "type": "ClusterIP"}}
    server.call(server.store.create, kinds.SERVICES, service)
    address = {"ip": "127.9.9.9", "targetRef": {"kind": "Pod", "name": "web", "namespace": "test"}}
    subsets = [{"addresses": [address], "ports": [{"name": "http", "port": page, "protocol": "TCP"}]}]
    server.call(
        server.store.create, kinds.ENDPOINTS, {"metadata": {"name": "web", "namespace": "test"}, "subsets": subsets}
    )


def test_the_service_proxy_reaches_the_program_and_bends_its_redirects(
    server: Served, core: kubernetes.client.CoreV1Api, kubectl: Kubectl, page: int
) -> None:
    endpoints(server, page)
    root = "/api/v1/namespaces/test/services"
    assert kubectl("get", "--raw", f"{root}/web:http/proxy/api/v1/query?query=up%7Ba%3D%22b%22%7D").stdout == (
        "GET /api/v1/query?query=up%7Ba%3D%22b%22%7D  None"
    )
    assert kubectl("get", "--raw", f"{root}/http:web:80/proxy/a/b").stdout == "GET /a/b  None"
    assert kubectl("get", "--raw", f"{root}/web/proxy/").stdout == "GET /graph?g0=1  None"
    assert kubectl("get", "--raw", f"/api/v1/namespaces/test/pods/web:{page}/proxy/x").stdout == "GET /x  None"
    assert "POST /post?a=b body" in server.http("POST", f"{root}/web/proxy/post?a=b", b"body").text
    assert "GET /a%2Fb " in server.http("GET", f"{root}/web/proxy/a%2Fb").text
    assert server.http("GET", f"{root}/web/proxy").headers["Location"] == f"{root}/web/proxy/"
    redirect = server.http("GET", f"{root}/web/proxy/")
    assert (redirect.status_code, redirect.headers["Location"]) == (302, f"{root}/web/proxy/graph?g0=1")
    assert core.connect_get_namespaced_service_proxy_with_path("web:80", "test", "y").startswith("GET /y")


def test_a_name_may_begin_with_the_word_proxy(server: Served, page: int) -> None:
    server.pod("proxy-demo", port=page)
    path = f"/api/v1/namespaces/test/pods/proxy-demo:{page}/proxy"
    assert server.http("GET", f"{path}/proxy/x?a=/proxy/").text.startswith("GET /proxy/x?a=/proxy/ ")
    assert server.http("GET", path).headers["Location"] == f"{path}/"
    assert server.http("GET", "/api/v1/namespaces/test/services/proxy-none/proxy/x").status_code == 404


def test_the_service_proxy_says_why_it_cannot_reach_a_program(server: Served, kubectl: Kubectl) -> None:
    service = {"metadata": {"name": "web", "namespace": "test"}, "spec": {"ports": [{"port": 80}], "type": "ClusterIP"}}
    server.call(server.store.create, kinds.SERVICES, service)
    root = "/api/v1/namespaces/test/services"
    assert 'no endpoints available for service "web"' in kubectl("get", "--raw", f"{root}/web/proxy/", ok=False).stderr
    assert 'services "none" not found' in kubectl("get", "--raw", f"{root}/none/proxy/", ok=False).stderr
    server.pod("dead", port=1)
    refused = kubectl("get", "--raw", "/api/v1/namespaces/test/pods/dead:1/proxy/", ok=False).stderr
    assert "error trying to reach service" in refused
