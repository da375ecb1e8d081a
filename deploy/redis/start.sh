#!/bin/sh
# Starts Redis with one user, who may do what the service does and on its keys and channels only.
# Arguments are more of redis-server's own. REDIS_FOLDER is where the list of users is written, which
# must not be the repository.
set -eu
: "${IMSERVER_REDIS_PASSWORD:?is the password of the user imserver}"
umask 077
folder=${REDIS_FOLDER:-/run/redis}

cat >"$folder/users.acl" <<ACL
user default off
user imserver on >$IMSERVER_REDIS_PASSWORD resetkeys resetchannels ~imserver:* &imserver:* -@all +@connection +@pubsub +@scripting +@transaction +@keyspace +@string +@hash +@list +@set +@sortedset +time -@dangerous -@admin +info
ACL

exec redis-server "$(dirname "$0")/redis.conf" --aclfile "$folder/users.acl" --dir "$folder" "$@"
