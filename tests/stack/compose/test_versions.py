"""The container stack as it ends, as a newer version follows it, and with another store."""

from tests.servers import ROOT
from tests.stack.compose.load import needs_engine, picture, upload
from tests.stack.containers import SERVICES, Containers, container_stack, overlay

REDIS_CLI = "REDISCLI_AUTH=$(cat /secrets/redis/password) redis-cli"

pytestmark = needs_engine


def test_stop_ends_every_service_by_itself(stack: Containers) -> None:
    stack.compose("stop")
    codes = {c["Name"]: c["State"]["ExitCode"] for c in stack.containers(*SERVICES)}
    stack.up()

    assert set(codes.values()) == {0}, codes


def test_newer_version_migrates_the_old_volumes_once(stack: Containers) -> None:
    body = picture(60)
    upload(stack, body, "old.jpg")
    stack.more_files.append(ROOT / "tests" / "stack" / "newer.yaml")
    try:
        stack.compose("down", "--timeout", "40")
        stack.up("--scale", "api=2", "--scale", "migrate=3")
        columns = stack.compose(
            "exec", "-T", "db", "sh", "-c",
            "mariadb -uimagestore -p$(cat /secrets/database/password) -h127.0.0.1 imagestore"
            " -Ne 'SHOW COLUMNS FROM image_info LIKE \"newer\"; SELECT name FROM schema_migration'",
        )  # fmt: skip

        assert columns.count("newer\t") == 1
        assert columns.count("9999_newer") == 1
        assert stack.http.get("/test/old.jpg").content == body
    finally:
        stack.more_files.clear()
        stack.up("--scale", "api=1", "--scale", "migrate=1", "--remove-orphans")


def test_originals_live_in_an_s3_store() -> None:
    body = picture(70)
    with container_stack(*overlay("compose.s3.yaml")) as stack:
        stored = upload(stack, body, "far.jpg")
        # What is answered from now on comes from the store, and not from Redis.
        stack.compose("exec", "-T", "redis", "sh", "-c", f"{REDIS_CLI} flushall")
        whole = stack.http.get("/test/far.jpg")
        part = stack.http.get("/test/far.jpg", headers={"Range": "bytes=5-9"})
        thumbnail = stack.http.get("/image/read", params={"id": stored["id"], "width": "20"})
        here = stack.compose("exec", "-T", "api", "find", "/data/originals", "-type", "f")

        assert whole.content == body
        assert (part.status_code, part.content) == (206, body[5:10])
        assert thumbnail.status_code == 200
        assert here == ""
