#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# export= gives names, and options belong to the export before them.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires_nbdkit
requires nbdinfo --version
requires nbdcopy --version

make_raw "$tmp/a.raw"
make_raw "$tmp/b.raw"
make_image qcow2 "$tmp/a.raw" "$tmp/a.qcow2"
qemu-img snapshot -c before "$tmp/a.qcow2"
qemu-io -f qcow2 -c 'write -P 7 0 1M' "$tmp/a.qcow2" >/dev/null
qemu-img convert -f qcow2 -O raw "$tmp/a.qcow2" "$tmp/now.raw"
make_image vmdk "$tmp/b.raw" "$tmp/b:c.vmdk"

# The last b.raw would be refused without format=, the first would be without
# the format= which the options before all of them replace.
serve cache=1M format=vmdk \
      "export=drive-virtio-disk0:$tmp/b:c.vmdk" \
      "export=now:$tmp/a.qcow2" format=qcow2 \
      "export=before:$tmp/a.qcow2" format=auto snapshot=before cache=2M \
      "export=raw/b:$tmp/b.raw" format=raw

nbdinfo --list "$uri" >"$tmp/list"
grep -o '^export="[^"]*"' "$tmp/list" >"$tmp/names"
printf 'export="%s"\n' drive-virtio-disk0 now before raw/b | cmp - "$tmp/names"

reads_as "$uri" "$tmp/b.raw"
reads_as "$(uri_of drive-virtio-disk0)" "$tmp/b.raw"
reads_as "$(uri_of now)" "$tmp/now.raw"
reads_as "$(uri_of before)" "$tmp/a.raw"
reads_as "$(uri_of raw/b)" "$tmp/b.raw"
