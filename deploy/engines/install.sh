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
PACKAGES=(redis-server postgresql chromium fonts-noto-cjk unzip curl ca-certificates)
JAVA=(openjdk-17-jre-headless openjdk-21-jre-headless openjdk-25-jre-headless default-jre-headless)

if [ "$(id -u)" = 0 ]; then
  folder=/var/cache/yujing/engines
else
  folder="${XDG_CACHE_HOME:-$HOME/.cache}/yujing/engines"
fi
folder="${YUJING_ENGINES:-$folder}"

missing() { echo "engines: $*" >&2; }

# No `| grep -q`: it ends at the first match, and with pipefail whoever still writes to it has failed.
present() { [[ "$(dpkg-query -W -f='${Status}' "$1" 2>/dev/null)" == *'ok installed'* ]]; }
offered() { [[ "$(LC_ALL=C apt-cache policy "$1")" == *'Candidate: '[!\(]* ]]; }
# Debian starts what it installs: these servers are started by the tests alone, with data of their own.
apt() { DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq -o DPkg::Lock::Timeout=600 "$@" >/dev/null; }

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  wanted=()
  for package in "${PACKAGES[@]}"; do
    present "$package" || wanted+=("$package")
  done
  command -v java >/dev/null || wanted+=("java")
  if [ "${#wanted[@]}" -gt 0 ]; then
    echo "engines: installing ${wanted[*]}" >&2
    apt update || missing "the lists of packages cannot be fetched"
    found=()
    # What a release does not have must not keep the others away: Ubuntu has no Chromium, Debian 13 no Java 17.
    for package in "${wanted[@]}"; do
      if [ "$package" != java ]; then
        ! offered "$package" || found+=("$package")
        continue
      fi
      for each in "${JAVA[@]}"; do
        if offered "$each"; then found+=("$each") && break; fi
      done
    done
    [ "${#found[@]}" = 0 ] || apt install -y --no-install-recommends "${found[@]}" || missing "apt-get failed"
  fi
fi

if [ ! -x "$folder/elasticsearch-$VERSION/bin/elasticsearch" ]; then
  url="$MAVEN/org/elasticsearch/distribution/integ-test-zip/elasticsearch/$VERSION/elasticsearch-$VERSION.zip"
  if ! command -v curl >/dev/null || ! command -v unzip >/dev/null; then
    missing "Elasticsearch is not installed: that needs curl and unzip"
  elif ! mkdir -p "$folder" || ! draft="$(mktemp -d "$folder/.draft-XXXXXX")"; then
    missing "Elasticsearch is not installed: $folder cannot be written"
  else
    trap 'rm -rf "$draft"' EXIT
    if ! curl -fsSL --retry 3 --connect-timeout 30 --speed-limit 10000 --speed-time 60 -o "$draft/elasticsearch.zip" "$url"; then
      missing "Elasticsearch cannot be fetched from Maven Central"
    elif ! echo "$SHA256  $draft/elasticsearch.zip" | sha256sum --check --status; then
      missing "the file from Maven Central is not Elasticsearch $VERSION as we know it"
      exit 1
    elif ! unzip -q "$draft/elasticsearch.zip" -d "$draft"; then
      missing "Elasticsearch cannot be unpacked into $folder"
    else
      chmod -R a+rX "$draft/elasticsearch-$VERSION"
      chmod a+rx "$folder"
      # Of two runs at once, the first wins.
      mv -T "$draft/elasticsearch-$VERSION" "$folder/elasticsearch-$VERSION" 2>/dev/null \
        || [ -x "$folder/elasticsearch-$VERSION/bin/elasticsearch" ] \
        || missing "Elasticsearch cannot be moved into $folder"
    fi
  fi
fi

for command in redis-server java chromium; do
  command -v "$command" >/dev/null || missing "$command is not installed"
done
ls -d /usr/lib/postgresql/*/bin >/dev/null 2>&1 || command -v postgres >/dev/null || missing "PostgreSQL is not installed"
