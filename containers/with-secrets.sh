#!/bin/sh
# Runs a command with variables whose values are in files, for images that take a
# secret from the environment alone. The values are in the memory of that process:
# `docker inspect` and the compose file do not show them.
#
#   with-secrets.sh NAME=FILE... -- COMMAND [ARG...]
set -eu
while [ "$1" != -- ]; do
    value=$(cat "${1#*=}")
    export "${1%%=*}=$value"
    shift
done
shift
exec "$@"
