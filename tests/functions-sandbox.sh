# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Sourced after functions.sh by the tests of the sandbox.
#
# A library is preloaded into the program under test.  When told to, it tries
# from the inside what the sandbox is to deny (tests/sandbox/misbehave.c).

# What there is here, "Landlock 7, seccomp".
requires_sandbox ()
{
  sandbox_means=$(rawview --features | sed -n 's/^sandbox=//p')
  case $sandbox_means in
    Landlock*seccomp) ;;
    *) skip "there is no full sandbox here: $sandbox_means" ;;
  esac
}

# misbehaviour: prepare a folder $bad for it, and set $misbehaving, an array to
# put before a command.
misbehaviour ()
{
  local lib=$RAWVIEW_BUILDDIR/tests/.libs/libmisbehave.so who name

  [ -e "$lib" ] || make -s -C "$RAWVIEW_BUILDDIR/tests" libmisbehave.la
  bad=$tmp/bad
  rm -rf "$bad"
  mkdir "$bad"
  for who in request thread early; do
    for name in victim moving removed; do
      echo untouched >"$bad/$name-$who"
      chmod 600 "$bad/$name-$who"
    done
  done
  python3 - "$bad/listener" <<'PY' &
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen(10)
while True:
    s.accept()
PY
  cleanup_fn kill "$!"
  wait_until 30 test -S "$bad/listener" || fail 'there is no listener'
  # shellcheck disable=SC2034
  misbehaving=(env "LD_PRELOAD=$lib" "MISBEHAVE_DIR=$bad")
}

# misbehave READER…: make it happen, by a command that reads from the program.
misbehave ()
{
  touch "$bad/trigger"
  "$@"
  wait_until 30 grep -qx tried "$bad/results" || fail 'nobody misbehaved'
}

# Sets $result.
result_of ()
{
  result=$(sed -n "s/^$1 $2 //p" "$bad/results" | tail -n 1)
}

# all_denied WHO ERRNO-OF-OPENAT2 RESULT-OF-READ
all_denied ()
{
  local what expected

  for what in create overwrite openat2 truncate chmod rename unlink mkdir \
              exec connect tcp signal read; do
    expected=EPERM
    [ "$what" != openat2 ] || expected=$2
    [ "$what" != read ] || expected=$3
    result_of "$1" "$what"
    [ "$result" = "$expected" ] ||
      fail "$1: $what: \"$result\" instead of $expected"
  done
  [ "$(cat "$bad/victim-$1" "$bad/moving-$1" "$bad/removed-$1")" = \
    "$(printf 'untouched\nuntouched\nuntouched')" ] ||
    fail "$1 has changed files"
  [ ! -e "$bad/new-$1" ] || fail "$1 has made a file"
}

# all_allowed WHO: without a sandbox, so that this test can fail.
all_allowed ()
{
  if grep -v ' ok$' "$bad/results" | grep "^$1 "; then
    fail "$1 could not do this without a sandbox"
  fi
  [ "$(grep -c "^$1 .* ok$" "$bad/results")" -eq 13 ] ||
    fail "$1 has not tried everything"
  [ -e "$bad/new-$1" ] || fail "$1 has made no file"
}
