# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Sourced by the tests of the commands about whole guests, after functions.sh
# and functions-fuse.sh.

# Folders of running servers go here, so that a test sees what is left.
use_run_dir ()
{
  mkdir "$tmp/run"
  export XDG_RUNTIME_DIR=$tmp/run
  cleanup_fn end_leftovers "$tmp/run"
}

# end_leftovers DIR: what must never be left behind by a test.
end_leftovers ()
{
  local path

  for path in "$1"/*/*; do
    if is_mounted "$path"; then
      umount -l "$path" 2>/dev/null || fusermount3 -u -z "$path"
    fi
  done
}

# servers_of DIR: the processes that were told a name in it; the pattern is not
# an argument, or grep would find itself.
servers_of () { grep -lsF -f <(echo "$1/") /proc/[0-9]*/cmdline; }

no_servers () { [ -z "$(servers_of "$1")" ]; }
no_mounts () { ! grep -qF " $1/" /proc/self/mountinfo; }
no_folders () { [ -z "$(ls -A "$1")" ]; }

# use_stand_in: inject runs it instead of virt-v2v-in-place, see there.  It
# leaves its notes in the folder $notes.
use_stand_in ()
{
  requires_nbdsh
  notes=$tmp/notes
  mkdir "$notes"
  cat >"$tmp/stand-in" <<END
#!/bin/sh
exec "$nbd_python" "$RAWVIEW_SRCDIR/tests/virt-v2v-stand-in" "\$@"
END
  chmod +x "$tmp/stand-in"
  export RAWVIEW_VIRT_V2V_IN_PLACE=$tmp/stand-in STANDIN_DIR=$notes
  # It needs no appliance, whose kernel may not be here.
  export LIBGUESTFS_PATH=$notes LIBGUESTFS_CACHEDIR=$tmp
  requires test -x "$RAWVIEW_BUILDDIR/cli/rawview-guest"
  [ "$(df --output=avail -B1 "$tmp" | tail -n 1)" -gt 1073741824 ] ||
    skip 'no room for the cache of libguestfs'
}

# injected N RAWFILE: what the stand-in makes of the N-th disk.
injected ()
{
  printf 'injected %d' "$1" |
    dd of="$2" bs=1M seek=1 conv=notrunc status=none
  dd if=/dev/zero of="$2" bs=1M seek=2 count=1 conv=notrunc status=none
}

# has_no_leftovers DIR FILE…: the folder has these files and no others, nothing
# is mounted, and no server runs.
has_no_leftovers ()
{
  local dir=$1

  shift
  { [ $# -eq 0 ] || printf '%s\n' "$@"; } | sort >"$tmp/files-wanted"
  ls -A "$dir" | sort >"$tmp/files-there"
  diff "$tmp/files-wanted" "$tmp/files-there" >&2 || fail 'other files there'
  wait_until 30 no_servers "$tmp/run" || fail 'a server is left'
  no_mounts "$tmp/run" || fail 'a mount is left'
}
