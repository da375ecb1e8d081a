#!/bin/sh
# What compose uses of the real image's entry point, as its user: a new volume gets a cluster and the
# scripts of /docker-entrypoint-initdb.d, on a server that only its socket reaches; then the command.
set -eu
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH

chmod 700 "$PGDATA"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  : "${POSTGRES_PASSWORD:?}"
  (umask 077 && echo "$POSTGRES_PASSWORD" >/tmp/password)
  # shellcheck disable=SC2086
  initdb --username=postgres --auth-local=trust --auth-host=scram-sha-256 --pwfile=/tmp/password \
    ${POSTGRES_INITDB_ARGS:-} --pgdata="$PGDATA"
  rm /tmp/password
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  pg_ctl --pgdata="$PGDATA" --wait --options="-c listen_addresses=" start
  for script in /docker-entrypoint-initdb.d/*; do
    [ ! -x "$script" ] || "$script"
  done
  pg_ctl --pgdata="$PGDATA" --wait --mode=fast stop
fi
[ "$1" != postgres ] || set -- "$@" -c listen_addresses='*'
exec "$@"
