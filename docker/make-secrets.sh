#!/usr/bin/env bash
# Make the passwords and the certificate that compose.yaml hands to its services, in docker/secrets/. What is there already
# is left alone. Give the name by which other machines reach this one: make-secrets.sh db.lab.example
set -euo pipefail

folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/secrets
name=${1:-localhost}
umask 077
mkdir -p "$folder"
printf '*\n' >"$folder/.gitignore"

make_password() {
    [ -s "$folder/$1" ] || openssl rand -base64 30 | tr '+/' '-_' | tr -d '\n' >"$folder/$1"
}

for role in postgres reader ingester worker admin; do
    make_password "$role.password"
done
make_password object-store.key

# Who may do what in the object store: one identity, which the workers use.
[ -s "$folder/object-store.json" ] || cat >"$folder/object-store.json" <<JSON
{"identities": [{"name": "orofacial", "credentials": [{"accessKey": "orofacial", "secretKey": "$(cat "$folder/object-store.key")"}], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}
JSON

# A certificate that signs itself: clients check it against itself. A lab with an authority of its own puts its files here.
[ -s "$folder/server.pem" ] || openssl req -x509 -newkey rsa:3072 -nodes -days 3650 -subj "/CN=$name" \
    -addext "subjectAltName=DNS:$name,DNS:database,DNS:localhost,IP:127.0.0.1" \
    -keyout "$folder/server.key" -out "$folder/server.pem" 2>/dev/null

echo "secrets are in $folder; back them up where nobody else reads them"
