#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# For every command: --help, the manual page and bash completion have the same
# options.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

cd "$tmp"
pods=$RAWVIEW_SRCDIR/cli

# flags: the long and short options that stand at the start of lines.
help_flags ()
{
  grep -oE '^ +(-[A-Za-z], )?--[a-z0-9-]+' | grep -oE -e '--?[A-Za-z0-9-]+' | sort -u
}

pod_flags ()
{
  grep -hE '^=item B<-' "$@" | grep -oE 'B<--?[A-Za-z0-9-]+>' |
    sed 's/B<\(.*\)>/\1/' | sort -u
}

# agree WHAT FILE FILE
agree ()
{
  diff -u "$2" "$3" >diff || { cat diff; fail "$1 disagree"; }
}

# shellcheck source=../scripts/rawview.bash
. "$RAWVIEW_SRCDIR/scripts/rawview.bash"

# completed FUNCTION WORD…: what may come next.
completed ()
{
  local function=$1

  shift
  COMP_WORDS=("$@")
  COMP_CWORD=$(( $# - 1 ))
  "$function" 2>/dev/null
  printf '%s\n' "${COMPREPLY[@]}"
}

# The commands themselves.
rawview --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' |
  grep -v '^help$' >commands
[ -s commands ] || fail 'there are no commands'
completed _rawview rawview '' | grep -Ev '^(-.*|help)$' | sort >completed
sort commands | agree 'commands and their completion' - completed
grep -oE '^=item L<rawview-[a-z]+' "$pods/rawview.pod" | sed 's/.*-//' >in-pod
agree 'commands and rawview.pod' commands in-pod
rawview --help | help_flags >flags
pod_flags <(sed -n '/^=head1 OPTIONS/,/^=head1 SOURCES/p' "$pods/rawview.pod") \
  >in-pod
agree 'options of rawview and rawview.pod' flags in-pod
completed _rawview rawview -- | sort >completed
grep '^--' flags >long-flags
agree 'options of rawview and their completion' long-flags completed

# The library's options, which are the same for all.
rawview info --help | sed -n '/^Image options/,$p' | help_flags >image-flags
[ -s image-flags ] || fail 'there are no image options'
pod_flags <(sed -n '/^=head1 IMAGE OPTIONS/,/^=head1 EXIT/p' \
  "$pods/rawview.pod") >in-pod
agree 'image options and rawview.pod' image-flags in-pod
rawview --features | sed -n 's/^options=//p' | tr ' ' '\n' | sed 's/^/--/' |
  sort >features
agree 'image options and --features' image-flags features

while read -r command; do
  pod=$pods/rawview-$command.pod
  rawview "$command" --help >help
  sort -u image-flags <(help_flags <help) | grep -- '^--' >flags
  if [ "$command" = mount ]; then
    # It is rawviewfs, whose own page has its options.
    completed _rawviewfs rawviewfs -- | sort >completed
    agree 'options of rawviewfs and their completion' flags completed
  else
    sed '/^Image options/,$d' help | help_flags >own
    pod_flags "$pod" >in-pod
    agree "options of $command and its page" own in-pod
  fi
  grep -q 'L<rawview(1)/IMAGE OPTIONS>' "$pod" ||
    fail "$pod does not say where the image options are explained"
  completed _rawview rawview "$command" -- | sort >completed
  agree "options of $command and their completion" flags completed

  # An option that takes a value does so in the completion too.
  while read -r flag; do
    if grep -qE -- "$flag=" help; then
      _rawview_takes_value "$flag" "$command" ||
        fail "$command $flag: completion does not know that it has a value"
    elif _rawview_takes_value "$flag" "$command" &&
      ! grep -qE -- "$flag\\[=" help; then
      fail "$command $flag: completion believes that it has a value"
    fi
  done <flags
done <commands
