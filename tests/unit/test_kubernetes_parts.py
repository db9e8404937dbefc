"""The manifests of kubernetes/: ports, probes, policies and secrets fit each other and the code."""

import re
from pathlib import Path

import pytest

from imagestore.settings import InvalidSettings, Settings
from tests.cluster import (
    OVERLAYS,
    PARTS,
    all_containers,
    environment,
    of,
    one,
    overlay,
    pods_with,
    ports,
    secrets,
)
from tests.kustomize import Manifest
from tests.servers import ROOT


@pytest.fixture(params=OVERLAYS)
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    return overlay(request.param)


def test_services_lead_to_ports_of_pods(manifests: list[Manifest]) -> None:
    for service in of(manifests, "Service"):
        (deployment,) = pods_with(manifests, service["spec"]["selector"])
        for port in service["spec"]["ports"]:
            assert ports(deployment)[port["targetPort"]] == port["port"]


def test_names_that_programs_ask_for_are_services(manifests: list[Manifest]) -> None:
    services = {s["metadata"]["name"]: s["spec"] for s in of(manifests, "Service")}
    start = (ROOT / "nginx" / "container" / "start").read_text()
    nginx = one(manifests, "Deployment", "nginx")["spec"]["template"]["spec"]["containers"][0]
    told = environment(manifests, nginx)

    assert set(re.findall(r"getent ahostsv4 ([a-z-]+)", start)) == {"api-front"}
    assert services["api-front"]["clusterIP"] == "None"
    assert f":{services['api-front']['ports'][0]['port']} max_fails" in start
    assert told["DASHBOARD"] == (
        f"dashboard.$(POD_NAMESPACE).svc.cluster.local:{services['dashboard']['ports'][0]['port']}"
    )
    assert told["IMAGESTORE_SERVER"] == f"http://nginx:{services['nginx']['ports'][0]['port']}"


