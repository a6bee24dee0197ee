#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Whoever looks at a guest's partition tables and superblocks is in the sandbox
# before it reads the first byte of them.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
. "$RAWVIEW_SRCDIR/tests/functions-inspect.sh"
. "$RAWVIEW_SRCDIR/tests/functions-sandbox.sh"
requires_inspect
requires_sandbox
requires strace --version
requires python3 --version

cd "$tmp"
make_ext4 ext4 8 root
make_image qcow2 ext4 a.qcow2
cat >judge.py <<'PY'
import re
import sys

# The disk as rawviewfs shows it, not the mount point under it.
call = re.compile(r"^(\d+) +(\w+)\((?:\d+<([^>]*)>)?(.*)")
entered, readers = {}, set()
for line in open(sys.argv[1], errors="replace"):
    m = call.match(line)
    if not m:
        continue
    pid, name, path, rest = m.groups()
    if name == "landlock_restrict_self" or (
            name == "seccomp" and "SECCOMP_SET_MODE_FILTER" in rest):
        entered.setdefault(pid, set()).add(name)
    elif name in ("read", "pread64") and path and path.endswith(".raw"):
        readers.add((pid, frozenset(entered.get(pid, ()))))
if not readers:
    sys.exit("nobody has read the disk")
for pid, means in readers:
    if sys.argv[2] == "confined" and len(means) != 2:
        sys.exit("process %s reads with no more than %s" % (pid, set(means)))
    if sys.argv[2] == "free" and means:
        sys.exit("process %s is confined" % pid)
PY

# judge confined|free [OPTION…]
judge ()
{
  local how=$1

  shift
  timeout 120 strace -f -y -o trace \
    -e trace=read,pread64,seccomp,landlock_restrict_self \
    rawview inspect --json "$@" a.qcow2 >found.json
  finds '.system == "linux"' "$*"
  python3 judge.py trace "$how" || fail "$*: see above"
}

judge confined
judge confined --sandbox=on
judge free --sandbox=off
