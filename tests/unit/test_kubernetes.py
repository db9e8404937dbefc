"""The manifests of kubernetes/: true to Kubernetes' own schemas, to each other, and to compose.yaml.

They were not applied to a cluster here.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from imagestore.settings import InvalidSettings, Settings
from tests import kustomize
from tests.kustomize import Manifest, containers
from tests.servers import ROOT
from tests.unit.test_knobs import settings

OVERLAYS = ("production", "small")

VERSIONS = ("1.30", "1.37")
"""Of Kubernetes: the oldest that gets fixes from some distributor, and the newest (2026-11)."""

OF_OPERATORS = {"PodMonitor"}
"""Kinds that Kubernetes itself does not know, and has no schema of."""

PARTS = {"nginx": "nginx", "api": "api", "worker": "worker", "dashboard": "dashboard"}

# What the manifests have and compose.yaml has not.
ONLY_HERE = {"QUEUE_URL", "POD_NAMESPACE", "DASHBOARD"}


@pytest.fixture(params=OVERLAYS)
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    return kustomize.build(ROOT / "kubernetes" / "overlays" / request.param)


def secrets() -> dict[str, dict[str, str]]:
    """Name -> keys and values, as the template has them."""
    template = kustomize.read(ROOT / "kubernetes" / "secrets.example.yaml")
    return {secret["metadata"]["name"]: secret["stringData"] for secret in template}


def compose() -> dict[str, Manifest]:
    return dict(yaml.safe_load((ROOT / "compose.yaml").read_text())["services"])


def of(manifests: list[Manifest], kind: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def one(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    (found,) = [manifest for manifest in of(manifests, kind) if manifest["metadata"]["name"] == name]
    return found


def all_containers(manifests: list[Manifest]) -> Iterator[tuple[Manifest, Manifest]]:
    for deployment in of(manifests, "Deployment"):
        for container in containers(deployment):
            yield deployment, container


def pods_with(manifests: list[Manifest], labels: dict[str, str]) -> list[Manifest]:
    return [
        deployment
        for deployment in of(manifests, "Deployment")
        if labels.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    ]


def ports(deployment: Manifest) -> dict[str, int]:
    return {p["name"]: p["containerPort"] for c in containers(deployment) for p in c.get("ports", [])}


def environment(manifests: list[Manifest], container: Manifest) -> dict[str, str]:
    """What a container is told; the value is empty where only the cluster knows it."""
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        if "configMapRef" in source:
            found |= one(manifests, "ConfigMap", source["configMapRef"]["name"])["data"]
        else:
            found |= secrets()[source["secretRef"]["name"]]
    for variable in container.get("env", []):
        origin = variable.get("valueFrom", {})
        value = variable.get("value", "")
        if "configMapKeyRef" in origin:
            key = origin["configMapKeyRef"]
            value = one(manifests, "ConfigMap", key["name"])["data"][key["key"]]
        if "secretKeyRef" in origin:
            value = secrets()[origin["secretKeyRef"]["name"]][origin["secretKeyRef"]["key"]]
        found[variable["name"]] = value
    return found


def plain(names: set[str] | dict[str, str]) -> set[str]:
    """Names of settings, whether they are given themselves or as a file."""
    return {name.removesuffix("_FILE") for name in names}


@pytest.mark.parametrize("version", VERSIONS)
def test_manifests_follow_the_schemas_of_kubernetes(manifests: list[Manifest], version: str) -> None:
    unknown = set()
    template = kustomize.read(ROOT / "kubernetes" / "secrets.example.yaml")
    for manifest in [*manifests, *template]:
        if "." in manifest["apiVersion"] and not manifest["apiVersion"].partition("/")[0].endswith(
            (".k8s.io", "apps", "policy", "autoscaling")
        ):
            unknown.add(manifest["kind"])
        else:
            kubernetes_validate.validate(manifest, version, strict=True)

    assert unknown <= OF_OPERATORS


def test_a_wrong_manifest_would_be_seen(manifests: list[Manifest]) -> None:
    deployment = one(manifests, "Deployment", "api")
    deployment["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kubectl_builds_the_same(overlay: str) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed; the other tests read the manifests without it")
    folder = ROOT / "kubernetes" / "overlays" / overlay

    built = subprocess.run([kubectl, "kustomize", folder], check=True, capture_output=True, text=True).stdout

    hashed = re.sub(r"\bsettings-[a-z0-9]{10}\b", "settings", built)
    assert hashed != built
    ours = {(m["kind"], m["metadata"]["name"]): m for m in kustomize.build(folder)}
    assert {(m["kind"], m["metadata"]["name"]): m for m in yaml.safe_load_all(hashed)} == ours


def test_every_file_of_the_base_is_used() -> None:
    for folder in (ROOT / "kubernetes").rglob("kustomization.yaml"):
        wanted = yaml.safe_load(folder.read_text())
        named = {*wanted.get("resources", [])} | {patch["path"] for patch in wanted.get("patches", [])}
        named |= {
            env for generator in wanted.get("configMapGenerator", []) for env in generator.get("envs", [])
        }
        there = {path.name for path in folder.parent.iterdir() if path.is_file()}

        assert there - named == {"kustomization.yaml"}


# Against compose.yaml.


@pytest.mark.parametrize("part", [*PARTS, "migrate"])
def test_every_part_is_told_what_compose_tells_it(manifests: list[Manifest], part: str) -> None:
    told = plain(set(compose()[part]["environment"]))
    here = [c for _, c in all_containers(manifests) if c["name"] == part]

    assert here
    for container in here:
        assert told - plain(environment(manifests, container)) == set()


def test_every_variable_is_one_that_somebody_reads(manifests: list[Manifest]) -> None:
    known = settings() | ONLY_HERE
    for service in compose().values():
        known |= plain(set(service.get("environment", {})))

    for _, container in all_containers(manifests):
        assert plain(environment(manifests, container)) - known == set()


def test_containers_run_what_those_of_compose_run(manifests: list[Manifest]) -> None:
    services = compose()
    for _, container in all_containers(manifests):
        service = services[container["name"]]
        image = service["image"].partition(":")[0]

        assert container["image"].rpartition("/")[2].partition(":")[0] == image
        assert container.get("command") == service.get("command")
        writable = {path.partition(":")[0] for path in service.get("tmpfs", [])}
        assert writable <= {mount["mountPath"] for mount in container["volumeMounts"]}


def test_pods_get_longer_to_end_than_they_take(manifests: list[Manifest]) -> None:
    services = compose()
    for deployment in of(manifests, "Deployment"):
        name = deployment["metadata"]["name"]
        pod = deployment["spec"]["template"]["spec"]
        before = pod["containers"][0].get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command")
        pause_s = int(before[1]) if before else 0
        drain_s = int(services[name].get("stop_grace_period", "10s").removesuffix("s"))

        assert pod.get("terminationGracePeriodSeconds", 30) >= drain_s + pause_s


# Against each other.


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
