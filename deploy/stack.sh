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
./dev stack up --bare                         only Postgres and Redis, without the service's tables
./dev stack start NAME                        start again what ended: imserver-2, nginx, redis, postgres;
                                              where it was, and with the settings that it had
./dev stack status                            what runs, and where
./dev stack down                              end all of it and remove its folder
The folder is in /tmp, or where IMSERVER_STACK says. IMSERVER_PROGRAM names another build of the
service; without it the debug build is brought up to date and started. Settings of the environment,
such as IMSERVER__LIMITS__ENABLED=false, win over those of deploy/imserver.env.
TEXT
}

up() {
  local replicas=3 port='' number name is_bare=''
  while [ $# -gt 0 ]; do
    case "$1" in
      --replicas) replicas=${2:?a number} && shift 2 ;;
      --port) port=${2:?a port} && shift 2 ;;
      --bare) is_bare=yes && shift ;;
      *) usage >&2 && fail "up does not know $1" ;;
    esac
  done
  [[ $replicas =~ ^[1-9][0-9]?$ ]] || fail "--replicas is a number from 1 to 99"
  [ ! -e "$folder" ] || fail "$folder is there: a stack runs, or did. End it: ./dev stack down"
  program=${IMSERVER_PROGRAM:-$here/../target/debug/imserver}
  mkdir -m 711 "$folder"
  mkdir -m 700 "$folder"/{redis,nginx,pids,commands}
  mkdir "$folder/logs"
  # One that did not come up leaves nothing but its logs.
  trap come_down_half_way EXIT
  (umask 077 && "$here/secrets.sh" >"$folder/secrets.env")
  # Whoever has only the folder can call this file with it.
  echo "$here/stack.sh" >"$folder/script"
  local caller=()
  for name in "${!IMSERVER__@}"; do
    caller+=("$name=${!name}")
  done
  # shellcheck source=/dev/null
  set -a && . "$folder/secrets.env" && . "$here/imserver.env" && set +a
  # Nothing of it can be reached from another machine.
  export IMSERVER__AUTH__DEMO_LOGIN=true
  port=${port:-$(free_port)}
  # The URLs of pictures begin with it, and a page shows pictures of its own origin only.
  export IMSERVER__SERVER__PUBLIC_URL=http://127.0.0.1:$port
  [ ${#caller[@]} -eq 0 ] || export "${caller[@]}"

  start_postgres
  start_redis
  export IMSERVER__DATABASE__URL="postgres://imserver:$IMSERVER_DATABASE_PASSWORD@127.0.0.1:$postgres_port/imserver"
  export IMSERVER__BUS__URL="redis://imserver:$IMSERVER_REDIS_PASSWORD@127.0.0.1:$redis_port"
  if [ -n "$is_bare" ]; then
    (umask 077 && printf '%s\n' "IMSERVER__DATABASE__URL=$IMSERVER__DATABASE__URL" \
      "IMSERVER__BUS__URL=$IMSERVER__BUS__URL" >"$folder/urls.env")
    trap - EXIT
    status
    return
  fi
  (cd "$folder" && "$program" migrate >"$folder/logs/migrate.log" 2>&1) || fail "the migration failed"
  for ((number = 1; number <= replicas; number++)); do
    IMSERVER__SERVER__LISTEN=127.0.0.1:$(free_port)
    IMSERVER__METRICS__LISTEN=127.0.0.1:$(free_port)
    export IMSERVER__SERVER__LISTEN IMSERVER__METRICS__LISTEN
    start "imserver-$number" "$program"
  done
  : >"$folder/nginx/upstreams.conf"
  for ((number = 1; number <= replicas; number++)); do
    await "imserver-$number" listens "imserver-$number"
    echo "server $(address_of "imserver-$number") max_fails=1 fail_timeout=2s;" \
      >>"$folder/nginx/upstreams.conf"
  done
  start_nginx "$port"
  trap - EXIT
  status
}

come_down_half_way() {
  trap - EXIT
  end_all
  rm -rf "$folder"/{postgres,redis,nginx,pids,commands,ports,script,secrets.env,urls.env}
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
  echo "$postgres_port" >"$folder/postgres/port"
  export PGHOST=127.0.0.1 PGPORT=$postgres_port
  await postgres postgres_answers
  PGPASSWORD=$IMSERVER_POSTGRES_PASSWORD PATH=$programs:$PATH "$here/postgres/role.sh" \
    >"$folder/logs/role.log" 2>&1
}

postgres_answers() {
  "$(postgres_programs)/pg_isready" --quiet --host=127.0.0.1 --port="$(cat "$folder/postgres/port")" \
    --username=postgres
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
  echo "$redis_port" >"$folder/redis/port"
  REDIS_FOLDER=$folder/redis start redis "$here/redis/start.sh" --bind 127.0.0.1 --port "$redis_port"
  await redis redis_answers
}

redis_answers() {
  REDISCLI_AUTH=$IMSERVER_REDIS_PASSWORD timeout 5 redis-cli -p "$(cat "$folder/redis/port")" \
    --user imserver ping 2>&1 | grep -qx PONG
}

# start_nginx PORT
start_nginx() {
  local globals=()
  cp "$here"/nginx/{nginx.conf,admin.allow} "$folder/nginx/"
  echo "listen 127.0.0.1:$1 backlog=65535;" >"$folder/nginx/listen.conf"
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

# start NAME COMMAND...: in the background, in a group of its own, with a log; and notes how.
start() {
  local name=$1 setting
  shift
  (
    umask 077
    {
      echo '#!/usr/bin/env bash'
      # shellcheck disable=SC2016 # For the one who runs it.
      echo 'unset "${!IMSERVER@}"'
      for setting in "${!IMSERVER@}" REDIS_FOLDER PATH; do
        [ -z "${!setting+set}" ] || printf 'export %s=%q\n' "$setting" "${!setting}"
      done
      printf 'cd %q && exec' "$folder"
      # On the cores of whoever started it first.
      ! command -v taskset >/dev/null || printf ' taskset -c %s' "$(taskset -cp $$ | sed 's/.*: //')"
      printf ' %q' "$@"
      echo
    } >"$folder/commands/$name"
    chmod 700 "$folder/commands/$name"
  )
  launch "$name"
}

# launch NAME: as it was noted.
launch() {
  set -m
  "$folder/commands/$1" >>"$folder/logs/$1.log" 2>&1 </dev/null &
  set +m
  # The time of its start tells it from another that gets its number later.
  echo "$! $(started_at $!)" >"$folder/pids/$1"
  disown
}

# The verb `start`: until it answers. What it needs may be away as well, so it is started again when
# it ends, like a container.
start_again() {
  local name=${1:-} deadline=$((SECONDS + 60))
  [ -d "$folder/pids" ] || fail "no stack in $folder"
  [[ $name =~ ^[a-z0-9-]+$ && -f $folder/commands/$name ]] ||
    fail "start: there is no \`$name\`, but: $(names | xargs)"
  ! is_alive "$name" || fail "$name runs"
  # shellcheck source=/dev/null
  . "$folder/secrets.env"
  # Workers outlive an nginx that was killed, and keep its port.
  if ps -e -o pgid=,comm= | grep -qx " *$(pid_of "$name") nginx"; then
    kill -KILL -- "-$(pid_of "$name")"
  fi
  until is_alive "$name" && has_come_up "$name"; do
    ((SECONDS < deadline)) || fail "$name is not there after a minute"
    # Of a Postgres that was killed, processes live on for a moment and hold its folder.
    is_alive "$name" || { sleep 0.1 && launch "$name"; }
    sleep 0.1
  done
}

# has_come_up NAME
has_come_up() {
  case "$1" in
    postgres) postgres_answers ;;
    redis) redis_answers ;;
    nginx) is_open "127.0.0.1:$(cat "$folder/nginx/port")" ;;
    # Its port is open while it looks for what it needs, and may yet end for want of it.
    *) curl --silent --fail --max-time 5 --output /dev/null "http://$(address_of "$1")/healthz" ;;
  esac
}

