#!/usr/bin/env bash
# The topology of docker-compose.yml as plain processes of this machine, in one folder: Postgres, Redis,
# replicas, and nginx in front. `./dev stack` installs what it needs and calls it.
#
# What the two have in common is described once: imserver.env (settings), nginx/nginx.conf,
# postgres/role.sh, redis/start.sh, secrets.sh. Here is how the processes come and go.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=${IMSERVER_STACK:-${TMPDIR:-/tmp}/imserver-stack-$(id -u)}

usage() {
  cat <<'TEXT'
./dev stack up [--replicas N] [--port PORT]   start it: 3 replicas, nginx on a free port
./dev stack status                            what runs, and where
./dev stack down                              end all of it and remove its folder
The folder is in /tmp, or where IMSERVER_STACK says. IMSERVER_PROGRAM names another build of the
service; without it the debug build is brought up to date and started.
TEXT
}

up() {
  local replicas=3 port='' number
  while [ $# -gt 0 ]; do
    case "$1" in
      --replicas) replicas=${2:?a number} && shift 2 ;;
      --port) port=${2:?a port} && shift 2 ;;
      *) usage >&2 && fail "up does not know $1" ;;
    esac
  done
  [[ $replicas =~ ^[1-9][0-9]?$ ]] || fail "--replicas is a number from 1 to 99"
  [ ! -e "$folder" ] || fail "$folder is there: a stack runs, or did. End it: ./dev stack down"
  program=${IMSERVER_PROGRAM:-$here/../target/debug/imserver}
  mkdir -m 711 "$folder"
  mkdir -m 700 "$folder"/{redis,nginx,pids}
  mkdir "$folder/logs"
  # One that did not come up leaves nothing but its logs.
  trap come_down_half_way EXIT
  (umask 077 && "$here/secrets.sh" >"$folder/secrets.env")
  # shellcheck source=/dev/null
  set -a && . "$folder/secrets.env" && . "$here/imserver.env" && set +a

  start_postgres
  start_redis
  export IMSERVER__DATABASE__URL="postgres://imserver:$IMSERVER_DATABASE_PASSWORD@127.0.0.1:$postgres_port/imserver"
  export IMSERVER__BUS__URL="redis://imserver:$IMSERVER_REDIS_PASSWORD@127.0.0.1:$redis_port"
  export IMSERVER__SERVER__LISTEN=127.0.0.1:0 IMSERVER__METRICS__LISTEN=127.0.0.1:0
  (cd "$folder" && "$program" migrate >"$folder/logs/migrate.log" 2>&1) || fail "the migration failed"
  for ((number = 1; number <= replicas; number++)); do
    start "imserver-$number" "$program"
  done
  : >"$folder/nginx/upstreams.conf"
  for ((number = 1; number <= replicas; number++)); do
    await "imserver-$number" listens "imserver-$number"
    echo "server $(address_of "imserver-$number") max_fails=1 fail_timeout=2s;" \
      >>"$folder/nginx/upstreams.conf"
  done
  start_nginx "${port:-$(free_port)}"
  trap - EXIT
  status
}

come_down_half_way() {
  trap - EXIT
  end_all
  rm -rf "$folder"/{postgres,redis,nginx,pids,secrets.env}
  echo "stack: it did not come up; its logs are in $folder/logs" >&2
  tail -n 3 "$folder"/logs/*.log >&2 || true
}

start_postgres() {
  local data=$folder/postgres programs
  programs=$(postgres_programs)
  postgres_port=$(free_port)
  mkdir -m 700 "$data"
  (umask 077 && echo "$IMSERVER_POSTGRES_PASSWORD" >"$data/password")
  as_postgres=()
  if [ "$(id -u)" -eq 0 ]; then
    # Postgres refuses to run as root.
    as_postgres=(setpriv --reuid=postgres --regid=postgres --clear-groups --)
    chown -R postgres:postgres "$data"
  fi
  (cd "$data" && "${as_postgres[@]}" "$programs/initdb" --pgdata=data --username=postgres \
    --encoding=UTF8 --locale=C.UTF-8 --auth=scram-sha-256 --pwfile=password --no-sync) \
    >"$folder/logs/initdb.log" 2>&1
  rm "$data/password"
  start postgres "${as_postgres[@]}" "$programs/postgres" -D "$data/data" -p "$postgres_port" \
    -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=300
  export PGHOST=127.0.0.1 PGPORT=$postgres_port
  await postgres "$programs/pg_isready" --quiet --username=postgres
  PGPASSWORD=$IMSERVER_POSTGRES_PASSWORD PATH=$programs:$PATH "$here/postgres/role.sh" \
    >"$folder/logs/role.log" 2>&1
}

# Where Postgres's programs are: on the PATH, or where Debian keeps the newest.
postgres_programs() {
  local found
  if found=$(command -v initdb) && [ -x "$(dirname "$(readlink -f "$found")")/pg_isready" ]; then
    dirname "$(readlink -f "$found")"
  else
    found=$(compgen -G '/usr/lib/postgresql/*/bin' | sort --version-sort | tail -n 1)
    echo "${found:?Postgres is not installed; ./dev stack up installs it}"
  fi
}

