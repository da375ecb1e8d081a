#!/bin/sh
# Prints new passwords for a stack, as lines of an environment file:
#   deploy/secrets.sh > .env
# Hexadecimal, so that they stand in URLs and in an ACL as they are.
set -eu

secret() {
  od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}

echo "IMSERVER_POSTGRES_PASSWORD=$(secret)"
echo "IMSERVER_DATABASE_PASSWORD=$(secret)"
echo "IMSERVER_REDIS_PASSWORD=$(secret)"
echo "IMSERVER_GRAFANA_PASSWORD=$(secret)"
