#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An overlay is an image like any other to QEMU: it opens and checks it, reads
# what the guest reads, writes to it, and commits it into bases that it can
# write.  The import does not change until then.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires qemu-img --version
requires qemu-io --version
requires_nbdkit
cd "$tmp"
make_raw model.raw

# change URI|FILE: requests of a guest, on a raw disk.
change ()
{
  qemu-io -f raw -c 'write -P 0x11 0 64k' -c 'write -P 0x22 200k 512' \
    -c 'write -P 0x33 3M 1M' -c 'write -z 5M 300k' -c 'write -z -u 9M 1M' \
    -c 'write -P 0x44 10476k 1k' -c 'write -P 0x55 12582400 512' \
    -c 'write -P 0x66 200k 1M' -c 'flush' "$1" >qemu-io.log
}

# base KIND FILE: what QEMU makes of the disk.
base ()
{
  case $1 in
    raw) cp model.raw "$2" ;;
    qcow2) qemu-img convert -c -f raw -O qcow2 model.raw "$2" ;;
    *)
      qemu-img convert -f raw -O vmdk -o "subformat=$1" model.raw "$2"
      ;;
  esac
}

cp model.raw changed.raw
change changed.raw

for kind in raw qcow2 monolithicSparse monolithicFlat streamOptimized; do
  mkdir "$kind"
  image=$kind/base
  base "$kind" "$image"
  case $kind in
    raw | qcow2) format=$kind ;;
    *) format=vmdk ;;
  esac
  sha256sum "$kind"/* >before

  serve_with rawview "$image" format="$format" overlay="$kind/over"
  change "$uri"
  reads_as "$uri" changed.raw
  stop_process "$(cat "$tmp/nbdkit-$nr_servers.pid")"
  sha256sum --quiet -c before || fail "$kind: the import has changed"

  qemu-img check -f qcow2 "$kind/over" >check.log ||
    fail "$kind: qemu-img check"
  matches check.log 'No errors were found'
  ! grep -qi leak check.log || fail "$kind: leaks"
  qemu-img info -f qcow2 --backing-chain --output=json "$kind/over" >info.json
  matches info.json "\"backing-filename-format\": \"$format\""
  matches info.json "\"backing-filename\": \"$tmp/$kind/base\""
  matches info.json '"extended-l2": true'
  qemu-img compare -f raw -F qcow2 changed.raw "$kind/over" >compare.log ||
    fail "$kind: QEMU reads something else"

  # QEMU writes to it, and we go on.
  cp changed.raw again.raw
  for disk in "-f qcow2 $kind/over" '-f raw again.raw'; do
    # shellcheck disable=SC2086
    qemu-io -c 'write -P 0x77 6M 100k' -c 'discard 3M 64k' \
      -c 'write -z 3M 64k' $disk >qemu-io.log
  done
  serve_with rawview "$image" format="$format" overlay="$kind/over"
  reads_as "$uri" again.raw
  qemu-io -f raw -c 'write -P 0x12 7M 5k' "$uri" >qemu-io.log
  qemu-io -f raw -c 'write -P 0x12 7M 5k' again.raw >qemu-io.log
  stop_process "$(cat "$tmp/nbdkit-$nr_servers.pid")"
  qemu-img check -q -f qcow2 "$kind/over" || fail "$kind: a second time"

  # QEMU cannot write this one.
  [ "$kind" != streamOptimized ] || continue
  qemu-img commit -q -f qcow2 "$kind/over"
  qemu-img compare -f raw -F "$format" again.raw "$image" >compare.log ||
    fail "$kind: what was committed is something else"
done

# A disk inside an archive.
mkdir ova
base streamOptimized ova/disk.vmdk
printf '<Envelope/>' >ova/vm.ovf
tar -C ova --format=ustar -cf ova/vm.ova vm.ovf disk.vmdk
mkdir ova/overlays
serve_with rawview ova/vm.ova overlay-dir=ova/overlays
change "$uri"
stop_process "$(cat "$tmp/nbdkit-$nr_servers.pid")"
over=ova/overlays/vm.ova-disk.vmdk.overlay.qcow2
qemu-img check -q -f qcow2 "$over"
qemu-img compare -f raw -F qcow2 changed.raw "$over" >compare.log ||
  fail 'QEMU reads another disk through the archive'

# One on a server.
serve_with file ova/disk.vmdk
container=$uri
serve_with rawview "$container" overlay=nbd-over
change "$uri"
stop_process "$(cat "$tmp/nbdkit-$nr_servers.pid")"
serve_with rawview "$container" overlay=nbd-over
reads_as "$uri" changed.raw
stop_process "$(cat "$tmp/nbdkit-$nr_servers.pid")"
qemu-img check -q -f qcow2 nbd-over
qemu-img compare -f raw -F qcow2 changed.raw nbd-over >compare.log ||
  fail 'QEMU reads another disk through the server'

# Snapshots have none.
qemu-img snapshot -c before qcow2/base
refused snapshot.log rawview info --snapshot=before --overlay=new qcow2/base
matches snapshot.log 'cannot have the snapshot "before" as its backing file'
[ ! -e new ] || fail 'an overlay was made for a snapshot'

# Others are refused, and stay as they are.
qemu-img create -q -f qcow2 -b "$tmp/raw/base" -F raw other
sha256sum other >before
refused other.log rawview info --overlay=other qcow2/base
matches other.log 'other is an overlay of ".*/raw/base" and not of '
line_count other.log 1
sha256sum --quiet -c before || fail 'what was refused has changed'
