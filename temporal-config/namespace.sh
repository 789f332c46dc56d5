#!/bin/sh
# Registers the namespace and the search attributes by which the Web UI finds runs.
# Repeated, it adds what is missing. TEMPORAL_ADDRESS says where the server is.
#
# A month of closed runs is kept: 720 of the hourly one.
set -eu
namespace=${TEMPORAL_NAMESPACE:-default}
retention=30d

if ! temporal operator namespace describe --namespace "$namespace" > /dev/null 2>&1; then
    temporal operator namespace create --namespace "$namespace" --retention "$retention"
fi

# The server learns of a new namespace when it next looks, within some seconds.
tries=60
until there=$(temporal operator search-attribute list --namespace "$namespace"); do
    tries=$((tries - 1))
    if [ "$tries" = 0 ]; then
        echo "the namespace $namespace cannot be used after a minute: look at the server's log" >&2
        exit 1
    fi
    sleep 1
done

attribute() {
    case $there in
    *"$1 "*) echo "search attribute $1 is registered" ;;
    *) temporal operator search-attribute create --namespace "$namespace" --name "$1" --type "$2" ;;
    esac
}

# internal/temporalclient/attributes.go has the same list, which a test compares.
attribute CovidSource Keyword
attribute CovidRelease Int
attribute CovidRows Int
attribute CovidRejects Int
