"""The queue dashboard behind a login: rq-dashboard under gunicorn, at `/rq/`.

    gunicorn 'worker.dashboard:create_app()'

It shows the arguments of jobs, and buttons that delete and requeue them, so nothing of it is public.
"""

import base64
import binascii
import hmac
import os

from flask import Flask, Response, request
from rq import Worker, serializers
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq_dashboard import web
from rq_dashboard.web import blueprint, config, setup_rq_connection
from werkzeug.middleware.proxy_fix import ProxyFix

from imagestore.redisclient import open_redis
from imagestore.settings import Settings

HEALTH = "/health/live"
"""The one route without a login; nginx does not pass it on."""

REDIS_TIMEOUT_S = 5.0
"""For people, who rather wait than try again."""

REALM = 'Basic realm="queues", charset="UTF-8"'


def create_app() -> Flask:
    """The application that the environment describes: REDIS_URL and DASHBOARD_LOGIN (`user:password`).

    Raises:
        InvalidSettings: a setting is wrong.
        ValueError: there is no login.
    """
    settings = Settings.from_env(os.environ)
    return build(settings.queue_url, settings.dashboard_login)


def build(redis_url: str, login: str) -> Flask:
    """The dashboard over the queues in that Redis, for who knows `login` (`user:password`).

    Raises:
        ValueError: the login has no user or no password.
        RuntimeError: RQ would unpickle jobs.
    """
    user, _, password = login.partition(":")
    if not user or not password:
        raise ValueError("DASHBOARD_LOGIN is not user:password; the dashboard does not start without a login")
    app = Flask(__name__)
    # RQ's default unpickles what is in Redis, which runs code (promises §19), and rq-dashboard 0.9
    # hands its own choice on only in some of its views; so there is no other to fall back to.
    config.serializer = serializers.JSONSerializer
    # RQ 3.0 falls back to the second of its two names.
    for fallback in ("DefaultSerializer", "PickleSerializer"):
        vars(serializers)[fallback] = serializers.JSONSerializer
    if serializers.resolve_serializer() is not serializers.JSONSerializer:
        raise RuntimeError(
            "this version of RQ has another way to unpickle jobs; the dashboard does not start"
        )
    # It shows the address in each page, and knows no user's name and no login of Sentinels; so it gets a name
    # to show, and one client for all its requests.
    app.config["RQ_DASHBOARD_REDIS_URL"] = ["redis"]
    connection = open_redis(redis_url, timeout_s=REDIS_TIMEOUT_S)
    vars(web)["Worker"] = _Worker
    vars(web)["from_url"] = lambda url, **options: (None, connection)
    app.register_blueprint(blueprint, url_prefix="/rq")
    setup_rq_connection(app)
    app.add_url_rule(HEALTH, view_func=lambda: "", endpoint="live")
    app.before_request(lambda: refusal(login))
    # nginx is the only one in front, and says who asks and by which scheme.
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]  # Flask's documented way
    return app


class _Worker(Worker):
    """A worker as rq-dashboard shows it: one whose job ended a moment ago is idle, and no error."""

    def get_current_job(self) -> Job | None:
        try:
            return super().get_current_job()
        except NoSuchJobError:
            return None


def refusal(login: str) -> Response | None:
    """The answer to a request that must not be carried out; None for all others."""
    if request.path == HEALTH:
        return None
    if not hmac.compare_digest(_credentials(), login.encode()):
        return Response("A login is needed.\n", 401, {"WWW-Authenticate": REALM}, mimetype="text/plain")
    if request.method == "POST" and not _same_site():
        return Response("Only the dashboard's own pages may do that.\n", 403, mimetype="text/plain")
    if request.method in ("GET", "HEAD") and _changes_state():
        return Response("Only POST changes anything.\n", 405, {"Allow": "POST"}, mimetype="text/plain")
    return None


def _credentials() -> bytes:
    """What a Basic `Authorization` header holds (RFC 7617); nothing when there is none."""
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _changes_state() -> bool:
    """rq-dashboard 0.9 also requeues all failed jobs by a GET, which a prefetch or an <img> may send."""
    return bool(request.url_rule and "POST" in (request.url_rule.methods or ()))


def _same_site() -> bool:
    """A browser adds the login to other sites' forms too, and says where they come from."""
    return request.headers.get("Sec-Fetch-Site", "same-origin") in ("same-origin", "none")
