#!/bin/sh
# The two checks of the official image's healthcheck.sh that compose.yaml asks for.
set -eu
client="mariadb --no-defaults --user=healthcheck --batch --skip-column-names"
for check in "$@"; do
    case $check in
    --connect)
        # Over TCP, which the server that initializes does not offer.
        $client --protocol=tcp --host=127.0.0.1 --execute 'SELECT 1' >/dev/null
        ;;
    --innodb_initialized)
        [ "$($client --protocol=tcp --host=127.0.0.1 \
            --execute "SELECT COUNT(*) FROM information_schema.engines WHERE engine='innodb' AND support IN ('YES','DEFAULT')")" = 1 ]
        ;;
    *) echo "healthcheck.sh: $check is not known to the stand-in" >&2 && exit 2 ;;
    esac
done
