#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A vault of keys that others can reach is refused, and what is wrong with one
# is said without a word of what is in it.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-tools.sh"
requires_guestcheck
cd "$tmp"
export HOME=$tmp
secret=correct-horse-battery-staple

# vault STATUS [ARG…]
vault ()
{
  local expected=$1 status=0

  shift
  timeout 60 "$guestcheck" vault "$@" web1 /bin/echo >out 2>err || status=$?
  [ "$status" -eq "$expected" ] ||
    { cat out err; fail "status $status, not $expected: vault $*"; }
  ! grep -q "$secret" out err || fail 'a key is shown'
}

# refused STATUS PATTERN: the file named "vault", and the default one too.
refused ()
{
  vault "$1" --luks-keys-vault=vault
  matches err "^rawview: vault: .*$2"
  rm -rf .v2v_luks_keys_vault.json
  mv vault .v2v_luks_keys_vault.json
  vault "$1"
  matches err "^rawview: $tmp/.v2v_luks_keys_vault.json: .*$2"
  rm -rf .v2v_luks_keys_vault.json
}

write_vault () { (umask 077 && cat >vault); }
good ()
{
  write_vault <<END
{ "web1": [ { "device": "/dev/sda2", "key": "$secret" } ], "db1": [] }
END
}

# There need not be one, unless it was named.
vault 0
[ "$(cat out)" = '' ] || fail 'keys out of nothing'
vault 1 --luks-keys-vault=vault
matches err '^rawview: vault: No such file'

# The good one, so that what follows is about what is different.
good
vault 0 --luks-keys-vault=vault
matches out '^--key /dev/sda2:file:/'
mv vault .v2v_luks_keys_vault.json
vault 0
matches out '^--key /dev/sda2:file:/'

# Modes.
for mode in 0640 0604 0620 0602 0610 0601 0777; do
  good
  chmod "$mode" vault
  refused 6 "group or others have access .*mode $mode"
done

# Not a file, not the file, somebody else's.
good
mv vault real
ln -s real vault
refused 6 'symbolic link'
mkfifo -m 600 vault
refused 6 'regular file'
mkdir -m 700 vault
refused 6 'regular file'
if [ "$(id -u)" -eq 0 ]; then
  good
  chown 12345 vault
  refused 6 'somebody else .user 12345'
fi

# Too long, and not what it should be.
{ good && head -c 1048576 /dev/zero | tr '\0' ' ' >>vault; }
refused 7 '1048576 bytes'
echo "{ \"web1\": [ { \"key\": \"$secret\" \"x\" ] }" | write_vault
refused 3 'line 1: this is not JSON'
printf '{\n"web1": "%s' "$secret" | write_vault
refused 3 'this is not JSON'
: | write_vault
refused 3 'this is not JSON'
echo "{ \"web1\": [], \"web1\": [ \"$secret\" ] }" | write_vault
refused 3 'key twice'
(yes '[' | head -n 100000 || true) | write_vault
refused 3 'this is not JSON'
echo "[ \"$secret\" ]" | write_vault
refused 3 'object with a list per guest'
echo "{ \"web1\": \"$secret\" }" | write_vault
refused 3 'must have a list'
for entry in "\"$secret\"" "{ \"key\": \"$secret\" }" \
  "{ \"device\": 1, \"key\": \"$secret\" }" \
  "{ \"device\": \"\", \"key\": \"$secret\" }" \
  "{ \"device\": \"a:b\", \"key\": \"$secret\" }" \
  "{ \"device\": \"a\\nb\", \"key\": \"$secret\" }"; do
  echo "{ \"web1\": [ $entry ] }" | write_vault
  refused 3 'entry 1: no .device.'
done
for key in '""' 1 null "\"$secret\\nx\""; do
  echo "{ \"web1\": [ { \"device\": \"/dev/sda1\", \"key\": \"$secret\" },
    { \"device\": \"/dev/sda2\", \"key\": $key } ] }" | write_vault
  refused 3 'entry 2: no .key.'
done
{
  echo '{ "web1": [ { "device": "a", "key": "b" }'
  for (( i = 0; i < 256; i++ )); do echo ',{ "device": "a", "key": "b" }'; done
  echo '] }'
} | write_vault
refused 7 '257 keys'

# Another guest's trouble is not ours.
echo '{ "db1": 1, "web1": [ { "device": "all", "key": "k" } ] }' | write_vault
vault 0 --luks-keys-vault=vault
matches out '^--key all:file:/'
echo '{ "db1": [] }' | write_vault
vault 0 --luks-keys-vault=vault
[ "$(cat out)" = '' ] || fail "another guest's keys"
