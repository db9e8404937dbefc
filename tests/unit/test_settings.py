"""The environment becomes settings once, and every fault is told at once."""

from pathlib import Path

import pytest

from imagestore.settings import InvalidSettings, Settings


def test_defaults_live_under_the_data_directory(tmp_path: Path) -> None:
    settings = Settings.from_env({"DATA_DIR": str(tmp_path)})

    assert settings.database_url == f"sqlite:///{tmp_path}/imagestore.db"
    assert settings.storage_url == f"{tmp_path}/originals"
    assert settings.limits.max_upload_bytes == 33_554_432
    assert settings.api_keys == ()


def test_all_faults_are_reported_together(tmp_path: Path) -> None:
    env = {"DATA_DIR": str(tmp_path), "MAX_PIXELS": "many", "IMAGE_ENGINE": "gd", "RENDER_TIMEOUT_S": "-1"}

    with pytest.raises(InvalidSettings) as caught:
        Settings.from_env({**env, "API_KEY": "short"})

    lines = str(caught.value).splitlines()
    assert {line.split()[0] for line in lines} == {
        "API_KEY",
        "IMAGE_ENGINE",
        "MAX_PIXELS",
        "RENDER_TIMEOUT_S",
    }
    assert not any("short" in line for line in lines)


def test_keys_may_be_limited_to_domains(tmp_path: Path) -> None:
    env = {"DATA_DIR": str(tmp_path), "API_KEY": "m" * 16, "API_KEYS": f"{'a' * 16}=cats, dogs; {'b' * 16}"}

    keys = Settings.from_env(env).api_keys

    assert [sorted(key.domains) for key in keys] == [[], ["cats", "dogs"], []]


def test_the_key_of_the_first_start_is_found(tmp_path: Path) -> None:
    (tmp_path / "api-key").write_text("k" * 32 + "\n")

    assert [key.secret for key in Settings.from_env({"DATA_DIR": str(tmp_path)}).api_keys] == ["k" * 32]


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("redis://secret@cache:6379/0\n")

    settings = Settings.from_env({"DATA_DIR": str(tmp_path), "REDIS_URL_FILE": str(tmp_path / "url")})

    assert settings.redis_url == "redis://secret@cache:6379/0"


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    env = {"DATA_DIR": str(tmp_path), "API_KEY": "topsecret-topsecret", "REDIS_URL": "redis://:hunter2@x/0"}

    text = repr(Settings.from_env(env))

    assert "topsecret" not in text
    assert "hunter2" not in text


def test_fetching_and_presets_are_read(tmp_path: Path) -> None:
    env = {
        "DATA_DIR": str(tmp_path),
        "REDIS_URL": "redis://cache/0",
        "FETCH_ALLOW": "10.0.0.0/8, minio:9000",
        "FETCH_PORTS": "80,8080",
        "PRESETS": "thumb=width=300&height=300; card=w=640&format=webp",
    }

    settings = Settings.from_env(env)

    assert settings.fetch.allow == ("10.0.0.0/8", "minio:9000")
    assert settings.fetch.ports == (80, 8080)
    assert settings.queue_url == "redis://cache/0"
    assert Settings.from_env({**env, "QUEUE_URL": "redis://queue/0"}).queue_url == "redis://queue/0"
    assert [rendition.key for rendition in settings.presets.renditions] == [
        "width=300&height=300",
        "width=640&format=webp",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FETCH_PORTS", "80,http"),
        ("FETCH_PORTS", "0"),
        ("FETCH_USER_AGENT", "a\nb"),
        ("CALLBACK_SECRET", "secret"),
        ("PRESETS", "thumb"),
        ("PRESETS", "thumb=width=0"),
        ("PRESETS", "thumb=colour=red"),
        ("PRESETS", "a=width=1;a=width=2"),
        ("PRESETS", "A=width=1"),
        ("TASK_ATTEMPTS", "0"),
    ],
)
def test_faults_of_the_task_settings_are_named(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(InvalidSettings, match=name):
        Settings.from_env({"DATA_DIR": str(tmp_path), name: value})


@pytest.mark.parametrize("keys", ["k" * 20 + "=", "k" * 20 + "=,", "k" * 20 + "==", "k" * 20 + "=Shop"])
def test_a_key_without_a_valid_domain_behind_its_sign_is_refused(tmp_path: Path, keys: str) -> None:
    with pytest.raises(InvalidSettings, match="API_KEYS"):
        Settings.from_env({"DATA_DIR": str(tmp_path), "API_KEYS": keys})


@pytest.mark.parametrize("keys", ["ist_" + "k" * 20, "k" * 20 + ";ist_" + "k" * 20 + "=cats"])
def test_a_key_that_looks_like_an_upload_token_is_refused(tmp_path: Path, keys: str) -> None:
    with pytest.raises(InvalidSettings, match="begins with ist_"):
        Settings.from_env({"DATA_DIR": str(tmp_path), "API_KEYS": keys})


def test_a_secret_may_hold_equals_signs(tmp_path: Path) -> None:
    env = {"DATA_DIR": str(tmp_path), "API_KEYS": "c2VjcmV0c2VjcmV0===cats,dogs"}

    (key,) = Settings.from_env(env).api_keys

    assert key.secret == "c2VjcmV0c2VjcmV0=="
    assert key.domains == {"cats", "dogs"}


def test_addresses_of_redis_are_checked_and_not_shown(tmp_path: Path) -> None:
    env = {
        "DATA_DIR": str(tmp_path),
        "REDIS_URL": "http://:hunter2@x",
        "QUEUE_URL": "redis+sentinel://:hunter2@x",
    }

    with pytest.raises(InvalidSettings) as refused:
        Settings.from_env(env)

    lines = str(refused.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["REDIS_URL", "QUEUE_URL"]
    assert "hunter2" not in str(refused.value)
    with pytest.raises(InvalidSettings, match=r"\AREDIS_URL[^\n]*\Z"):
        Settings.from_env({"DATA_DIR": str(tmp_path), "REDIS_URL": "http://x"})
    good = {"DATA_DIR": str(tmp_path), "REDIS_URL": "redis+sentinel://:hunter2@x,y:1/main/1"}
    assert Settings.from_env(good).queue_url == good["REDIS_URL"]
