#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The commands that look at images are in the sandbox while they do.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-sandbox.sh"
requires_sandbox
requires jq --version

make_raw "$tmp/raw"
make_image qcow2 "$tmp/raw" "$tmp/a.qcow2" -c
# With more tables than are read at once.
make_image qcow2 "$tmp/raw" "$tmp/tables.qcow2" -o cluster_size=4096
make_image vmdk "$tmp/raw" "$tmp/a.vmdk" -o subformat=streamOptimized

# confined COMMAND…: it misbehaves as soon as it is in the sandbox.
confined ()
{
  "${misbehaving[@]}" MISBEHAVE_CONFINED=1 "$@" >"$tmp/out" ||
    fail "status $?: $*"
}

# free COMMAND…: at once
free () { "${misbehaving[@]}" "$@" >"$tmp/out"; }

for command in check map; do
  misbehaviour
  misbehave confined rawview $command "$tmp/tables.qcow2"
  all_denied request EACCES ok
  all_denied thread EACCES ok

  misbehaviour
  misbehave confined rawview $command --sandbox=on "$tmp/tables.qcow2"
  all_denied request EPERM EPERM
  all_denied thread EPERM EPERM

  misbehaviour
  misbehave free rawview $command --sandbox=off "$tmp/tables.qcow2"
  all_allowed request
done

# Of a copy, what was made can be removed should it fail, by Landlock's means.
misbehaviour
misbehave confined rawview copy "$tmp/a.qcow2" -
all_denied request EACCES ok
same "$tmp/raw" "$tmp/out"

misbehaviour
misbehave confined rawview copy --sandbox=on "$tmp/a.qcow2" "$tmp/copy"
same "$tmp/raw" "$tmp/copy"
for what in create overwrite openat2 truncate rename exec connect tcp read; do
  result_of request "$what"
  [ "$result" = EPERM ] || fail "copy to a file: $what: $result"
done

misbehaviour
misbehave free rawview copy --sandbox=off "$tmp/a.qcow2" "$tmp/copy.off"
all_allowed request

# A failed copy is removed.
damage_qcow2 "$tmp/a.qcow2" 40
for mode in auto on; do
  refused "$tmp/said" rawview copy --sandbox=$mode "$tmp/a.qcow2" "$tmp/half"
  [ ! -e "$tmp/half" ] || fail 'a failed copy was left behind'
done

# So is the list of what was lost, if the rescue ends early.
for mode in auto on; do
  ! rawview copy --rescue --sandbox=$mode --mapfile="$tmp/map" \
    "$tmp/a.qcow2" - 2>"$tmp/said" | head -c 1000 >/dev/null ||
    fail 'nobody noticed the broken pipe'
  [ ! -e "$tmp/map" ] || fail 'its mapfile was left behind'
  rm -f "$tmp/copy"
  rawview copy --rescue --sandbox=$mode --mapfile="$tmp/map" "$tmp/a.qcow2" \
    "$tmp/copy" 2>"$tmp/said" || :
  [ -s "$tmp/copy" ] && [ -s "$tmp/map" ] || fail 'nothing was rescued'
  rm "$tmp/map"
done

# From a pipe.
for mode in auto on; do
  rm -f "$tmp/copy"
  rawview copy --sandbox=$mode - "$tmp/copy" <"$tmp/a.vmdk"
  same "$tmp/raw" "$tmp/copy"
done

# To a server, which is connected to before.
if nbdkit --version >/dev/null 2>&1; then
  for mode in auto on; do
    start_nbdkit -P "$tmp/$mode.pid" -U "$tmp/$mode.sock" memory 12M
    rawview copy --sandbox=$mode "$tmp/a.vmdk" \
      "nbd+unix:///?socket=$tmp/$mode.sock"
    rm -f "$tmp/back"
    nbdcopy "nbd+unix:///?socket=$tmp/$mode.sock" "$tmp/back"
    same "$tmp/raw" "$tmp/back"
  done
fi

# What holds is told.
rawview --features | grep -qx "sandbox=$sandbox_means" || fail '--features'
rawview info "$tmp/a.vmdk" >"$tmp/info"
matches "$tmp/info" '^sandbox: sandbox=auto \(Landlock [0-9]+, seccomp\): '
rawview info --json --sandbox=on "$tmp/a.vmdk" >"$tmp/info"
jq -e '.sandbox | startswith ("sandbox=on (Landlock")' "$tmp/info" >/dev/null ||
  fail 'info --json does not tell'
rawview info --json --sandbox=off "$tmp/a.vmdk" >"$tmp/info"
jq -e '.sandbox == "sandbox=off"' "$tmp/info" >/dev/null ||
  fail 'info --json --sandbox=off'
refused "$tmp/said" rawview info --sandbox=perhaps "$tmp/a.vmdk"
matches "$tmp/said" 'sandbox=perhaps: use auto, on or off'
