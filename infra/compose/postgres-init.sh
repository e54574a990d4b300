#!/bin/sh
# Makes one database for the vault and one for Airflow; neither's owner may enter the other. The vault's offices
# get a role each, which may do nothing until `dsr migrate` says what. The server's own databases are closed to all.
set -eu
make_database() { # NAME PASSWORD_FILE
    password=$(cat "$2")
    psql --quiet --no-password --username "$POSTGRES_USER" --dbname postgres \
        --set ON_ERROR_STOP=1 --set name="$1" --set password="$password" <<'SQL'
create role :"name" login password :'password';
create database :"name" owner :"name";
revoke all on database :"name" from public;
SQL
}
make_role() { # NAME PASSWORD_FILE
    password=$(cat "$2")
    psql --quiet --no-password --username "$POSTGRES_USER" --dbname postgres \
        --set ON_ERROR_STOP=1 --set name="$1" --set password="$password" <<'SQL'
create role :"name" login noinherit password :'password';
SQL
}
psql --quiet --no-password --username "$POSTGRES_USER" --dbname postgres --set ON_ERROR_STOP=1 \
    --command "revoke all on database postgres, template1 from public"
make_database dsr_vault /run/secrets/database_vault_password
make_database airflow /run/secrets/database_airflow_password
for office in intake collector desk sealer print keeper registry audit operator; do
    make_role "dsr_vault_$office" "/run/secrets/database_${office}_password"
done
