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