start_redis() {
  redis_port=$(free_port)
  REDIS_FOLDER=$folder/redis start redis "$here/redis/start.sh" --bind 127.0.0.1 --port "$redis_port"
  await redis redis_answers
}

redis_answers() {
  REDISCLI_AUTH=$IMSERVER_REDIS_PASSWORD redis-cli -p "$redis_port" --user imserver ping 2>&1 |
    grep -qx PONG
}

# start_nginx PORT
start_nginx() {
  local globals=()
  cp "$here/nginx/nginx.conf" "$folder/nginx/"
  echo "listen 127.0.0.1:$1;" >"$folder/nginx/listen.conf"
  echo "$1" >"$folder/nginx/port"
  # Its workers write where only this user may.
  [ "$(id -u)" -ne 0 ] || globals=(-g 'user root;')
  start nginx "$(PATH=$PATH:/usr/sbin command -v nginx)" -e stderr -p "$folder/nginx/" \
    -c "$folder/nginx/nginx.conf" "${globals[@]}"
  await nginx answers "$1"
}

# answers PORT: whether a replica answers through nginx.
answers() {
  curl --silent --fail --max-time 5 --output /dev/null "http://127.0.0.1:$1/readyz"
}

# start NAME COMMAND...: in the background, in a group of its own, with a log.
start() {
  local name=$1
  shift
  set -m
  (cd "$folder" && exec "$@") >"$folder/logs/$name.log" 2>&1 </dev/null &
  set +m
  # The time of its start tells it from another that gets its number later.
  echo "$! $(started_at $!)" >"$folder/pids/$name"
  disown
}

started_at() {
  ps -o lstart= -p "$1" 2>/dev/null || true
}

# is_alive NAME
is_alive() {
  local pid started
  read -r pid started <"$folder/pids/$1" && [ -n "$started" ] && [ "$(started_at "$pid")" = "$started" ]
}

# await NAME CHECK...: until it is so, while the process lives, for a minute at most.
await() {
  local name=$1 deadline=$((SECONDS + 60))
  shift
  until "$@"; do
    is_alive "$name" || fail "$name ended"
    ((SECONDS < deadline)) || fail "$name is not there after a minute"
    sleep 0.1
  done
}

# address_of NAME: where a replica listens, as it says itself; nothing before.
address_of() {
  sed -n 's/^imserver .* listens on http:\/\///p' "$folder/logs/$1.log"
}

metrics_of() {
  sed -n 's/^  metrics  *http:\/\///p' "$folder/logs/$1.log"
}

listens() {
  [ -n "$(address_of "$1")" ]
}

# A port below those that the kernel gives out by itself, so that it stays free until it is used.
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo "$port"
}

status() {
  local name
  [ -d "$folder/pids" ] || fail "no stack in $folder"
  echo "folder   $folder (logs, secrets.env)"
  for name in $(names); do
    if ! is_alive "$name"; then
      echo "$name: not running"
    elif [[ $name == imserver-* ]]; then
      echo "$name: pid $(pid_of "$name"), http://$(address_of "$name"), metrics http://$(metrics_of "$name")"
    else
      echo "$name: pid $(pid_of "$name")"
    fi
  done
  [ ! -f "$folder/nginx/port" ] || echo "open     http://127.0.0.1:$(cat "$folder/nginx/port")/"
}

names() {
  (cd "$folder/pids" && printf '%s\n' * | sort --version-sort)
}

pid_of() {
  cut -d ' ' -f 1 "$folder/pids/$1"
}

# In the order in which each needs the next; replicas drain.
end_all() {
  local name
  [ -d "$folder/pids" ] || return 0
  for name in $(names); do
    case "$name" in imserver-*) signal TERM "$name" ;; esac
  done
  for name in $(names); do
    case "$name" in imserver-*) ended "$name" ;; esac
  done
  for name in nginx redis; do
    signal TERM "$name" && ended "$name"
  done
  # A fast stop: it does not wait for its clients.
  signal INT postgres && ended postgres
}

# signal SIGNAL NAME
signal() {
  [ ! -f "$folder/pids/$2" ] || ! is_alive "$2" || kill "-$1" "$(pid_of "$2")"
}

# ended NAME: waits for its end, and forces it after half a minute.
ended() {
  local deadline=$((SECONDS + 30))
  while [ -f "$folder/pids/$1" ] && is_alive "$1"; do
    if ((SECONDS >= deadline)); then
      echo "stack: $1 does not end, it is killed" >&2
      kill -KILL "$(pid_of "$1")"
      deadline=$((SECONDS + 30))
    fi
    sleep 0.1
  done
}

down() {
  [ -d "$folder" ] || fail "no stack in $folder"
  end_all
  rm -rf "$folder"
}

fail() {
  echo "stack: $*" >&2
  exit 1
}

verb=${1:-help}
[ $# -eq 0 ] || shift
case "$verb" in
  up | status | down) "$verb" "$@" ;;
  *)
    usage
    [ "$verb" = help ] || fail "there is no verb \`$verb\`"
    ;;
esac
