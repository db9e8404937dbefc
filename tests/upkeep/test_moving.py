"""Originals move to another store: verified, resumable, and served all the time."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from imagestore.errors import StorageUnavailable
from imagestore.storage import Storage, open_storage
from imagestore.upkeep.moving import Mover
from tests import pictures
from tests.imagestack import ImageStack, image_stack
from tests.servers import ROOT, Server
from tests.swift import storage_url
from tests.upkeep.conftest import BUCKET
from tests.upkeep.house import House


@pytest.fixture
def other(home: House, tmp_path: Path) -> Iterator[Storage]:
    with closing(open_storage(f"{tmp_path}/other", spool_dir=tmp_path / "spool")) as storage:
        yield storage


def outcomes(mover: Mover) -> dict[str, str]:
    return {moved.sha256: moved.outcome for batch in mover.everything() for moved in batch}


def test_everything_is_copied_and_only_once(home: House, other: Storage) -> None:
    originals = [home.put(b"%d" % number) for number in range(250)]
    mover = Mover(home.storage, other, home.settings.spool_dir)

    first = outcomes(mover)
    second = outcomes(mover)

    assert first == dict.fromkeys(originals, "copied")
    assert second == dict.fromkeys(originals, "present")
    assert {file.sha256 for file in other.walk()} == set(originals)
    assert list(home.settings.spool_dir.iterdir()) == []


def test_damaged_original_is_not_copied_and_half_a_copy_is_done_again(
    home: House, other: Storage, tmp_path: Path
) -> None:
    damaged, halved = home.put(b"damaged"), home.put(b"halved")
    home.damage(damaged, b"damageD")
    (tmp_path / "half").write_bytes(b"hal")
    other.put(halved, tmp_path / "half")

    moved = outcomes(Mover(home.storage, other, home.settings.spool_dir))

    assert moved == {damaged: "damaged", halved: "copied"}
    assert [(file.sha256, file.size) for file in other.walk()] == [(halved, 6)]


def test_target_that_does_not_keep_what_it_gets_ends_the_move(home: House, other: Storage) -> None:
    home.put(b"precious")

    class Forgetful(Storage):
        def __getattribute__(self, name: str) -> Any:
            return put_wrongly if name == "put" else getattr(other, name)

    def put_wrongly(sha256: str, source: Path) -> bool:
        source.write_bytes(b"something else")
        return other.put(sha256, source)

    with pytest.raises(StorageUnavailable, match="other bytes"):
        outcomes(Mover(home.storage, Forgetful(None, home.folder), home.settings.spool_dir))


def migrate(env: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-m", "imagestore.commands", "migrate-storage", "--json"]
    env = {"PATH": os.environ["PATH"], **env}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


def answers(stack: ImageStack, images: list[dict[str, Any]], width: int) -> list[httpx.Response]:
    """Original and a new rendition of each image."""
    urls = [f"/{image['domain']}/{image['dkey']}" for image in images]
    urls += [f"/image/read?id={image['id']}&width={width}" for image in images]
    return [stack.http.get(url) for url in urls]


def test_originals_move_from_a_folder_to_s3_and_back_while_they_are_served(
    tmp_path: Path, s3: Server
) -> None:
    bodies = [pictures.photo(90, 60, seed=seed) for seed in range(20, 24)]
    spool = tmp_path / "spool"
    urls = {
        "STORAGE_URL": storage_url(s3, BUCKET, f"run/{tmp_path.name}"),
        "STORAGE_FALLBACK_URL": f"{tmp_path}/old",
    }
    with (
        image_stack(tmp_path / "stack", CACHE_ORIGINAL_MAX_BYTES="0", API_WORKERS="1", **urls) as stack,
        closing(open_storage(urls["STORAGE_URL"], spool_dir=spool)) as new,
        closing(open_storage(urls["STORAGE_FALLBACK_URL"], spool_dir=spool)) as old,
    ):
        images = [stack.upload(body, "moved", f"{number}") for number, body in enumerate(bodies[:3])]
        # As if they had been there before the move began.
        assert set(outcomes(Mover(new, old, spool)).values()) == {"copied"}
        for image in images:
            new.remove(image["sha256"])

        images.append(stack.upload(bodies[3], "moved", "during"))
        during = answers(stack, images, 40)
        status, counts = migrate(stack.api.env)
        for file in list(old.walk()):
            old.remove(file.sha256)
        after = answers(stack, images, 50)

        assert (status, counts["copied"], counts["damaged"]) == (0, 3, 0)
        assert {answer.status_code for answer in (*during, *after)} == {200}
        for found in (during, after):
            assert [answer.content for answer in found[:4]] == bodies
        assert len(list(new.walk())) == 4
