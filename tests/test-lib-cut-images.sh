#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An image that is cut, at whichever byte, is refused, or what is left is read
# and the rest fails: zeros never stand for what is missing, but for the end of
# the last host cluster of a QCOW2 image, which need not be in the file.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

# cut NAME FILE OPTION… <RECIPE: FILE of the image is cut.
cut_image ()
{
  local dir=$tmp/$1 file=$2 image options

  shift 2
  cat >"$dir.recipe"
  mkimage "$dir.recipe" "$dir"
  image=$dir/$(python3 -c 'import json, sys
print(json.load(open(sys.argv[1]))["image"])' "$dir/meta.json")
  mapfile -t options < <(python3 -c 'import json, sys
print("\n".join(json.load(open(sys.argv[1]))["options"]), end="")' \
    "$dir/meta.json")
  "$RAWVIEW_BUILDDIR/tests/hostilecheck" -c "$dir/$file" "$@" "$image" \
    "$dir/expected.raw" "${options[@]}" >"$tmp/said" || fail "$file"
  matches "$tmp/said" "^refused [1-9]"
  echo "$file: $(tr '\n' ' ' <"$tmp/said")"
}

cut_image read-plain disk.qcow2 -z <<'END'
# Data, a hole, compressed clusters and a table at the end.
file disk.qcow2 qcow2
cluster-size 512
size 48k
data 512 1k
compressed 4k 1k seed=3
data 40k 1k seed=2
END

cut_image read-zstd disk.qcow2 -z <<'END'
# zstd, larger clusters.
file disk.qcow2 qcow2
cluster-size 1k
compression zstd
size 16k
compressed 4k 4k seed=3
data 8k 1k seed=2
END

cut_image read-snapshot disk.qcow2 -z <<'END'
# A snapshot; the disk has other bytes now.
file disk.qcow2 qcow2
cluster-size 512
size 16k
data 512 1k
snapshot 1 first
data 1k 1k seed=2
option snapshot=1
END

cut_image read-backing base.qcow2 -z <<'END'
# The backing file is cut.
file base.qcow2 qcow2
cluster-size 512
size 16k
data 4k 2k
file disk.qcow2 qcow2
cluster-size 512
size 16k
backing base.qcow2
data 512 1k seed=2
END

cut_image read-sparse disk.vmdk <<'END'
# A sparse disk.
file disk.vmdk sparse
size 16k
grain-size 512
data 512 1k
data 4k 1k seed=2
END

cut_image read-stream disk.vmdk <<'END'
# Its directory is found by the footer.
file disk.vmdk stream
size 32k
grain-size 4k
data 0 5k
data 20k 1k seed=2
END

cut_image read-flat disk-flat.vmdk <<'END'
# The flat file is cut.
file disk-flat.vmdk raw
size 8k
data 0 8k
file disk.vmdk vmdk
create-type monolithicFlat
extent RW 16 FLAT disk-flat.vmdk 0
END

# Where lines end a shorter descriptor is a descriptor, too; a line that is cut
# is no other line.
cut_image read-descriptor disk.vmdk <<'END'
# The descriptor is cut.
file disk-flat.vmdk raw
size 4k
data 0 4k
file disk.vmdk vmdk
create-type monolithicFlat
extent RW 8 FLAT disk-flat.vmdk 0
END

cut_image read-cowd disk-delta.vmdk <<'END'
# An extent of ESX.
file disk-delta.vmdk cowd
size 16k
data 512 1k
file disk.vmdk vmdk
create-type vmfsSparse
extent RW 32 VMFSSPARSE disk-delta.vmdk
END

cut_image read-archive guest.ova <<'END'
# A disk in an archive.
file disk1.vmdk stream
size 16k
grain-size 4k
data 0 5k
file guest.ova ova
ovf guest.ovf disk1.vmdk
member disk1.vmdk
END
