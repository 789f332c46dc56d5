#!/bin/sh
# Makes the secrets of the containers, each in a file of the folder secrets/. One
# that is there stays as it is: the servers keep the password with their data.
#
# Containers run as users of their own and must be able to read the files. So these
# are readable and their folder is closed to everybody but its owner.
set -eu
cd "$(dirname "$0")/.."
umask 077
mkdir -p secrets
chmod 700 secrets

# keep writes its input to a file unless that is there.
keep() {
    if [ -e "secrets/$1" ]; then
        echo "secrets/$1 is there and stays"
        return
    fi
    cat > "secrets/$1.new"
    chmod 444 "secrets/$1.new"
    mv "secrets/$1.new" "secrets/$1"
    echo "secrets/$1 is made"
}

# random gives 32 letters and digits, nothing that a URL or a shell would change.
random() {
    LC_ALL=C tr -dc 'A-Za-z0-9' < /dev/urandom | head -c 32
}

for name in elastic_password postgres_password worker_password dashboard_password \
    temporal_password metabase_password metabase_key; do
    random | keep $name
done
# Metabase wants a digit in it.
printf '%s1' "$(random)" | keep metabase_admin_password

# address makes the address of the warehouse for a user, of a password's file.
address() {
    printf 'postgres://%s:%s@postgres:5432/warehouse?sslmode=disable' "$1" "$(cat "secrets/$2")" | keep "$3"
    case $(cat "secrets/$3") in
    *":$(cat "secrets/$2")@"*) ;;
    *)
        echo "secrets/$3 does not have the password in secrets/$2: remove secrets/$3 and run this again" >&2
        exit 1
        ;;
    esac
}
address covid_worker worker_password database_url
address covid_dashboard dashboard_password dashboard_url
