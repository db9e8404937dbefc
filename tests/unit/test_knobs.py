"""Every knob is in compose.yaml and in .env.example, so that no setting is missing in the container stack."""

import re

from tests.servers import ROOT

ONLY_WITHOUT_CONTAINERS = {"DATA_DIR", "DATABASE_URL", "REDIS_URL", "QUEUE_URL", "WORKER_METRICS_PORT"}
"""The stack has its own places for these."""


def settings() -> set[str]:
    """The variables that Settings.from_env reads, itself and by the modules that it calls."""
    source = "".join(path.read_text() for path in (ROOT / "imagestore").glob("*.py"))
    return set(re.findall(r'(?:reader|self)\.[a-z_]+\(\s*"([A-Z][A-Z_]+)"', source))


def interpolated() -> set[str]:
    """The variables that the compose files take from their environment."""
    text = "".join(path.read_text() for path in ROOT.glob("compose*.yaml"))
    return set(re.findall(r"\$\{([A-Z_]+)[:}]", text))


def documented() -> set[str]:
    return set(re.findall(r"^#([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))


def test_settings_are_found_in_the_source() -> None:
    assert {"API_KEY", "FETCH_PORTS", "RENDER_TIMEOUT_S", "MAX_PIXELS", "STORAGE_URL"} <= settings()


def test_compose_file_passes_every_setting_on() -> None:
    assert settings() - ONLY_WITHOUT_CONTAINERS - interpolated() == set()


def test_example_documents_every_knob_and_no_other() -> None:
    assert documented() == interpolated()
