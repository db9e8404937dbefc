#!/bin/sh
# The part of the official image's entry point that compose.yaml uses
# (https://hub.docker.com/_/mariadb, "Environment Variables" and "Initializing a fresh instance"):
# MARIADB_DATABASE, MARIADB_USER, MARIADB_PASSWORD_FILE, MARIADB_ROOT_PASSWORD_FILE,
# MARIADB_ROOT_HOST=localhost, MARIADB_AUTO_UPGRADE, and *.sql in /docker-entrypoint-initdb.d.
set -eu

DATA=/var/lib/mysql
SOCKET=/run/mysqld/mysqld.sock

text() {
    printf '%s' "$1" | sed "s/'/''/g; s/\\\\/\\\\\\\\/g"
}

# Runs SQL in a server that nobody else can reach; it ends with it.
alone() {
    "$@" --skip-networking --socket="$SOCKET" &
    server=$!
    until mariadb-admin --no-defaults --socket="$SOCKET" --user=root ping >/dev/null 2>&1; do
        kill -0 "$server" || exit 1
        sleep 0.2
    done
}

initialize() {
    echo "standin: initializing the database"
    mariadb-install-db --no-defaults --datadir="$DATA" --auth-root-authentication-method=normal --skip-test-db >/dev/null
    alone "$@"
    client="mariadb --no-defaults --socket=$SOCKET --user=root"
    $client <<SQL
CREATE DATABASE \`$MARIADB_DATABASE\`;
CREATE USER '$MARIADB_USER'@'%' IDENTIFIED BY '$(text "$(cat "$MARIADB_PASSWORD_FILE")")';
GRANT ALL ON \`$MARIADB_DATABASE\`.* TO '$MARIADB_USER'@'%';
CREATE USER 'healthcheck'@'127.0.0.1' IDENTIFIED BY '';
SQL
    for script in /docker-entrypoint-initdb.d/*.sql; do
        [ ! -e "$script" ] || $client "$MARIADB_DATABASE" <"$script"
    done
    $client <<SQL
DROP USER IF EXISTS ''@'localhost', ''@'$(hostname)', root@'$(hostname)', root@'127.0.0.1', root@'::1';
ALTER USER root@localhost IDENTIFIED BY '$(text "$(cat "$MARIADB_ROOT_PASSWORD_FILE")")';
SHUTDOWN;
SQL
    wait "$server"
}

if [ "${1:-}" = mariadbd ]; then
    set -- "$@" --datadir="$DATA" --socket="$SOCKET" --bind-address=0.0.0.0
    [ -d "$DATA/mysql" ] || initialize "$@"
fi
exec "$@"