# is_open HOST:PORT
is_open() {
  (: >"/dev/tcp/${1%:*}/${1##*:}") 2>/dev/null
}

# started_at PID: empty if the process has ended, even if nobody has waited for it yet.
started_at() {
  if [ -d /proc/self ]; then
    # In ticks. What `ps` makes of them may be a second off from one call to the next.
    sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" { print $20 }' || true
  else
    ps -o stat=,lstart= -p "$1" 2>/dev/null | sed -n '/^Z/d; s/^[^ ]* *//p' || true
  fi
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
  sed -n 's/^imserver .* listens on http:\/\///p' "$folder/logs/$1.log" | tail -n 1
}

metrics_of() {
  sed -n 's/^  metrics  *http:\/\///p' "$folder/logs/$1.log" | tail -n 1
}

listens() {
  [ -n "$(address_of "$1")" ]
}

# A port below those that the kernel gives out by itself, so that it stays free until it is used, and
# while what uses it is away.
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    is_open "127.0.0.1:$port" || grep -qsx "$port" "$folder/ports" || break
  done
  echo "$port" | tee -a "$folder/ports"
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
    elif [ -f "$folder/$name/port" ]; then
      echo "$name: pid $(pid_of "$name"), 127.0.0.1:$(cat "$folder/$name/port")"
    else
      echo "$name: pid $(pid_of "$name")"
    fi
  done
  [ ! -f "$folder/urls.env" ] || echo "URLs     $folder/urls.env"
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
  start) start_again "$@" ;;
  *)
    usage
    [ "$verb" = help ] || fail "there is no verb \`$verb\`"
    ;;
esac
