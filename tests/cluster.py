"""Looking into the manifests of kubernetes/."""

from collections.abc import Iterator

import yaml

from tests import kustomize
from tests.kustomize import Manifest, containers
from tests.servers import ROOT

OVERLAYS = ("production", "small")

PARTS = ("nginx", "api", "worker", "dashboard")


def overlay(name: str) -> list[Manifest]:
    """The manifests of one overlay."""
    return kustomize.build(ROOT / "kubernetes" / "overlays" / name)


def secrets() -> dict[str, dict[str, str]]:
    """Name -> keys and values, as the template has them."""
    template = kustomize.read(ROOT / "kubernetes" / "secrets.example.yaml")
    return {secret["metadata"]["name"]: secret["stringData"] for secret in template}


def compose() -> dict[str, Manifest]:
    """The services of compose.yaml."""
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
