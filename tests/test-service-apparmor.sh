#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The parser of AppArmor takes the profiles, with an installation's own lines
# too; nothing in them opens the network, all files, or a way out.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-service.sh"
PATH=$PATH:/usr/sbin:/sbin
requires apparmor_parser --version
requires test -e /etc/apparmor.d/tunables/global

# parsed FILE: syntax and includes, without a kernel and without a cache.
parsed ()
{
  apparmor_parser -QK -I "$tmp/etc" -I /etc/apparmor.d "$1" >"$tmp/parser.log" 2>&1
}

mkdir -p "$tmp/etc/tunables" "$tmp/etc/local"
parsed "$made/apparmor.d/rawview" || fail "$(cat "$tmp/parser.log")"
apparmor_parser -N -QK "$made/apparmor.d/rawview" 2>/dev/null | sort >"$tmp/names"
printf '%s\n' rawview rawview-nbdkit rawviewfs | cmp - "$tmp/names" ||
  fail 'other profiles than the units name'
for unit in "$made"/*.service; do
  name=$(sed -n 's/^AppArmorProfile=-//p' "$unit")
  grep -qx -e "$name" "$tmp/names" || fail "$unit names no profile: $name"
done

echo '@{rawview_images} += /data/vms' >"$tmp/etc/tunables/rawview.d"
echo '/data/vms/** rwk,' >"$tmp/etc/local/rawview-nbdkit"
parsed "$made/apparmor.d/rawview" || fail "$(cat "$tmp/parser.log")"
echo 'this is no rule' >"$tmp/etc/local/rawview-nbdkit"
! parsed "$made/apparmor.d/rawview" || fail 'a wrong rule is not found'

# Without comments and what is denied.
grep -Ev '^ *(#|deny )' "$made/apparmor.d/rawview" >"$tmp/rules"
! grep -En 'network|capability,|file,|[ ,](ux|Ux|pux|PUx)|@[A-Za-z]+@' \
  "$tmp/rules" || fail 'too much is allowed'
