#!/bin/sh
# What compose uses of the real image's entry point: a new volume gets a cluster and the scripts of
# /docker-entrypoint-initdb.d, on a server that only its socket reaches; then the command, not as root.
set -eu
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
as() { setpriv --reuid=postgres --regid=postgres --clear-groups -- "$@"; }

mkdir -p "$PGDATA" /var/run/postgresql
chown -R postgres:postgres "$PGDATA" /var/run/postgresql
chmod 700 "$PGDATA"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  : "${POSTGRES_PASSWORD:?}"
  install -m 600 -o postgres /dev/null /tmp/password
  echo "$POSTGRES_PASSWORD" >/tmp/password
  # shellcheck disable=SC2086
  as initdb --username=postgres --auth-local=trust --auth-host=scram-sha-256 --pwfile=/tmp/password \
    ${POSTGRES_INITDB_ARGS:-} --pgdata="$PGDATA"
  rm /tmp/password
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  as pg_ctl --pgdata="$PGDATA" --wait --options="-c listen_addresses=" start
  for script in /docker-entrypoint-initdb.d/*; do
    [ ! -x "$script" ] || as "$script"
  done
  as pg_ctl --pgdata="$PGDATA" --wait --mode=fast stop
fi
[ "$1" != postgres ] || set -- "$@" -c listen_addresses='*'
exec setpriv --reuid=postgres --regid=postgres --clear-groups -- "$@"
