#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What rawview@.service starts serves on a socket that somebody else has made,
# without any privilege, read-only unless told, and makes no system call that
# the unit forbids.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-service.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_nbdkit
requires_nbdsh
requires nbdcopy --version
requires systemd-socket-activate --version
requires setpriv --no-new-privs true

make_raw "$tmp/disk.raw"
make_image vmdk "$tmp/disk.raw" "$tmp/vm.vmdk" -o subformat=streamOptimized
remember "$tmp/vm.vmdk"
mkdir "$tmp/state"
unit=$made/rawview@.service

# Those of a unit, as systemd would set them.
NBDKIT_OPTIONS=$(sed -n 's/^Environment=NBDKIT_OPTIONS=\([^ ]*\).*/\1/p' "$unit")
RAWVIEW_SOURCE=file=$tmp/vm.vmdk
RAWVIEW_OPTIONS='format=vmdk references=none'
export NBDKIT_OPTIONS RAWVIEW_SOURCE RAWVIEW_OPTIONS

# It starts with an empty environment.
environment=()
for name in $(compgen -e); do environment+=(-E "$name"); done

unprivileged=(setpriv --no-new-privs)
if [ "$(id -u)" -eq 0 ]; then
  unprivileged+=(--bounding-set=-all --inh-caps=-all)
fi

# activate COMMAND [ARG…]: on $sock, when the first client comes.
activate ()
{
  local command

  eval "command=($(command_of "$unit"))"
  sock=$tmp/activated-$1.sock
  uri="nbd+unix:///?socket=$sock"
  shift
  systemd-socket-activate -l "$sock" "${environment[@]}" -- "$@" \
    "${command[@]}" 2>"$tmp/activated.log" &
  pid=$!
  cleanup_fn stop_process "$pid"
  wait_until 30 test -S "$sock" || fail 'there is no socket'
}

deactivate ()
{
  kill "$pid"
  wait "$pid" || fail "the server ended with status $?"
  [ -S "$sock" ] || fail 'the server has removed a socket that is not its own'
}

activate read "${unprivileged[@]}"
reads_as "$uri" "$tmp/disk.raw"
nbdsh -u "$uri" -c 'assert h.is_read_only()'
deactivate

NBDKIT_OPTIONS=
RAWVIEW_OPTIONS="format=vmdk overlay-dir=$tmp/state"
activate write "${unprivileged[@]}"
nbdsh -u "$uri" -c 'h.pwrite(b"x" * 4096, 1 << 20)' -c 'h.flush()'
printf 'x%.0s' {1..4096} |
  dd of="$tmp/disk.raw" bs=4K seek=256 conv=notrunc status=none
reads_as "$uri" "$tmp/disk.raw"
deactivate
is_now qcow2 "$tmp/state/vm.vmdk.overlay.qcow2" "$tmp/disk.raw"
unchanged

# A sanitizer has calls of its own.
[ -z "${RAWVIEW_ASAN_LIBRARY-}" ] || exit 0
requires strace -f true
activate traced strace -D -f -o "$tmp/calls"
reads_as "$uri" "$tmp/disk.raw"
nbdsh -u "$uri" -c 'h.zero(1 << 20, 0)' -c 'h.trim(1 << 20, 1 << 20)'
deactivate
wait_until 30 grep -q 'exited with' "$tmp/calls" || fail 'strace saw no end'
permits "$unit" "$tmp/calls"
