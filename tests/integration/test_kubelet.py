"""Pods as people know them, seen with kubectl on a whole lab: rollouts, probes, crashes, volumes, exec, deletion.

One lab for all tests. Pods that need time to get into trouble are started together, and each test looks at its own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

Obj = dict[str, Any]
KUBECTL = shutil.which("kubectl")
pytestmark = pytest.mark.skipif(KUBECTL is None, reason="kubectl is not on PATH")

WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: test, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: podinfod
        image: stefanprodan/podinfo:2.0.0
        ports: [{containerPort: 9898, name: http}]
        readinessProbe: {httpGet: {path: /readyz, port: http}, periodSeconds: 1, failureThreshold: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: test}
spec: {selector: {app: web}, ports: [{port: 9898, targetPort: http, name: http}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: test}
data: {LEVEL: debug, greeting.txt: "hello from a file\\n"}
---
apiVersion: v1
kind: Secret
metadata: {name: login, namespace: test}
stringData: {password: s3cret}
"""
PODS: dict[str, Obj] = {
    "unknown-tag": {"image": "stefanprodan/podinfo:9.9.9"},
    "crashing": {"command": ["sh", "-c", "echo run; echo oops >&2; exit 7"]},
    "nothing-there": {"command": ["no-such-program"]},
    "unhealthy": {
        "args": ["--unhealthy"],
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": 9898}, "periodSeconds": 1, "failureThreshold": 2},
    },
    "unready": {
        "args": ["--unready"],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": 9898}, "periodSeconds": 1, "failureThreshold": 1},
    },
    "slow-start": {
        "command": ["sh", "-c", "sleep 1.5; touch $HOME/up; sleep 1000"],
        "startupProbe": {"exec": {"command": ["sh", "-c", "test -e $HOME/up"]}, "periodSeconds": 1},
        "readinessProbe": {"exec": {"command": ["true"]}, "periodSeconds": 1},
    },
    "listening": {"readinessProbe": {"tcpSocket": {"port": 9898}}},
    "home": {  # as Flagger's load tester and podinfo have it in their own manifests
        "readinessProbe": {"exec": {"command": ["podcli", "check", "http", "localhost:9898/readyz"]}},
        "livenessProbe": {
            "exec": {"command": ["sh", "-c", "curl -fsS http://localhost:9898/healthz && curl -fsS 127.0.0.1:9898"]},
            "periodSeconds": 1,
        },
        "startupProbe": {"httpGet": {"path": "/healthz", "port": 9898, "host": "localhost"}},
    },
    "environment": {
        "command": ["sh", "-c", "env; cat /etc/settings/greeting.txt; cat /etc/login/password; echo; sleep 1000"],
        "args": [],
        "env": [
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "login", "key": "password"}}},
            {"name": "BOTH", "value": "$(POD) $(PASSWORD) $(UNKNOWN)"},
        ],
        "envFrom": [{"configMapRef": {"name": "settings"}}],
        "volumeMounts": [
            {"name": "settings", "mountPath": "/etc/settings"},
            {"name": "login", "mountPath": "/etc/login"},
        ],
    },
    "waiting": {"envFrom": [{"configMapRef": {"name": "not-there-yet"}}]},
    "loud": {"command": ["sh", "-c", "n=0; while :; do n=$((n+1)); echo line $n; sleep 0.1; done"]},
    "stubborn": {"command": ["sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"]},
    "shell": {"command": ["sleep", "1000"]},
}
VOLUMES = [
    {"name": "settings", "configMap": {"name": "settings"}},
    {"name": "login", "secret": {"secretName": "login"}},
]


def pod(name: str, container: Obj, **spec: object) -> Obj:
    spec = {
        "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "app", "image": "podinfo:2.0.0"} | container],
    } | spec
    if "volumeMounts" in container:
        spec["volumes"] = VOLUMES
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "test"}, "spec": spec}


