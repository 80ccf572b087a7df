#!/usr/bin/env bash
# Installs what the tests of the real engines use; does nothing the second time.
#
# As root on Debian or Ubuntu: Redis, PostgreSQL, a Java runtime and Chromium with Chinese fonts from the
# distribution's packages. For everybody: Elasticsearch, from Maven Central, into the folder that
# `python -m deploy.engines` looks in. What cannot be had is named on stderr; its tests are skipped, or fail in CI.
set -euo pipefail

VERSION=8.19.21
SHA256=215d5f3dbf0609a149f6218a9e47b6ae2df34ebbff3c5754e35f15a5e5393c8a
MAVEN="${YUJING_MAVEN:-https://repo1.maven.org/maven2}"
PACKAGES=(redis-server postgresql openjdk-17-jre-headless chromium fonts-noto-cjk unzip curl ca-certificates)

if [ "$(id -u)" = 0 ]; then
  folder=/var/cache/yujing/engines
else
  folder="${XDG_CACHE_HOME:-$HOME/.cache}/yujing/engines"
fi
folder="${YUJING_ENGINES:-$folder}"

missing() { echo "engines: $*" >&2; }

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  wanted=()
  for package in "${PACKAGES[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || wanted+=("$package")
  done
  if [ "${#wanted[@]}" -gt 0 ]; then
    echo "engines: installing ${wanted[*]}" >&2
    export DEBIAN_FRONTEND=noninteractive
    # Debian starts what it installs: these servers are started by the tests alone, with data of their own.
    RUNLEVEL=1 apt-get update -qq >/dev/null
    RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${wanted[@]}" >/dev/null
  fi
fi

if [ ! -x "$folder/elasticsearch-$VERSION/bin/elasticsearch" ]; then
  mkdir -p "$folder"
  draft="$(mktemp -d "$folder/.draft-XXXXXX")"
  trap 'rm -rf "$draft"' EXIT
  url="$MAVEN/org/elasticsearch/distribution/integ-test-zip/elasticsearch/$VERSION/elasticsearch-$VERSION.zip"
  if ! curl -fsSL --retry 3 --max-time 600 -o "$draft/elasticsearch.zip" "$url"; then
    missing "Elasticsearch cannot be fetched from Maven Central"
  elif ! echo "$SHA256  $draft/elasticsearch.zip" | sha256sum --check --status; then
    missing "the file from Maven Central is not Elasticsearch $VERSION as we know it"
    exit 1
  else
    unzip -q "$draft/elasticsearch.zip" -d "$draft"
    chmod -R a+rX "$draft/elasticsearch-$VERSION"
    mv -T "$draft/elasticsearch-$VERSION" "$folder/elasticsearch-$VERSION"
    chmod a+rx "$folder"
  fi
fi

for command in redis-server java chromium; do
  command -v "$command" >/dev/null || missing "$command is not installed"
done
ls -d /usr/lib/postgresql/*/bin >/dev/null 2>&1 || command -v postgres >/dev/null || missing "PostgreSQL is not installed"
