#!/bin/bash
# Runs once in a container beside Elasticsearch: Kibana's password, and a role and a user of the same name for the
# service (yujing), for the import of the dashboards (yujing_importer) and for people (yujing_reader).
# Doing it again changes nothing, or sets passwords that were changed in their files.
set -euo pipefail
secrets="${SECRETS:-/run/secrets}"
roles="${ROLES:-/setup/roles}"

# ask METHOD PATH: sends stdin. The password stands in no argument list.
ask() {
  curl --silent --show-error --fail --retry 5 --retry-connrefused --max-time 30 --output /dev/null \
    --config <(printf 'user = "elastic:%s"\n' "$(cat "$secrets/elastic_password")") \
    --request "$1" --header 'Content-Type: application/json' --data-binary @- "$ELASTICSEARCH/_security/$2"
}

account() {
  ask PUT "role/$1" < "$roles/$1.json"
  printf '{"password": "%s", "roles": ["%s"]}' "$(cat "$secrets/$2")" "$1" | ask PUT "user/$1"
  echo "users: $1"
}

printf '{"password": "%s"}' "$(cat "$secrets/kibana_system_password")" | ask POST user/kibana_system/_password
echo "users: kibana_system"
account yujing yujing_posts_password
account yujing_importer kibana_importer_password
account yujing_reader kibana_reader_password
