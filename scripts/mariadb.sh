#!/bin/sh
# Installs Debian's MariaDB, which the tests of tenants' databases start for themselves, where it is absent and that is possible.
set -eu
if PATH="$PATH:/usr/sbin" command -v mariadbd >/dev/null; then
  exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "MariaDB is absent and can't be installed here (that takes root and apt-get): the tests of tenants' databases are skipped." >&2
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
install() {
  apt-get install --yes --quiet --quiet --no-install-recommends mariadb-server >/dev/null
}
echo "Installing MariaDB for the tests of tenants' databases, once: about 40 seconds" >&2
install 2>/dev/null || { apt-get update --quiet --quiet && install; } ||
  echo "MariaDB could not be installed: the tests of tenants' databases are skipped." >&2
