# SPDX-License-Identifier: LGPL-2.1-or-later
# Included by every Makefile.am.

NULL =

AM_CPPFLAGS = -I$(top_srcdir)/include
AM_CFLAGS = $(WARNINGS_CFLAGS)

LIBRAWVIEW = $(top_builddir)/lib/librawview.la

# Man pages: list them in man_MANS; FILE.1 is made from FILE.pod beside it.
POD2MAN_FLAGS = --utf8 --release="rawview $(PACKAGE_VERSION)" \
	--center="rawview" --date=$(RAWVIEW_DATE)
# One date for all pages, so that a build is reproducible.
RAWVIEW_DATE = 2026-11-21

SUFFIXES = .pod .1 .3 .7
.pod.1:
	$(AM_V_GEN)$(POD2MAN) $(POD2MAN_FLAGS) --section=1 \
	  --name=$(basename $(notdir $@)) $< $@.tmp && mv $@.tmp $@
.pod.3:
	$(AM_V_GEN)$(POD2MAN) $(POD2MAN_FLAGS) --section=3 \
	  --name=$(basename $(notdir $@)) $< $@.tmp && mv $@.tmp $@
.pod.7:
	$(AM_V_GEN)$(POD2MAN) $(POD2MAN_FLAGS) --section=7 \
	  --name=$(basename $(notdir $@)) $< $@.tmp && mv $@.tmp $@
