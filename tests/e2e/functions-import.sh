# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Sourced by the end-to-end tests of injection, after functions-boot.sh: they
# let the real virt-v2v-in-place work on $ide_guest.

requires_import ()
{
  requires_guest
  requires virt-v2v-in-place --version
  requires guestfish --version
  requires qemu-system-x86_64 --version
}

# import_guest ARG…: of "rawview import", with drivers.  What it and its children
# need for a while is in $import_tmp, or else in $tmp.
import_guest ()
{
  local start=$SECONDS

  TMPDIR=${import_tmp-$tmp} bounded 1500 rawview import --conversion=virtio,format --progress=none "$@" \
    >"$tmp/import.log" 2>&1 || fail "rawview import $*"
  echo "ok: imported ($((SECONDS - start)) s)"
}

# remember_sources FILE…, sources_are_unchanged: no import changes its source.
remember_sources () { sha256sum "$@" >"$tmp/sources"; }

sources_are_unchanged ()
{
  sha256sum --quiet -c "$tmp/sources" || fail 'a source has changed'
}

# Nothing but these is left of an import: FILE… in DIR.
only_there () # DIR FILE…
{
  local dir=$1

  shift
  printf '%s\n' "$@" | sort >"$tmp/expected"
  find "$dir" -mindepth 1 -printf '%P\n' | sort >"$tmp/found"
  diff "$tmp/expected" "$tmp/found" >&2 || fail "there is something else in $dir"
}

# is_large FORMAT FILE RAW: the disk has the size of a raw one.
is_large ()
{
  local size

  size=$(qemu-img info --output=json -f "$1" "$2" |
           sed -n 's/^    "virtual-size": \([0-9]*\),*$/\1/p')
  [ "$size" = "$(stat -c %s "$3")" ] || fail "$2: $size bytes"
}
