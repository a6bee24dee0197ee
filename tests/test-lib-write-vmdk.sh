#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Random writes into VMDKs of every kind: afterwards QEMU and libvmdk read the
# bytes of the model, both copies of the tables are equal, the extents are
# closed, and of the descriptor nothing but the CID has changed.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-write.sh"

requires qemu-img --version
cd "$tmp"

# is_sparse FILE: a hosted sparse one?
is_sparse () { [ "$(od -An -tx4 -N4 "$1")" = ' 564d444b' ]; }

# descriptor FILE: its text, without the digits of the CID.
descriptor ()
{
  local skip=0 count=2048

  if is_sparse "$1"; then
    skip=$(od -An -tu8 -j28 -N8 "$1")
    count=$(od -An -tu8 -j36 -N8 "$1")
  fi
  dd if="$1" bs=512 skip=$((skip)) count=$((count)) status=none |
    sed -E 's/^(CID *= *)[0-9a-fA-F]+/\1/; s/(longContentID.*)[0-9a-f]{8}/\1/'
}

cid () { LC_ALL=C grep -a -i -m1 '^ *CID *=' "$1" | tr -d '\0'; }

# closed FILE…: no sparse extent among them is marked as in use.
closed ()
{
  local file

  for file; do
    if is_sparse "$file"; then
      [ "$(od -An -tu1 -j72 -N1 "$file")" -eq 0 ] ||
        fail "$file is marked as not closed"
    fi
  done
}

# mounted IMAGE RAWFILE: libvmdk reads the same, where it can be asked.
mounted ()
{
  if ! vmdkmount -V >/dev/null 2>&1 || ! test -w /dev/fuse; then return; fi
  mkdir mnt
  vmdkmount "$1" mnt >vmdkmount.log 2>&1 ||
    { cat vmdkmount.log; rmdir mnt; fail "vmdkmount does not open $1"; }
  cmp mnt/vmdk1 "$2" || { fusermount -u -z mnt; fail "vmdkmount differs: $1"; }
  fusermount -u mnt || fusermount -u -z mnt
  rmdir mnt
}

# written IMAGE RAWFILE READERS [OPTION…]: READERS are those besides rawview
# that read such a disk rightly: "qemu libyal".
written ()
{
  local image=$1 model=$2 readers=$3 threads before

  shift 3
  for threads in 1 4; do
    descriptor "$image" >descriptor.txt
    before=$(cid "$image")
    "$RAWVIEW_BUILDDIR/tests/writecheck" -s "$WRITECHECK_SEED" \
      -n "$WRITECHECK_OPERATIONS" -t $threads "$image" "$model" "$@" ||
      fail "$image, $threads threads"
    closed "$(dirname "$image")"/*.vmdk
    descriptor "$image" | cmp - descriptor.txt ||
      fail "$image: the descriptor has changed"
    [ "$(cid "$image")" != "$before" ] || fail "$image: the CID is the same"
    rawview check "$image" "$@" >check.txt 2>&1 ||
      [ $? -eq 3 ] || [ $? -eq 63 ] || { cat check.txt; fail "$image: check"; }
    case $readers in *qemu*) is_now vmdk "$image" "$model" ;; esac
  done
  case $readers in *libyal*) mounted "$image" "$model" ;; esac
}

# kind READERS NAME [OPTION…]: a disk made by "qemu-img convert".
kind ()
{
  local readers=$1 name=$2

  shift 2
  mkdir "$name"
  cp disk.raw "$name/model"
  qemu-img convert -f raw -O vmdk "$@" disk.raw "$name/disk.vmdk"
  written "$name/disk.vmdk" "$name/model" "$readers"
}

make_disk disk.raw 6145K

# libvmdk knows neither zero grains nor flat disks.
kind 'qemu libyal' sparse
kind qemu sparse-zeroed -o zeroed_grain=on
kind 'qemu libyal' split -o subformat=twoGbMaxExtentSparse
kind qemu flat -o subformat=monolithicFlat
kind qemu split-flat -o subformat=twoGbMaxExtentFlat

# A snapshot: its parent stays as it is.
mkdir child
qemu-img convert -f raw -O vmdk disk.raw child/base.vmdk
qemu-img create -q -f vmdk -b base.vmdk -F vmdk child/disk.vmdk
remember child/base.vmdk
cp disk.raw child/model
written child/disk.vmdk child/model qemu
unchanged

# What QEMU does not make.
for recipe in monolithic-sparse-v3 no-grain-table no-redundant zero-grain \
  grains-512 grains-128k split-sparse-odd unclean vmfs delta-split \
  capacity-not-grains descriptor-cid-short flat-one-file; do
  mkimage "read-vmdk-$recipe" "$recipe"
  read -r image readers < <(python3 - "$recipe/meta.json" <<'PY'
import json, sys
meta = json.load(open(sys.argv[1]))
print(meta["image"], *[who for who in ("qemu", "libyal") if meta.get(who) is True])
PY
  )
  # QEMU goes on into the rest of an extent's last grain.
  [ "$recipe" != split-sparse-odd ] || readers=
  written "$recipe/$image" "$recipe/expected.raw" "$readers"
done
