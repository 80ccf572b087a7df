#!/usr/bin/env bash
# Tries out docker-compose.yml on this machine, for people with a Docker engine: builds and starts everything under a
# name, ports, passwords and volumes of its own, puts posts of a crisis in, looks for them in Elasticsearch, for the
# alert, for its mail in the outbox and for the dashboards, and removes all of it again (`--keep` leaves it running).
# Needs 8 GB of memory, 10 GB of disk, and the registries of the images.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

step() { echo "smoke: $*"; }
fail() {
  echo "smoke: FAILED: $*" >&2
  exit 1
}

docker compose version >/dev/null 2>&1 || fail "docker compose is missing"
docker info >/dev/null 2>&1 || fail "the Docker engine does not answer"

folder="$(mktemp -d)"
deploy/compose/env.sh "$folder" >/dev/null
# The shell's variables go before those of the file.
export SECRETS_FOLDER="$folder/deploy/compose/secrets" CONFIG_FOLDER="$folder/deploy/compose/config"
export ELASTIC_PORT=19200 KIBANA_PORT=15601
export ELASTIC_HEAP=1g ELASTIC_MEMORY=2g KIBANA_MEMORY=1500m
compose() { docker compose --env-file "$folder/.env" --project-name yujing-smoke "$@"; }
inside() { compose exec -T "$@"; }

ended() {
  local code=$?
  if [ "$code" != 0 ]; then
    compose ps --all >&2 || true
    compose logs --tail 40 >&2 || true
  fi
  if [ "${keep:-}" ]; then
    step "left running; end it with: docker compose --project-name yujing-smoke down --volumes"
  else
    compose down --volumes --timeout 30 >/dev/null 2>&1 || true
    rm -rf "$folder"
  fi
  exit "$code"
}
keep=""
[ "${1:-}" != "--keep" ] || keep=1
trap ended EXIT

# wait SECONDS WHAT COMMAND…: until the command succeeds.
wait_for() {
  local until=$((SECONDS + $1)) what="$2"
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$until" ] || fail "$what: not within the time"
    sleep 5
  done
  step "$what"
}

# state SERVICE FORMAT WANTED: of its (first) container.
state() { [ "$(docker inspect --format "$2" "$(compose ps --all --quiet "$1" | head -n 1)")" = "$3" ]; }
healthy() { state "$1" '{{.State.Health.Status}}' healthy; }
completed() { state "$1" '{{.State.Status}} {{.State.ExitCode}}' "exited 0"; }

# asked USER FILE URL: the answer on stdout.
asked() {
  curl --silent --show-error --fail --max-time 30 --header 'kbn-xsrf: true' \
    --config <(printf 'user = "%s:%s"\n' "$1" "$(cat "$SECRETS_FOLDER/$2")") "$3"
}

step "building and starting (the first time, this fetches 3 GB)"
compose build --quiet prepare
compose up --detach --scale worker=2
for service in elasticsearch redis postgresql kibana scheduler worker deliver; do
  wait_for 600 "$service is healthy" healthy "$service"
done
for service in volumes users prepare dashboards; do
  wait_for 300 "$service is done" completed "$service"
done

step "posts of a crisis"
inside scheduler python - <<'PYTHON' > "$folder/posts.jsonl"
import json
from datetime import UTC, datetime, timedelta

for number in range(24):
    at = datetime.now(UTC) - timedelta(minutes=2 * number + 1)
    text = f"云桥金融提现第{number}天还不到账，客服电话打不通，我的钱取不出来了，大家小心"
    print(json.dumps({"id": f"smoke-{number}", "author": f"用户{number}", "text": text, "published_at": at.isoformat()}))
PYTHON
inside scheduler sh -c 'cat > /tmp/posts.jsonl && yujing import /tmp/posts.jsonl' < "$folder/posts.jsonl"

stored() { [ "$(asked elastic elastic_password "http://127.0.0.1:$ELASTIC_PORT/yujing-posts/_count" \
  | grep -o '"count":[0-9]*')" = '"count":24' ]; }
wait_for 180 "24 posts are in Elasticsearch" stored
# No grep -q: it ends at the first match, and what writes into the pipe then fails.
found() { inside worker yujing search '"提现"' | grep 提现 >/dev/null; }
wait_for 60 "yujing search finds them" found

inside scheduler yujing watch --once >/dev/null
alerted() { inside scheduler yujing status --json | grep '"brand": "yunqiao"' >/dev/null; }
wait_for 60 "the alert is there" alerted
mailed() { inside deliver yujing status --json | grep -E '"outbox": \{"waiting": [1-9]' >/dev/null; }
wait_for 120 "its mails are in the outbox" mailed

for kind in dashboard lens search; do
  found="$(asked yujing_reader kibana_reader_password \
    "http://127.0.0.1:$KIBANA_PORT/api/saved_objects/_find?type=$kind&per_page=1" | grep -o '"total":[0-9]*')"
  [ "${found#*:}" -gt 0 ] || [ "$kind" != dashboard ] || fail "Kibana has no dashboards"
  step "Kibana has ${found#*:} objects of type $kind"
done

# From inside: what `docker kill` ended is not started again.
inside worker sh -c 'kill -KILL -1' || true
wait_for 120 "a worker that was killed runs again" state worker '{{.State.Running}} {{.RestartCount}}' "true 1"
step "all of it works"
