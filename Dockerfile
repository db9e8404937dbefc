# One image for api, worker, dashboard, migrate and setup: only the command differs.
#
# BASE is there for machines without a registry (dev/docker-engine); everybody else leaves it.
ARG BASE=debian:trixie-slim

FROM ${BASE} AS libraries
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
COPY requirements.lock /tmp/
# Every file's hash is checked. pip itself is not needed later, and tests of libraries never.
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /tmp/requirements.lock \
    && /opt/venv/bin/pip uninstall --yes --quiet pip \
    && find /opt/venv -type d \( -name tests -o -name test \) -prune -exec rm -rf {} + \
    && python3 -m compileall -q /opt/venv/lib

FROM ${BASE}
# ImageMagick without delegates; libheif keeps its codecs for AVIF and HEIC in packages of their own.
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        ca-certificates \
        libheif-plugin-aomdec \
        libheif-plugin-aomenc \
        libheif-plugin-libde265 \
        libheif-plugin-x265 \
        libmagickwand-7.q16-10 \
        python3 \
    && rm -rf /var/lib/apt/lists/* /var/cache/debconf /var/log/*
# Volumes get the owner of the folder that they are mounted over when they are empty.
RUN groupadd --gid 10001 imagestore \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin imagestore \
    && install -d -o imagestore -g imagestore /data /data/originals \
        /secrets /secrets/api /secrets/dashboard /secrets/database /secrets/redis /given
COPY --from=libraries /opt/venv /opt/venv
WORKDIR /app
COPY dev/first-start dev/first-start
COPY api api
COPY worker worker
COPY db db
COPY imagestore imagestore
# The command, from any folder of the container: docker compose exec api imagestore --help
RUN python3 -m compileall -q api worker imagestore \
    && printf '#!/bin/sh\nPYTHONPATH=/app exec python3 -P -m imagestore.commands "$@"\n' >/usr/local/bin/imagestore \
    && chmod 755 /usr/local/bin/imagestore
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DATA_DIR=/data \
    MAGICK_THREAD_LIMIT=1
USER 10001:10001
EXPOSE 8000
CMD ["gunicorn", "--config", "api/gunicorn.conf.py", "api.app:create_app()"]
