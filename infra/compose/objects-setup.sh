#!/bin/sh
# Makes both buckets, the log's with Object Lock, and the one user that may use them and nothing else.
set -eu
secret() { cat "/run/secrets/$1"; }
mc alias set store http://objects:9000 "$(secret objects_root_user)" "$(secret objects_root_password)" >/dev/null
mc mb --ignore-existing store/dsr-vault
mc mb --ignore-existing --with-lock store/dsr-vault-log
mc admin policy create store dsr-vault /etc/dsr-vault/objects-policy.json
mc admin user add store "$(secret objects_access_key)" "$(secret objects_secret_key)" >/dev/null
mc admin policy attach store dsr-vault --user "$(secret objects_access_key)" || true # attached already
