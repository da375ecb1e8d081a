#!/usr/bin/env bash
# Runs docker-compose.yml for real on a machine that can pull no image: on a Docker engine of its own,
# with stand-ins for the base images that are made by debootstrap. As root, on Debian, with docker.io,
# nftables and debootstrap installed:
#
#   deploy/trial/run.sh [PROGRAM | --compile]
#
# PROGRAM is a build of the service, that of `cargo build` if none is said: the image is built by the
# Dockerfile, but a stand-in for cargo delivers PROGRAM. With --compile the image compiles it, with the
# Rust of this machine in the place of the one that the Dockerfile names. What the trial leaves out is
# Grafana. It takes five minutes; ten with --compile. IMSERVER_TRIAL is its folder, /tmp/imserver-trial
# if it is not set; the base system that is made there first is kept for the next time.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=${IMSERVER_TRIAL:-/tmp/imserver-trial}
built=${CARGO_TARGET_DIR:-$here/../../target}/debug
program=${1:-$built/imserver}
mirror=http://deb.debian.org/debian
url=http://127.0.0.1:18080
export DOCKER_HOST=unix://$folder/docker.sock COMPOSE_PROJECT_NAME=imserver-trial
# The clients of the base system: Compose 2 and BuildKit, which are what people have.
export PATH=$folder/client/usr/bin:$PATH DOCKER_CONFIG=$folder/client/config

main() {
  mkdir -p "$folder"
  step "build" cargo build --quiet --locked --workspace --manifest-path "$here/../../Cargo.toml"
  base_system
  client
  start_engine
  trap end_all EXIT
  step "stand-ins" stand_ins
  "$here/../secrets.sh" >"$folder/.env"
  echo "IMSERVER_PORT=${url##*:}" >>"$folder/.env"
  # A container cannot have more than this shell may.
  echo "IMSERVER_NOFILE=$(ulimit -H -n)" >>"$folder/.env"

  step "up" compose up --build --detach
  step "ready" await_ready
  step "three replicas, and no port of theirs on this machine" only_nginx_is_published
  step "people at all three talk" talk
  step "Prometheus sees three replicas and its alarms" watched
  step "five replicas" scale_to_five
  step "a rolling restart under load" beside_load 90 roll
  step "a replica is killed under load" beside_load 15 kill_one
  step "Postgres is restarted under load" beside_load 25 compose restart postgres
  step "down and up again" down_and_up
  step "down with volumes leaves nothing" down_for_good
  echo "the trial went well, in $SECONDS s"
}

compose() {
  docker compose --project-directory "$here/../.." --file "$here/../../docker-compose.yml" \
    --env-file "$folder/.env" --progress plain "$@" >>"$folder/compose.log" 2>&1
}

# The step under way.
current=

step() {
  local begun=$SECONDS
  current=$1
  shift
  # Not in a condition: bash would go on there after a check that fails.
  "$@"
  echo "$current: $((SECONDS - begun)) s"
  current=
}

# One system for all: Debian's testing has an nginx that is new enough.
base_system() {
  [ ! -e "$folder/base.tar" ] || return 0
  local include=nginx-light,postgresql,redis-server,prometheus,ca-certificates,wget
  include+=,docker-cli,docker-compose,docker-buildx
  debootstrap --variant=minbase --include="$include" testing "$folder/base" "$mirror" \
    /usr/share/debootstrap/scripts/sid >"$folder/debootstrap.log"
  # A mirror may be behind.
  echo 'Acquire::Check-Valid-Until "false";' >"$folder/base/etc/apt/apt.conf.d/trial"
  tar --create --file="$folder/base.tar" --directory="$folder/base" --one-file-system .
  rm -rf "$folder/base"
}

client() {
  mkdir -p "$DOCKER_CONFIG"
  tar --extract --file="$folder/base.tar" --directory="$folder/client" \
    ./usr/bin/docker ./usr/libexec/docker
  ln -sfn "$folder/client/usr/libexec/docker/cli-plugins" "$DOCKER_CONFIG/cli-plugins"
}

start_engine() {
  nft list tables >"$folder/tables"
  dockerd --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/docker.pid" \
    --host "$DOCKER_HOST" >"$folder/dockerd.log" 2>&1 &
  for _ in $(seq 100); do
    ! docker info >/dev/null 2>&1 || return 0
    sleep 0.3
  done
  tail "$folder/dockerd.log" >&2
  exit 1
}

end_all() {
  if [ -n "$current" ]; then
    tail -n 20 "$folder/compose.log" >&2
    echo "failed: $current; see $folder/compose.log" >&2
  fi
  compose --profile '*' down --volumes --timeout 5 || true
  kill "$(cat "$folder/docker.pid")"
  wait
  # The engine leaves its rules and its bridge behind, and they cost every connection of this machine.
  if [ ! -s "$folder/tables" ]; then
    nft delete table ip nat
    nft delete table ip filter
    ip link delete docker0
  fi
  rm -rf "$folder"/{data,exec,docker.sock,.env}
}