@dataclass
class Kubectl:
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        config = str(self.home / "lab" / "kubeconfig")
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), "KUBECONFIG": config}

    def words(self, line: str) -> list[str]:
        assert KUBECTL
        return [KUBECTL, "-n", "test", *line.split()]

    def __call__(self, line: str, *more: str, stdin: str | None = None, ok: bool = True) -> str:
        """Run `kubectl -n test LINE MORE`; what it printed."""
        done = subprocess.run(
            [*self.words(line), *more], input=stdin, env=self.environment, capture_output=True, text=True, timeout=60
        )
        assert not ok or done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def get(self, what: str) -> Obj:
        found: Obj = json.loads(self(f"get {what} -o json"))
        return found

    def state(self, name: str) -> Obj:
        """The status of a pod's only container."""
        statuses = self.get(f"pod {name}").get("status", {}).get("containerStatuses") or [{}]
        found: Obj = statuses[0]
        return found

    def reasons(self, name: str) -> dict[str, str]:
        """reason -> message of the events about an object."""
        events = self.get("events")["items"]
        return {e["reason"]: e["message"] for e in events if e["involvedObject"]["name"] == name}

    def start(self, line: str, **streams: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self.words(line), env=self.environment, **streams)


def eventually(check: Callable[[], Any], seconds: float = 30) -> Any:
    """Wait until `check` returns something true, and return that."""
    end = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    home = tmp_path_factory.mktemp("kubelet")
    environment = {**os.environ, "CANARY_TUTORIAL_HOME": str(home)}
    command = [sys.executable, "-m", "canary_tutorial.lab"]
    subprocess.run([*command, "up"], env=environment, check=True, capture_output=True, timeout=60)
    run = Kubectl(home)
    try:
        run("create namespace test")
        run("apply -f -", stdin=WEB)
        pods = [pod(name, container) for name, container in PODS.items()]
        job = pod("once", {"command": ["sh", "-c", "echo done"]}, restartPolicy="Never")
        steps = [{"name": f"step-{n}", "image": "podinfo:2.0.0", "command": ["sh", "-c", f"echo {n}"]} for n in (1, 2)]
        prepared = pod("prepared", {}, initContainers=steps)
        run("apply -f -", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": [*pods, job, prepared]}))
        run("rollout status deployment/web --timeout=30s")
        yield run
    finally:
        subprocess.run([*command, "down"], env=environment, check=True, capture_output=True, timeout=60)


# -- trouble


def test_an_unknown_tag_cannot_be_pulled(kubectl: Kubectl) -> None:
    waiting = eventually(lambda: kubectl.state("unknown-tag").get("state", {}).get("waiting"))
    assert waiting["reason"] in ("ErrImagePull", "ImagePullBackOff")
    eventually(lambda: "ImagePullBackOff" in kubectl("get pod unknown-tag"))

    reasons = kubectl.reasons("unknown-tag")
    assert reasons["Pulling"] == 'Pulling image "stefanprodan/podinfo:9.9.9"'
    assert reasons["BackOff"] == 'Back-off pulling image "stefanprodan/podinfo:9.9.9"'
    assert "trying and failing to pull image" in kubectl("logs unknown-tag", ok=False)


def test_a_crashing_container_backs_off_and_tells_what_it_said(kubectl: Kubectl) -> None:
    eventually(lambda: "CrashLoopBackOff" in kubectl("get pod crashing"))

    state = kubectl.state("crashing")
    ended = state["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (7, "Error")
    assert state["restartCount"] >= 1
    assert re.fullmatch(
        r"back-off 10s restarting failed container=app pod=crashing_test\(.+\)", state["state"]["waiting"]["message"]
    )
    assert kubectl("logs crashing") == kubectl("logs crashing --previous") == "run\noops\n"
    assert kubectl.reasons("crashing")["BackOff"].startswith("Back-off restarting failed container app in pod crashing")


def test_a_program_that_is_not_there_is_a_start_error(kubectl: Kubectl) -> None:
    ended = eventually(lambda: kubectl.state("nothing-there").get("lastState", {}).get("terminated"))

    assert (ended["exitCode"], ended["reason"]) == (128, "StartError")
    assert "no-such-program" in kubectl.reasons("nothing-there")["Failed"]


def test_an_unhealthy_container_is_restarted(kubectl: Kubectl) -> None:
    eventually(lambda: kubectl.state("unhealthy")["restartCount"])

    reasons = kubectl.reasons("unhealthy")
    assert reasons["Unhealthy"] == "Liveness probe failed: HTTP probe failed with statuscode: 503"
    assert reasons["Killing"] == "Container app failed liveness probe, will be restarted"


def test_an_unready_pod_says_why(kubectl: Kubectl) -> None:
    why = eventually(lambda: kubectl.reasons("unready").get("Unhealthy"))

    assert why == "Readiness probe failed: HTTP probe failed with statuscode: 503"
    ready = next(c for c in kubectl.get("pod unready")["status"]["conditions"] if c["type"] == "Ready")
    assert ready["message"] == "containers with unready status: [app]"


def test_a_missing_configmap_holds_a_container_back_until_it_is_there(kubectl: Kubectl) -> None:
    waiting = eventually(lambda: kubectl.state("waiting").get("state", {}).get("waiting"))
    assert waiting == {"reason": "CreateContainerConfigError", "message": 'configmap "not-there-yet" not found'}

    kubectl("create configmap not-there-yet --from-literal=A=1")

    kubectl("wait pod/waiting --for=condition=Ready --timeout=20s")


# -- what a container sees


def test_variables_and_files_come_from_configmaps_secrets_and_the_downward_api(kubectl: Kubectl) -> None:
    kubectl("wait pod/environment --for=condition=Ready --timeout=20s")
    lines = eventually(lambda: "s3cret\n" in kubectl("logs environment") and kubectl("logs environment")).splitlines()

    ip = kubectl.get("pod environment")["status"]["podIP"]
    assert {"POD=environment", f"IP={ip}", "PASSWORD=s3cret", "LEVEL=debug"} <= set(lines)
    assert "BOTH=environment s3cret $(UNKNOWN)" in lines
    assert lines[-2:] == ["hello from a file", "s3cret"]
    kubectl("patch configmap settings -p", '{"data": {"greeting.txt": "changed"}}')
    assert kubectl("exec environment -- cat /etc/settings/greeting.txt") == "changed"


def test_the_service_account_reaches_the_api(kubectl: Kubectl) -> None:
    script = "import os, yaml; print(yaml.safe_load(open(os.environ['KUBECONFIG']))['users'][0]['user']['token'])"
    token = kubectl("exec shell --", sys.executable, "-c", script).strip()

    name = json.loads(kubectl(f"--token={token} auth whoami -o json"))["status"]["userInfo"]["username"]

    assert name == "system:serviceaccount:test:default"
    assert "pods is forbidden" in kubectl(f"--token={token} get pods", ok=False)
    kubectl("create rolebinding viewer --clusterrole=view --serviceaccount=test:default")
    assert "shell" in kubectl(f"--token={token} get pods")


def test_init_containers_run_one_after_the_other(kubectl: Kubectl) -> None:
    kubectl("wait pod/prepared --for=condition=Ready --timeout=20s")

    assert [kubectl(f"logs prepared -c step-{n}") for n in (1, 2)] == ["1\n", "2\n"]
    statuses = kubectl.get("pod prepared")["status"]["initContainerStatuses"]
    assert [each["state"]["terminated"]["reason"] for each in statuses] == ["Completed", "Completed"]


def test_a_pod_that_is_done_has_succeeded(kubectl: Kubectl) -> None:
    kubectl("wait pod/once --for=jsonpath={.status.phase}=Succeeded --timeout=20s")

    assert "Completed" in kubectl("get pod once")
    assert kubectl("logs once") == "done\n"


@pytest.mark.parametrize("name", ["slow-start", "listening", "home"])
def test_startup_exec_and_tcp_probes_make_a_pod_ready(kubectl: Kubectl, name: str) -> None:
    kubectl(f"wait pod/{name} --for=condition=Ready --timeout=20s")

    assert kubectl.state(name)["started"] is True
    assert kubectl.state(name)["restartCount"] == 0


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_localhost_is_the_pod_itself(kubectl: Kubectl) -> None:
    kubectl("wait pod/home --for=condition=Ready --timeout=20s")
    assert json.loads(kubectl("exec home -- curl -s http://localhost:9898"))["hostname"] == "home"
    assert "Unhealthy" not in kubectl.reasons("home")


def test_a_pods_host_name_is_its_own(kubectl: Kubectl) -> None:
    assert kubectl("exec shell -- hostname") == "shell\n"
    own = kubectl("exec shell -- python3 -c", "import socket; print(socket.gethostname())")
    assert own == ("shell" if may_name_hosts() else socket.gethostname()) + "\n"


def may_name_hosts() -> bool:
    """Whether this user may give processes a host name of their own, which takes Linux and root."""
    return subprocess.run(["unshare", "--uts", "true"], capture_output=True, check=False).returncode == 0


# -- rollouts


def addresses(kubectl: Kubectl) -> list[str]:
    subsets = kubectl.get("endpoints web").get("subsets", [])
    return [address["targetRef"]["name"] for subset in subsets for address in subset.get("addresses", [])]


def images(kubectl: Kubectl) -> set[str]:
    pods = kubectl.get("pods -l app=web")["items"]
    living = [each for each in pods if "deletionTimestamp" not in each["metadata"]]
    return {each["spec"]["containers"][0]["image"].partition(":")[2] for each in living}


def test_a_rollout_is_followed_paused_undone_and_kept_in_history(kubectl: Kubectl) -> None:
    kubectl("set image deployment/web podinfod=stefanprodan/podinfo:2.1.3")
    assert "successfully rolled out" in kubectl("rollout status deployment/web --timeout=30s")
    assert images(kubectl) == {"2.1.3"}
    history = kubectl("rollout history deployment/web").split()
    assert [word for word in history if word.isdigit()] == ["1", "2"]

    kubectl("rollout undo deployment/web")
    kubectl("rollout status deployment/web --timeout=30s")
    assert images(kubectl) == {"2.0.0"}
    history = kubectl("rollout history deployment/web").split()
    assert [word for word in history if word.isdigit()] == ["2", "3"]

    kubectl("rollout pause deployment/web")
    kubectl("set image deployment/web podinfod=stefanprodan/podinfo:2.1.2")
    assert "DeploymentPaused" in eventually(lambda: "Unknown" in (told := kubectl("describe deployment web")) and told)
    assert images(kubectl) == {"2.0.0"}
    kubectl("rollout resume deployment/web")
    kubectl("rollout status deployment/web --timeout=30s")
    assert images(kubectl) == {"2.1.2"}

    before = set(addresses(kubectl))
    kubectl("rollout restart deployment/web")
    kubectl("rollout status deployment/web --timeout=30s")
    assert eventually(lambda: len(addresses(kubectl)) == 2 and set(addresses(kubectl))).isdisjoint(before)


def test_a_bad_release_exceeds_its_deadline_and_costs_no_pod(kubectl: Kubectl) -> None:
    kubectl("patch deployment web -p", '{"spec": {"progressDeadlineSeconds": 1}}')
    kubectl("set image deployment/web podinfod=stefanprodan/podinfo:0.0.0")

    told = kubectl("rollout status deployment/web --timeout=30s", ok=False)
    assert 'deployment "web" exceeded its progress deadline' in told
    assert len(addresses(kubectl)) == 2

    kubectl("patch deployment web -p", '{"spec": {"progressDeadlineSeconds": 60}}')
    kubectl("rollout undo deployment/web")
    assert "successfully rolled out" in kubectl("rollout status deployment/web --timeout=30s")


def test_scaling_and_deleting_pods_keeps_the_number(kubectl: Kubectl) -> None:
    kubectl("scale deployment/web --replicas=3")
    kubectl("rollout status deployment/web --timeout=30s")
    assert len(addresses(kubectl)) == 3
    kubectl("scale deployment/web --replicas=2")

    gone = addresses(kubectl)[0]
    kubectl(f"delete pod {gone} --wait=false")

    assert gone not in addresses(kubectl)
    eventually(lambda: len(addresses(kubectl)) == 2)
    assert gone not in addresses(kubectl)


def test_a_pod_that_becomes_unready_leaves_the_endpoints_and_comes_back(kubectl: Kubectl) -> None:
    name = addresses(kubectl)[0]
    url = f"http://{kubectl.get(f'pod {name}')['status']['podIP']}:9898/readyz"

    httpx.get(f"{url}/disable", trust_env=False)
    eventually(lambda: name not in addresses(kubectl))
    httpx.get(f"{url}/enable", trust_env=False)
    eventually(lambda: name in addresses(kubectl))


def test_a_killed_program_is_started_again(kubectl: Kubectl) -> None:
    kubectl("wait pod/listening --for=condition=Ready --timeout=20s")
    found = kubectl.get("pod listening")
    with httpx.Client(trust_env=False) as client:
        assert client.get(f"http://{found['status']['podIP']}:9898/version").json()["version"] == "2.0.0"
    place = f"test_listening_{found['metadata']['uid']}"
    [process] = [process for process in psutil.process_iter() if place in home_of(process)]

    process.send_signal(signal.SIGKILL)

    eventually(lambda: kubectl.state("listening")["restartCount"] == 1)
    assert kubectl.state("listening")["lastState"]["terminated"]["exitCode"] == 137
    eventually(lambda: kubectl.state("listening")["ready"])


def home_of(process: psutil.Process) -> str:
    try:
        return str(process.environ().get("HOME", ""))
    except psutil.Error:
        return ""


def test_an_autoscaler_keeps_its_limits_and_says_what_it_cannot(kubectl: Kubectl) -> None:
    kubectl("autoscale deployment web --min=3 --max=4 --cpu-percent=50")
    eventually(lambda: kubectl.get("deployment web")["spec"]["replicas"] == 3)
    kubectl("scale deployment/web --replicas=9")
    eventually(lambda: kubectl.get("deployment web")["spec"]["replicas"] == 4)

    conditions = {c["type"]: c for c in kubectl.get("hpa web")["status"]["conditions"]}
    assert conditions["AbleToScale"]["status"] == "True"
    assert conditions["ScalingActive"]["reason"] == "FailedGetResourceMetric"
    kubectl("delete hpa web")
    kubectl("scale deployment/web --replicas=2")


# -- connections


def test_exec_carries_input_output_and_the_exit_code(kubectl: Kubectl) -> None:
    kubectl("wait pod/shell --for=condition=Ready --timeout=20s")

    assert kubectl("exec -i shell -- cat", stdin="to and fro") == "to and fro"
    assert "exit code 7" in kubectl("exec shell -- sh -c", "exit 7", ok=False)
    assert kubectl("exec shell -- printenv HOSTNAME") == "shell\n"
    assert "no such file" in kubectl("exec shell -- nothing", ok=False)


def test_exec_gives_a_terminal(kubectl: Kubectl) -> None:
    script = shutil.which("script")
    if script is None:
        pytest.skip("script(1) makes the terminal for kubectl, and is not on PATH")
    line = " ".join([*kubectl.words("exec -it shell --"), "sh", "-c", "'test -t 0 && test -t 1 && echo a terminal'"])

    done = subprocess.run(
        [script, "-qec", line, "/dev/null"], env=kubectl.environment, capture_output=True, stdin=subprocess.DEVNULL
    )

    assert b"a terminal" in done.stdout


def test_logs_are_followed(kubectl: Kubectl) -> None:
    with kubectl.start("logs -f loud --tail=1", stdout=subprocess.PIPE) as following:
        assert following.stdout
        numbers = [int(following.stdout.readline().split()[1]) for _ in range(5)]
        following.kill()

    assert numbers == list(range(numbers[0], numbers[0] + 5))


def test_a_followed_log_ends_with_its_run_also_where_the_container_starts_again_at_once(kubectl: Kubectl) -> None:
    script = f"echo begun; sleep {1000 + os.getpid()}"  # nobody else's, who may run this test beside us
    kubectl("apply -f -", stdin=json.dumps(pod("again", {"command": ["sh", "-c", script]})))
    kubectl("wait pod/again --for=condition=Ready --timeout=30s")
    with kubectl.start("logs -f again", stdout=subprocess.PIPE) as following:
        assert following.stdout
        assert following.stdout.readline() == b"begun\n"
        for child in psutil.process_iter(["cmdline"]):
            words = child.info["cmdline"] or []
            if words[-1:] == [script]:
                child.kill()
        try:
            assert following.wait(timeout=60) == 0
        finally:
            following.kill()
    eventually(lambda: kubectl.state("again").get("restartCount") == 1)


def test_attach_shows_what_comes(kubectl: Kubectl) -> None:
    with kubectl.start("attach loud", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as attached:
        assert attached.stdout
        lines = [attached.stdout.readline() for _ in range(3)]
        attached.kill()

    assert all(line.startswith(b"line ") for line in lines)


def test_cp_copies_there_and_back(kubectl: Kubectl, tmp_path: Path) -> None:
    if shutil.which("tar") is None:
        pytest.skip("kubectl cp needs tar")
    (tmp_path / "a").write_text("content")

    kubectl(f"cp {tmp_path}/a shell:copied")
    kubectl(f"cp shell:copied {tmp_path}/b")

    assert (tmp_path / "b").read_text() == "content"


def test_port_forward_reaches_a_pod(kubectl: Kubectl) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with kubectl.start(f"port-forward service/web {port}:9898", stdout=subprocess.PIPE) as forwarding:
        assert forwarding.stdout
        assert b"Forwarding from" in forwarding.stdout.readline()
        answer = httpx.get(f"http://127.0.0.1:{port}/api/info", trust_env=False)
        forwarding.kill()

    assert answer.json()["message"].startswith("greetings from podinfo")


# -- ends


def test_a_pod_gets_its_hook_and_its_grace(kubectl: Kubectl, tmp_path: Path) -> None:
    ending = f"trap 'echo ended >>{tmp_path}/log; exit 0' TERM; while :; do sleep 0.05; done"
    hook = {"preStop": {"exec": {"command": ["sh", "-c", f"echo hook >>{tmp_path}/log"]}}}
    manifest = pod("graceful", {"command": ["sh", "-c", ending], "lifecycle": hook})
    kubectl("apply -f -", stdin=json.dumps(manifest))
    kubectl("wait pod/graceful --for=condition=Ready --timeout=20s")
    began = time.monotonic()

    kubectl("delete pod graceful --grace-period=20")

    assert (tmp_path / "log").read_text().split() == ["hook", "ended"]
    assert time.monotonic() - began < 15


def test_a_pod_that_does_not_end_is_killed_after_its_grace(kubectl: Kubectl) -> None:
    eventually(lambda: kubectl.state("stubborn").get("ready"))
    began = time.monotonic()

    kubectl("delete pod stubborn --grace-period=2")

    assert 2 <= time.monotonic() - began < 15


def test_cascades_end_as_asked(kubectl: Kubectl) -> None:
    kubectl("delete deployment web --cascade=orphan")
    sets = [rs["metadata"]["name"] for rs in kubectl.get("rs -l app=web")["items"] if rs["spec"]["replicas"]]
    assert len(sets) == 1
    assert len(addresses(kubectl)) == 2

    kubectl("apply -f -", stdin=WEB)  # takes them over
    kubectl("rollout status deployment/web --timeout=30s")
    assert kubectl.get(f"rs {sets[0]}")["metadata"]["ownerReferences"][0]["name"] == "web"

    kubectl("delete deployment web --cascade=foreground --timeout=30s")
    assert kubectl.get("rs -l app=web")["items"] == []
    assert kubectl.get("pods -l app=web")["items"] == []


def test_a_namespace_ends_with_all_that_it_holds(kubectl: Kubectl) -> None:
    kubectl("delete namespace test --timeout=60s")

    assert "NotFound" in kubectl("get namespace test", ok=False)
    left = kubectl("get all,cm,secret,sa,events,endpoints -n test", ok=False)
    assert "No resources found" in left
    assert not list((kubectl.home / "lab" / "pods").iterdir())
