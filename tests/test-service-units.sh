#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# systemd finds nothing wrong with the units, and little that they expose.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-service.sh"
requires systemd-analyze --version

mkdir "$tmp/units"
cp "$written/rawview@.socket" "$made/rawview@.service" \
  "$made/rawviewfs@.service" "$tmp/units"
# What is not installed yet cannot be found.
sed -i 's|^ExecStart=[^ ]*|ExecStart=/bin/true|' "$tmp/units"/*.service
cd "$tmp/units"

# verified UNIT: an instance of it.
verified ()
{
  local said=$tmp/verify.log

  SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no "./$1" \
    >"$said" 2>&1 || return 1
  # Other units of the machine are not ours.
  ! grep -q rawview "$said"
}

for unit in rawview@x.socket rawview@x.service rawviewfs@x.service; do
  verified "$unit" || fail "$unit: $(cat "$tmp/verify.log")"
done
sed 's/^PrivateUsers=/PrivateUser=/' 'rawview@.service' >'rawview-bad@.service'
! verified rawview-bad@x.service || fail 'a wrong directive is not found'

# exposes UNIT TENTHS: no more than that, of 100.
exposes ()
{
  systemd-analyze security --no-pager --offline=true --threshold="$2" "$1" \
    >"$tmp/security.log" 2>&1
}

requires systemd-analyze security --no-pager --offline=true rawview@.service
exposes rawview@.service 5 || fail "$(tail -n 1 "$tmp/security.log")"
exposes rawviewfs@.service 40 || fail "$(tail -n 1 "$tmp/security.log")"
grep -v '^PrivateNetwork=' rawview@.service >open@.service
! exposes open@.service 5 || fail 'the threshold does not matter'
