#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Keys reach virt-v2v by files that nobody else can read, in memory, and only
# so: no process has one in its arguments or environment.  The files go, those
# of a process that was killed at the next start.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-tools.sh"
requires_guestcheck
requires python3 --version
cd "$tmp"

# A place of the test's own, so that others' folders are not counted.
if [ "$(stat -f -c %T /dev/shm 2>/dev/null)" = tmpfs ]; then
  runtime=$(mktemp -d /dev/shm/rawview-test.XXXXXX)
  cleanup_fn rm -rf "$runtime"
else
  skip 'there is no /dev/shm'
fi
export XDG_RUNTIME_DIR=$runtime
secret="correct horse $$ battery"
umask 077
cat >vault <<END
{ "web 1": [ { "device": "/dev/sda2", "key": "$secret" },
             { "device": "/dev/mapper/vg-home", "key": "ключ $$" } ] }
END
umask 022

# What virt-v2v would see.
cat >looks.sh <<'END'
#!/bin/bash
set -eu
[ "$#" -eq 4 ] && [ "$1" = --key ] && [ "$3" = --key ]
[[ $2 == /dev/sda2:file:/* && $4 == /dev/mapper/vg-home:file:/* ]]
for argument in "$2" "$4"; do
  path=${argument#*:file:}
  cat "$path"
  echo
  stat -c %a "$path" "$(dirname "$path")"
  stat -f -c %T "$path"
done
./who-shows
END
# Which processes show a key in their command line or environment?
printf '%s\n' "$secret" "ключ $$" >patterns
cat >who-shows <<'END'
#!/bin/bash
for process in /proc/[0-9]*; do
  ! grep -aqFf patterns "$process/cmdline" "$process/environ" 2>/dev/null ||
    echo "process ${process#/proc/} shows a key"
done
END
chmod +x looks.sh who-shows

# Those who do are seen.
bash -c 'until [ -e seen ]; do sleep 0.02; done' "$secret" &
in_arguments=$!
cleanup_fn stop_process "$in_arguments"
shown="x$secret" bash -c 'until [ -e seen ]; do sleep 0.02; done' &
in_environment=$!
cleanup_fn stop_process "$in_environment"
both_are_seen ()
{
  ./who-shows >shown
  grep -q "process $in_arguments " shown &&
    grep -q "process $in_environment " shown
}
wait_until 30 both_are_seen || fail 'this test sees nothing'
touch seen
wait "$in_arguments" "$in_environment"
nobody_does () { [ -z "$(./who-shows)" ]; }
wait_until 30 nobody_does || fail 'who else shows a key?'

"$guestcheck" vault --luks-keys-vault=vault 'web 1' ./looks.sh >out 2>err ||
  { cat out err; fail 'the program that is given the keys failed'; }
printf '%s\n600\n700\ntmpfs\nключ %s\n600\n700\ntmpfs\n' "$secret" $$ |
  diff - out || fail 'this is not what virt-v2v is to see'
[ ! -s err ] || { cat err; fail 'something was said'; }
[ -z "$(ls -A "$runtime")" ] || fail 'the keys are still there'

# A program that fails, or does not exist: they go all the same.
! "$guestcheck" vault --luks-keys-vault=vault 'web 1' /bin/false 2>/dev/null ||
  fail 'the failure is lost'
! "$guestcheck" vault --luks-keys-vault=vault 'web 1' /nosuch 2>/dev/null ||
  fail 'the failure is lost'
[ -z "$(ls -A "$runtime")" ] || fail 'the keys are still there'

# Killed: the next one removes what is left, but nothing that is in use.
{ "$guestcheck" die --luks-keys-vault=vault 'web 1' || true; } 2>/dev/null
[ "$(find "$runtime" -type f | wc -l)" -eq 2 ] || fail 'it was not killed'
left=$(ls "$runtime")
cat >waits.sh <<'END'
#!/bin/bash
touch "$TMP/waiting"
while [ -e "$TMP/waiting" ] && [ ! -e "$TMP/go" ]; do sleep 0.02; done
END
chmod +x waits.sh
TMP=$tmp "$guestcheck" vault --luks-keys-vault=vault 'web 1' ./waits.sh &
pid=$!
cleanup_fn stop_process "$pid"
wait_until 60 test -e waiting || fail 'the program does not start'
# Once they are handed on, they are wiped from our own memory.
cat >memory.py <<'END'
import sys
pid, key = sys.argv[1], open("patterns", "rb").readline().strip()
pieces = found = 0
with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as mem:
    for line in maps:
        addresses, mode = line.split()[:2]
        if mode.startswith("rw"):  # less than what sanitizers reserve
            first, end = (int(a, 16) for a in addresses.split("-"))
            end = min(end, first + (1 << 30))
            mem.seek(first)
            memory = mem.read(end - first)
            found += key in memory
            pieces += b"GUEST PROGRAM" in memory or b"waits.sh" in memory
print("found" if found else "nothing" if pieces else "unseen")
END
if seen=$(python3 memory.py "$pid" 2>/dev/null); then
  [ "$seen" = nothing ] || fail "keys in memory: $seen"
fi
[ ! -e "$runtime/$left" ] || fail 'what was left is not removed'
used=$(ls "$runtime")
"$guestcheck" vault --luks-keys-vault=vault 'web 1' /bin/true
[ "$(ls "$runtime")" = "$used" ] || fail 'keys in use were removed'
touch go
wait "$pid"
[ -z "$(ls -A "$runtime")" ] || fail 'the keys are still there'

# Somebody else's, and what only looks like it, is not touched.
mkdir "$runtime/rawview-keys-others" "$runtime/mine"
touch "$runtime/rawview-keys-file"
if [ "$(id -u)" -eq 0 ]; then
  chown 12345 "$runtime/rawview-keys-others"
  "$guestcheck" vault --luks-keys-vault=vault 'web 1' /bin/true
  [ -e "$runtime/rawview-keys-others" ] || fail 'that was not ours'
fi
ls -d "$runtime/rawview-keys-file" "$runtime/mine" >/dev/null ||
  fail 'that was not a folder of keys'
