#!/bin/sh
# Starts what its arguments say, unless everybody could then log in by a name that they choose: where
# demo login is on, only this machine may reach the service.
set -eu

case "${IMSERVER_TLS_ADDRESS:-}" in
  127.*.*.* | '[::1]') ;;
  *)
    if [ "${IMSERVER_DEMO_LOGIN:-}" != false ]; then
      echo "refused: IMSERVER_TLS_ADDRESS=${IMSERVER_TLS_ADDRESS:-} lets others in, and demo login is on, so" \
        "anybody could log in as anybody; say IMSERVER_DEMO_LOGIN=false in .env" >&2
      exit 1
    fi
    ;;
esac
exec "$@"
