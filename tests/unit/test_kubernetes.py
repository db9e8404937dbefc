"""The manifests of kubernetes/: true to Kubernetes' own schemas, and to compose.yaml.

They were not applied to a cluster here.
"""

import re
import shutil
import subprocess

import kubernetes_validate
import pytest
import yaml

from tests import kustomize
from tests.cluster import OVERLAYS, PARTS, all_containers, compose, environment, of, one, overlay
from tests.kustomize import Manifest
from tests.servers import ROOT
from tests.unit.test_knobs import settings

VERSIONS = ("1.30", "1.37")
"""Of Kubernetes: the oldest that the manifests are meant for, and the newest (2026-11)."""

OF_OPERATORS = {"monitoring.coreos.com/v1"}
"""What Kubernetes itself does not know, and has no schema of."""

# What the manifests have and compose.yaml has not.
ONLY_HERE = {"QUEUE_URL", "POD_NAMESPACE", "DASHBOARD"}


@pytest.fixture(params=OVERLAYS)
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    return overlay(request.param)


def plain(names: set[str] | dict[str, str]) -> set[str]:
    """Names of settings, whether they are given themselves or as a file."""
    return {name.removesuffix("_FILE") for name in names}


@pytest.mark.parametrize("version", VERSIONS)
def test_manifests_follow_the_schemas_of_kubernetes(manifests: list[Manifest], version: str) -> None:
    template = kustomize.read(ROOT / "kubernetes" / "secrets.example.yaml")
    judged = [m for m in [*manifests, *template] if m["apiVersion"] not in OF_OPERATORS]

    assert len(judged) > 20
    for manifest in judged:
        kubernetes_validate.validate(manifest, version, strict=True)


def test_a_wrong_manifest_would_be_seen(manifests: list[Manifest]) -> None:
    deployment = one(manifests, "Deployment", "api")
    deployment["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("name", OVERLAYS)
def test_kubectl_builds_the_same(name: str) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed; the other tests read the manifests without it")
    folder = ROOT / "kubernetes" / "overlays" / name

    built = subprocess.run([kubectl, "kustomize", folder], check=True, capture_output=True, text=True).stdout

    hashed = re.sub(r"\bsettings-[a-z0-9]{10}\b", "settings", built)
    assert hashed != built
    ours = {(m["kind"], m["metadata"]["name"]): m for m in overlay(name)}
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
