"""What `kubectl apply -k` would apply, by the few features of Kustomize that kubernetes/ uses."""

from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]

FEATURES = {
    *("apiVersion", "kind", "namespace", "resources", "components"),
    *("images", "replicas", "configMapGenerator", "patches"),
}

WITHOUT_NAMESPACE = {"Namespace"}


def build(folder: Path) -> list[Manifest]:
    """The manifests of a folder with a kustomization.yaml; names of generated ConfigMaps without their hash.

    Raises:
        ValueError: the kustomization wants something that is not understood here.
        FileNotFoundError: it names what is not there.
    """
    wanted = yaml.safe_load((folder / "kustomization.yaml").read_text())
    if set(wanted) - FEATURES:
        raise ValueError(f"{folder}: {set(wanted) - FEATURES} is not understood")
    found: list[Manifest] = []
    for name in [*wanted.get("resources", []), *wanted.get("components", [])]:
        path = folder / name
        found += build(path) if path.is_dir() else read(path)
    for generator in wanted.get("configMapGenerator", []):
        _generate(found, generator, folder)
    for patch in wanted.get("patches", []):
        for change in read(folder / patch["path"]):
            _merge(_one(found, change["kind"], change["metadata"]["name"]), change)
    for replicas in wanted.get("replicas", []):
        _one(found, "Deployment", replicas["name"])["spec"]["replicas"] = replicas["count"]
    for image in wanted.get("images", []):
        _rename(found, image)
    for manifest in found:
        if "namespace" in wanted and manifest["kind"] not in WITHOUT_NAMESPACE:
            manifest["metadata"]["namespace"] = wanted["namespace"]
    return found


def read(path: Path) -> list[Manifest]:
    """The manifests of one file."""
    return [manifest for manifest in yaml.safe_load_all(path.read_text()) if manifest]


def containers(manifest: Manifest) -> list[Manifest]:
    """All containers of a Deployment, those of its beginning first."""
    pod = manifest["spec"]["template"]["spec"]
    return [*pod.get("initContainers", []), *pod["containers"]]


def _one(found: list[Manifest], kind: str, name: str) -> Manifest:
    (manifest,) = [m for m in found if (m["kind"], m["metadata"]["name"]) == (kind, name)]
    return manifest


def _generate(found: list[Manifest], generator: Manifest, folder: Path) -> None:
    lines = [line for env in generator.get("envs", []) for line in (folder / env).read_text().splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")] + generator.get("literals", [])
    pairs = dict(line.split("=", 1) for line in lines)
    if generator.get("behavior") == "merge":
        _one(found, "ConfigMap", generator["name"])["data"].update(pairs)
    else:
        name = {"name": generator["name"]}
        found.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": name, "data": pairs})


def _merge(into: Manifest, change: Manifest) -> None:
    for name, value in change.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        elif isinstance(value, list):
            raise ValueError(f"{name}: patches of lists are not understood")
        else:
            into[name] = value


def _rename(found: list[Manifest], image: Manifest) -> None:
    used = [
        container
        for manifest in found
        if manifest["kind"] == "Deployment"
        for container in containers(manifest)
        if container["image"] == image["name"]
    ]
    if not used:
        raise ValueError(f"no container has the image {image['name']}")
    for container in used:
        container["image"] = f"{image['newName']}:{image['newTag']}"
