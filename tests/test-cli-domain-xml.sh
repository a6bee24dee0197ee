#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The domains of guests of all kinds are what libvirt calls valid, and what its
# test driver defines.

. "$RAWVIEW_SRCDIR/tests/functions.sh"

requires test -x "$RAWVIEW_BUILDDIR/cli/test-domain-xml"
requires virt-xml-validate --version
requires virsh --version
cd "$tmp"

mkdir xml
"$RAWVIEW_BUILDDIR/cli/test-domain-xml" xml >test.log
[ "$(find xml -name '*.xml' | wc -l)" -ge 10 ] || fail 'too few documents'
for f in xml/*.xml; do
  virt-xml-validate "$f" domain >validate.log 2>&1 ||
    fail "not valid: $f: $(cat "$f")"
  virsh --connect test:///default define "$f" >define.log 2>&1 ||
    fail "not defined: $f: $(cat "$f")"
done

# The check can fail.
sed 's/<vcpu>/<vcpus>/; s,</vcpu>,</vcpus>,' xml/1.xml >bad.xml
! virt-xml-validate bad.xml domain >validate.log 2>&1 || fail 'bad.xml is valid'