stand_ins() {
  local name image
  docker import "$folder/base.tar" trial-base >/dev/null
  docker tag trial-base debian:bookworm-slim
  for name in postgres:17-bookworm redis:7-bookworm nginx:1.28-alpine prom/prometheus:v3.5.0 \
    rust:1.94-slim-bookworm; do
    image=${name%%:*}
    [ "$image" != rust ] || image=$(rust)
    rm -rf "$folder/image" && cp -r "$here/images/${image##*/}" "$folder/image"
    case $image in
      rust-delivering) cp "$program" "$folder/image/imserver" ;;
      rust-compiling) toolchain ;;
    esac
    docker build --quiet --tag "$name" "$folder/image" >/dev/null 2>>"$folder/compose.log"
  done
  rm -rf "$folder/image"
}

rust() {
  if [ "$program" = --compile ]; then echo rust-compiling; else echo rust-delivering; fi
}

# The Rust of this machine, without its documentation.
toolchain() {
  local from
  from=$(rustc --print sysroot)
  mkdir "$folder/image/toolchain"
  cp -r "$from/bin" "$from/lib" "$folder/image/toolchain"
  cp /etc/ssl/certs/ca-certificates.crt "$folder/image"
}

await_ready() {
  for _ in $(seq 150); do
    ! curl --silent --fail --output /dev/null "$url/readyz" || return 0
    sleep 0.4
  done
  return 1
}

replicas() {
  docker ps --quiet --filter label=com.docker.compose.service=imserver
}

only_nginx_is_published() {
  [ "$(replicas | wc -l)" -eq 3 ]
  [ "$(docker ps --format '{{.Ports}}' | grep -o '[0-9.]*:[0-9]*->' | sort -u)" = "127.0.0.1:${url##*:}->" ]
  # Nobody is root where it can be helped, and nothing can be written to.
  for id in $(replicas); do
    [ "$(docker inspect --format '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}}' "$id")" = "65532:65532 true" ]
  done
}

watched() {
  local prometheus up alarms
  # Named, so that Grafana is not pulled.
  compose up --detach prometheus
  prometheus=$(docker ps --quiet --filter label=com.docker.compose.service=prometheus)
  ask() { docker exec "$prometheus" wget -q -O - "http://127.0.0.1:9090/api/v1/$1"; }
  for _ in $(seq 150); do
    up=$(ask targets?state=active | grep -o '"health":"up"' | wc -l) || up=0
    [ "$up" -ne 3 ] || break
    sleep 0.4
  done
  [ "$up" -eq 3 ]
  ask 'query?query=sum(imserver_sockets)' | grep '"result":\[{' >/dev/null
  alarms=$(ask rules | grep -o '"type":"alerting"' | wc -l)
  [ "$alarms" -eq "$(grep -c 'alert:' "$here/../prometheus/alarms.yml")" ]
}

scale_to_five() {
  compose up --detach --scale imserver=5
  [ "$(replicas | wc -l)" -eq 5 ]
  # nginx finds the new ones by itself: all of them get requests.
  local id seen=0
  for _ in $(seq 150); do
    curl --silent --output /dev/null "$url/healthz"
    sleep 0.1
    seen=$(replicas_asked '"path":"/healthz"') || seen=0
    [ "$seen" -lt 5 ] || return 0
  done
  echo "only $seen replicas are used" >&2
  return 1
}

# A load through nginx, on sockets that come back wherever one is free.
load() {
  # A machine that starts containers meanwhile may be too late for the figures, which are not looked at.
  "$built/loadtest" run --target "$url" --users 30 --rate 30 --duration "$1s" >"$folder/load" 2>&1 || true
  grep '^ledger *clean' "$folder/load"
}

talk() {
  load 3
  # Two people who write to each other came one after the other, each to where the fewest were.
  [ "$(replicas_asked '"status":101')" -eq 3 ]
}

# How many replicas the last requests with this in their log went to.
replicas_asked() {
  docker logs "$(docker ps -q --filter label=com.docker.compose.service=nginx)" 2>/dev/null |
    tail -n 100 | grep "$1" | grep -o '"replica":"[^"]*"' | sort -u | wc -l
}

# beside_load SECONDS COMMAND...
beside_load() {
  local seconds=$1 beside
  shift
  load "$seconds" &
  beside=$!
  # Until all are connected and the load has begun.
  sleep 4
  "$@"
  wait "$beside"
}

roll() {
  local old
  for old in $(replicas); do
    docker stop --time 40 "$old" >/dev/null
    docker rm "$old" >/dev/null
    compose up --detach --no-deps --no-recreate --scale imserver=5 imserver
  done
}

kill_one() {
  docker kill "$(replicas | head -n 1)" >/dev/null
}

down_and_up() {
  local before after count='SELECT count(*), max(id) FROM chats'
  before=$(query "$count")
  compose --profile '*' down
  compose up --detach
  await_ready
  after=$(query "$count")
  [ "$before" = "$after" ] || { echo "$before before, $after after" >&2 && return 1; }
}

query() {
  docker exec "$(docker ps -q --filter label=com.docker.compose.service=postgres)" \
    psql --username=postgres --dbname=imserver --tuples-only --command="$1"
}

down_for_good() {
  compose --profile '*' down --volumes
  [ -z "$(docker ps --all --quiet)" ] && [ -z "$(docker volume ls --quiet)" ] &&
    [ -z "$(docker network ls --quiet --filter name=imserver-trial)" ]
}

main
