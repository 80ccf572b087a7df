#!/usr/bin/env bash
# What docker-compose.yml needs beside itself (`make compose-env`): .env with the settings, random passwords, one a
# file, and a copy of the configuration to edit, which git does not know, so that an upgrade meets no edited file.
# Nothing that is there is changed and no password is printed; run again after an upgrade, it adds what is new.
#
# env.sh [FOLDER]: where to write .env, and what its SECRETS_FOLDER and CONFIG_FOLDER name; default: the repository.
set -euo pipefail
umask 077
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
folder="$(cd "${1:-$here/../..}" && pwd)"

# named SETTING: the folder that it names in .env, or in the template.
named() {
  local value
  value="$(cat "$folder/.env" "$here/env.template" 2>/dev/null | sed -n "s/^$1=//p" | head -n 1)"
  case "$value" in
    /*) echo "$value" ;;
    *) echo "$folder/${value#./}" ;;
  esac
}
secrets="$(named SECRETS_FOLDER)"
config="$(named CONFIG_FOLDER)"

# Passwords that only the programs know, and keys: 48 hexadecimal digits need no escaping anywhere.
names=(elastic_password kibana_system_password kibana_objects_key kibana_session_key kibana_importer_password
  kibana_reader_password redis_password postgres_password yujing_ledger_password yujing_posts_password yujing_secret)

# Writes stdin into a file that is not there yet: whole or not at all, the first of two wins.
fresh() {
  local draft
  [ ! -e "$1" ] || return 1
  draft="$(mktemp "$1.XXXXXX")"
  cat > "$draft"
  chmod "$2" "$draft"
  ln "$draft" "$1" 2>/dev/null || { rm -f "$draft"; return 1; }
  rm -f "$draft"
}

digits() { head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

mkdir -p "$secrets"
chmod 700 "$secrets"
made=0
for name in "${names[@]}"; do
  # Readable for every container's user; on this machine the folder keeps everybody else out.
  if digits | fresh "$secrets/$name" 444; then made=$((made + 1)); fi
done
fresh "$secrets/smtp_password" 644 </dev/null || true

mkdir -p "$(dirname "$config")"
if mkdir "$config" 2>/dev/null; then
  cp -R "$here"/../../config/*.yaml "$here/../../config/plans" "$config"
  chmod -R a+rX "$config"
  echo "compose: copied the configuration to $config, for you to edit"
fi

if fresh "$folder/.env" 600 < "$here/env.template"; then
  echo "compose: wrote .env"
else
  # An upgrade may bring settings that an older .env does not have.
  while IFS= read -r line; do
    grep -q "^${line%%=*}=" "$folder/.env" && continue
    [ -z "$(tail -c 1 "$folder/.env")" ] || echo >> "$folder/.env"
    echo "$line" >> "$folder/.env"
    echo "compose: added ${line%%=*} to .env"
  done < <(grep -E '^[A-Z_]+=' "$here/env.template")
  echo "compose: kept .env"
fi
echo "compose: made $made of ${#names[@]} passwords in $secrets, kept the others; the mail server's goes into smtp_password"
echo "compose: people open Kibana as 'yujing_reader' with the password in kibana_reader_password"

# The containers read these as users of their own.
unreadable="$(find "$here" "$here/../elasticsearch" "$config" -path "$secrets" -prune -o ! -perm -o=r -print
  find "$secrets" -type f ! -perm -o=r)"
[ -z "$unreadable" ] || printf 'compose: not readable for everybody (chmod a+rX):\n%s\n' "$unreadable" >&2
