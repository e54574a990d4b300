#!/bin/sh
# Starts Redis with a password that stands on no command line; it keeps nothing on disk.
set -eu
umask 077
printf 'requirepass %s\nsave ""\nappendonly no\ndir /data\n' "$(cat /run/secrets/redis_password)" >/tmp/redis.conf
exec redis-server /tmp/redis.conf
