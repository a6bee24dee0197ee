# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Sourced by the tests of what service/ has, after functions.sh.

# shellcheck disable=SC2034
made=$RAWVIEW_BUILDDIR/service
# shellcheck disable=SC2034
written=$RAWVIEW_SRCDIR/service

# command_of UNIT: what it starts, as words for eval, but with the programs of
# the build.
command_of ()
{
  sed -n 's/^ExecStart=//p' "$1" | sed -E \
    -e 's|^[^ ]*/nbdkit |nbdkit |' -e 's|[^ ]*/nbdkit-rawview-plugin\.so|rawview|' \
    -e 's|^[^ ]*/rawviewfs |rawviewfs |'
}

# permits UNIT CALLS: fail if a program that strace has watched made a system
# call that the unit forbids.
permits ()
{
  systemd-analyze syscall-filter >"$tmp/sets" 2>/dev/null ||
    skip 'systemd-analyze does not know system calls'
  python3 - "$1" "$2" "$tmp/sets" <<'PY'
import re
import sys

unit, calls, sets_file = sys.argv[1:]
sets, current = {}, None
for line in open(sets_file, encoding="utf-8"):
    word = line.strip()
    if line.startswith("@"):
        current = sets.setdefault(word, set())
    elif word and not word.startswith("#") and current is not None:
        current.add(word)


def expand(words):
    found = set()
    for word in words:
        found |= expand(sets[word]) if word.startswith("@") else {word}
    return found


allowed = set()
for line in open(unit, encoding="utf-8"):
    m = re.match(r"SystemCallFilter=(~?)(.*)", line)
    if m and m.group(1):
        allowed -= expand(m.group(2).split())
    elif m:
        allowed |= expand(m.group(2).split()) | expand(["@default"])

made = set(re.findall(r"^\d+ +([a-z0-9_]+)\(", open(calls).read(), re.M))
if len(made) < 10:
    sys.exit("strace saw nothing: %s" % made)
if made - allowed:
    sys.exit("%s forbids what is needed: %s"
             % (unit, " ".join(sorted(made - allowed))))
PY
}
