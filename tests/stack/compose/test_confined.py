"""What the containers of the stack may do and see, and their secrets."""

import json

import pytest

from tests.stack.compose.load import needs_engine
from tests.stack.containers import SERVICES, Containers, docker

pytestmark = needs_engine


def test_no_secret_is_in_the_configuration_or_in_an_image(stack: Containers) -> None:
    public = [stack.compose("config"), stack.compose("logs"), stack.compose("top")]
    public += [json.dumps(stack.containers())]
    public += [docker("history", "--no-trunc", image) for image in stack.images]
    public += [docker("image", "inspect", image) for image in stack.images]

    found = [name for name, secret in stack.secrets().items() if any(secret in text for text in public)]

    assert found == []


def test_each_secret_is_seen_by_those_alone_who_need_it(stack: Containers) -> None:
    seen = {
        container["Config"]["Labels"]["com.docker.compose.service"]: {
            mount["Destination"].removeprefix("/secrets/")
            for mount in container["Mounts"]
            if mount["Destination"].startswith("/secrets/")
        }
        for container in stack.containers(*SERVICES)
    }

    assert seen == {
        "nginx": {"redis"},
        "api": {"api", "database", "redis"},
        "worker": {"api", "database", "redis"},
        "dashboard": {"dashboard", "redis"},
        "redis": {"redis"},
        "db": {"database"},
    }


def test_no_process_runs_as_root(stack: Containers) -> None:
    # The first column of `docker top` is the user as the host sees it.
    for container in stack.containers(*SERVICES):
        users = {
            line.split()[0] for line in docker("top", container["Id"], "-eo", "uid,pid").splitlines()[1:]
        }

        assert users & {"0", "root"} == set(), container["Name"]


def test_containers_may_do_little(stack: Containers) -> None:
    for container in stack.containers():
        host, name = container["HostConfig"], container["Name"]

        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"], name
        assert not host["CapAdd"], name
        assert host["SecurityOpt"] == ["no-new-privileges:true"], name
        assert host["Memory"] > 0, name
        assert host["PidsLimit"] > 0, name
        assert host["Init"], name
        assert set(host["LogConfig"]["Config"]) == {"max-size", "max-file"}, name


def test_only_nginx_publishes_a_port(stack: Containers) -> None:
    publishing = [
        c["Name"] for c in stack.containers() if any((c["HostConfig"]["PortBindings"] or {}).values())
    ]

    assert publishing == [f"/{stack.project}-nginx-1"]


def test_images_hold_no_compiler_and_no_package_installer(stack: Containers) -> None:
    look = (
        "for name in cc gcc g++ make pip pip3; do command -v $name; done; python3 -m pip --version 2>&1; true"
    )

    for image in stack.images:
        found = docker("run", "--rm", "--network", "none", "--entrypoint", "sh", image, "-c", look)

        assert [
            line for line in found.splitlines() if "No module" not in line and "not found" not in line
        ] == []


def first_start(stack: Containers, script: str) -> str:
    """What a shell prints in a container of its own, where no start has made secrets yet."""
    command = ["run", "--rm", "--network", "none", stack.images[0], "sh", "-ec", script]
    return docker(*command)


def test_given_secrets_are_taken_instead_of_new_ones(stack: Containers) -> None:
    printed = first_start(
        stack,
        "echo given-api-key-0123 >/given/api_key; REDIS_PASSWORD=given.password dev/first-start >/dev/null;"
        " cat /secrets/api/key /secrets/redis/url",
    )

    assert printed.split() == ["given-api-key-0123", "redis://:given.password@redis:6379/0"]


def test_secrets_are_made_once_and_differ(stack: Containers) -> None:
    printed = first_start(
        stack,
        "dev/first-start >/dev/null; cat /secrets/*/password /secrets/api/key;"
        " dev/first-start; cat /secrets/api/key",
    )

    database, redis, key, key_again = printed.split()
    assert key == key_again
    assert len({database, redis, key}) == 3
    assert {len(secret) for secret in (database, redis, key)} == {32}


@pytest.mark.parametrize(
    ("password", "reason"), [("another", "differs from the one"), ("a b@c", "may hold only")]
)
def test_unusable_database_password_is_refused(stack: Containers, password: str, reason: str) -> None:
    first = "dev/first-start >/dev/null; " if password == "another" else ""

    with pytest.raises(RuntimeError, match=reason):
        first_start(stack, f"{first}DATABASE_PASSWORD='{password}' dev/first-start")
