#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# However a server is asked to end, with clients or without, the image is clean
# then.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"
requires_nbdkit
requires_nbdsh
requires qemu-io --version

cd "$tmp"
for format in qcow2 vmdk; do
  image=disk.$format

  # A client that goes without a word.
  qemu-img create -q -f "$format" "$image" 64M
  serve_rw "$image"
  nbdsh -u "$uri" -c 'h.pwrite(b"1" * 3000000, 100)'
  stop_server
  line_count "$nbdkit_log" 0
  is_clean "$format" "$image"

  # One that stays, idle: nbdkit waits for it.
  serve_rw "$image"
  nbdsh -u "$uri" -c 'h.pwrite(b"2" * 3000000, 10 << 20)' \
    -c 'open("written", "w").close()' \
    -c 'import time; time.sleep(1)' &
  client=$!
  wait_until 30 test -e written || fail 'the client does not write'
  stop_server
  wait "$client"
  rm written
  is_clean "$format" "$image"

  # Some that write.
  serve_rw "$image"
  for i in 1 2 3; do
    nbdsh -u "$uri" -c "
for j in range(1 << 20):
    h.pwrite(bytes([$i]) * 70000, 5000000 + j * 70001 * $i % 60000000)
" >/dev/null 2>&1 &
  done
  sleep 0.5
  stop_server
  wait
  is_clean "$format" "$image"
  qemu-img convert -f "$format" -O raw "$image" read.raw
  [ "$(head -c 103 read.raw | tail -c 3)" = 111 ] || fail 'lost what was written'

  # As one command.
  nbdkit -U - rawview "$image" \
    --run 'qemu-io -f raw -c "write -P 7 1M 2M" "$uri"' >run.log
  is_clean "$format" "$image"
  rm "$image"
done