def test_probes_ask_ports_and_paths_that_answer(manifests: list[Manifest]) -> None:
    served = {
        "nginx": (ROOT / "nginx/container/routes.conf").read_text(),
        "api": (ROOT / "api/auth.py").read_text(),
        "worker": (ROOT / "worker/page.py").read_text(),
        "dashboard": (ROOT / "worker/dashboard.py").read_text(),
    }
    for deployment in of(manifests, "Deployment"):
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        for kind in ("livenessProbe", "readinessProbe", "startupProbe"):
            asked = container[kind]["httpGet"]
            assert asked["port"] in ports(deployment)
            assert re.search(rf'["= ]{asked["path"]}["\s]', served[container["name"]]), asked
    api = one(manifests, "Deployment", "api")["spec"]["template"]["spec"]["containers"][0]
    assert api["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert api["readinessProbe"]["httpGet"]["path"] == "/health/ready"


def test_budgets_scalers_and_monitors_mean_pods_that_exist(manifests: list[Manifest]) -> None:
    for deployment in of(manifests, "Deployment"):
        spec = deployment["spec"]
        assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
        for constraint in spec["template"]["spec"].get("topologySpreadConstraints", []):
            assert pods_with(manifests, constraint["labelSelector"]["matchLabels"]) == [deployment]
    for budget in of(manifests, "PodDisruptionBudget"):
        assert len(pods_with(manifests, budget["spec"]["selector"]["matchLabels"])) == 1
    for scaler in of(manifests, "HorizontalPodAutoscaler"):
        target = one(manifests, "Deployment", scaler["spec"]["scaleTargetRef"]["name"])
        # The two would take turns in setting it.
        assert "replicas" not in target["spec"]
    for monitor in of(manifests, "PodMonitor"):
        (deployment,) = pods_with(manifests, monitor["spec"]["selector"]["matchLabels"])
        assert all(e["port"] in ports(deployment) for e in monitor["spec"]["podMetricsEndpoints"])
    for ingress in of(manifests, "Ingress"):
        backend = ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
        service = one(manifests, "Service", backend["name"])
        assert backend["port"]["name"] in {port["name"] for port in service["spec"]["ports"]}


def test_policies_let_in_and_out_what_is_needed_and_no_more(manifests: list[Manifest]) -> None:
    def let_in(name: str) -> dict[str, set[int]]:
        """Who may come in (`*`: everybody, `monitoring`: Prometheus) and at which ports."""
        found: dict[str, set[int]] = {}
        for rule in one(manifests, "NetworkPolicy", name)["spec"]["ingress"]:
            for peer in rule.get("from", [{}]):
                labels = peer.get("podSelector", {}).get("matchLabels")
                who = "monitoring" if "namespaceSelector" in peer else "*"
                if labels:
                    (deployment,) = pods_with(manifests, labels)
                    who = deployment["metadata"]["name"]
                found.setdefault(who, set()).update(port["port"] for port in rule["ports"])
        return found

    def outside(name: str) -> set[int | None]:
        """Ports at which it may go to public addresses; None is every port."""
        return {
            port.get("port")
            for rule in one(manifests, "NetworkPolicy", name)["spec"]["egress"]
            for peer in rule["to"]
            if peer.get("ipBlock", {}).get("cidr") == "0.0.0.0/0"
            for port in rule.get("ports", [{}])
        }

    assert let_in("nginx") == {"*": {8080}, "monitoring": {9113}}
    assert let_in("api") == {"nginx": {8000}, "monitoring": {8000}}
    assert let_in("worker") == {"monitoring": {9100}}
    assert let_in("dashboard") == {"nginx": {9181}}
    assert (outside("nginx"), outside("api"), outside("worker"), outside("dashboard")) == (
        {443},
        {443},
        {None},
        set(),
    )
    for caller in ("api", "worker"):
        rules = one(manifests, "NetworkPolicy", caller)["spec"]["egress"]
        labels = [p["podSelector"]["matchLabels"] for r in rules for p in r["to"] if "podSelector" in p]
        assert [pods_with(manifests, each)[0]["metadata"]["name"] for each in labels] == ["nginx"]
    rest = one(manifests, "NetworkPolicy", "nothing-else")["spec"]
    assert len(pods_with(manifests, rest["podSelector"]["matchLabels"])) == len(PARTS)
    assert rest["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in rest
    for policy in of(manifests, "NetworkPolicy"):
        assert pods_with(manifests, policy["spec"]["podSelector"]["matchLabels"])


def test_containers_may_do_nothing_that_they_need_not(manifests: list[Manifest]) -> None:
    for deployment, container in all_containers(manifests):
        pod = deployment["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        assert {"cpu", "memory"} <= container["resources"]["limits"].keys()
        assert {mount["name"] for mount in container["volumeMounts"]} <= {v["name"] for v in pod["volumes"]}


def test_on_a_full_node_what_is_ready_goes_out_first(manifests: list[Manifest]) -> None:
    """Requests are the weights of control groups (kubelet), as `cpu_shares` are in compose.yaml."""
    asked = {
        deployment["metadata"]["name"]: container["resources"]["requests"]["cpu"]
        for deployment, container in all_containers(manifests)
        if container in deployment["spec"]["template"]["spec"]["containers"]
    }

    assert (asked["nginx"], asked["api"], asked["worker"]) == ("1", "250m", "250m")


def test_the_guide_names_what_is_there(manifests: list[Manifest]) -> None:
    guide = (ROOT / "docs/guides/several-machines.md").read_text()
    there = {f"{m['kind'].lower()}/{m['metadata']['name']}" for m in manifests}
    lines = re.findall(r"kubectl [^`\n]+", guide)
    named = set(re.findall(r"\b(?:deployment|service)/[a-z-]+", " ".join(lines)))
    paths = set(re.findall(r"\bkubernetes/[a-z./-]*[a-z]", guide)) - {"kubernetes/secrets.yaml"}

    assert len(lines) > 5
    assert named - there == set()
    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert "kubernetes/secrets.yaml" in (ROOT / ".gitignore").read_text()


# Secrets.


def test_the_template_holds_no_secret() -> None:
    for name, values in secrets().items():
        for key, value in values.items():
            assert "CHANGE-ME" in value or not value, f"{name}, {key}"


def test_files_of_secrets_are_where_the_settings_look(manifests: list[Manifest]) -> None:
    for deployment, container in all_containers(manifests):
        pod = deployment["spec"]["template"]["spec"]
        held = {v["name"]: v["secret"]["secretName"] for v in pod["volumes"] if "secret" in v}
        there = {
            f"{mount['mountPath']}/{key}"
            for mount in container["volumeMounts"]
            if mount["name"] in held
            for key in secrets()[held[mount["name"]]]
        }
        read = {v for n, v in environment(manifests, container).items() if n.endswith("_FILE")}
        # nginx is told of all and reads one.
        wanted = {path for path in read if "redis" in path} if container["name"] == "nginx" else read

        assert wanted
        assert wanted - there == set()


@pytest.mark.parametrize("part", ["api", "worker", "dashboard"])
def test_programs_start_with_filled_in_secrets_only(
    manifests: list[Manifest], part: str, tmp_path: Path
) -> None:
    (container,) = [c for _, c in all_containers(manifests) if c["name"] == part]
    env = environment(manifests, container) | {"DATA_DIR": str(tmp_path)}

    def told(password: str, callback_secret: str) -> dict[str, str]:
        """The environment with the files of all secrets below `tmp_path`."""
        for name, values in secrets().items():
            folder = tmp_path / name.removeprefix("imagestore-")
            folder.mkdir(exist_ok=True)
            for key, value in values.items():
                word = callback_secret if key == "callback-secret" else password
                (folder / key).write_text(value.replace("CHANGE-ME", word))
        return {name: value.replace("/secrets", str(tmp_path)) for name, value in env.items()}

    filled = Settings.from_env(told("k" * 32, f"whsec_{'A' * 43}="))

    assert filled.redis_url.startswith(f"redis+sentinel://:{'k' * 32}@sentinel-0.example.internal,")
    if part == "dashboard":
        assert filled.dashboard_login == f"ops:{'k' * 32}"
        return
    assert filled.storage_url.startswith("s3://")
    with pytest.raises(InvalidSettings, match="API_KEY") as refused:
        Settings.from_env(told("CHANGE-ME", "CHANGE-ME"))
    assert "CALLBACK_SECRET" in str(refused.value)
