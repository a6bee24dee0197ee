# SPDX-License-Identifier: LGPL-2.1-or-later
# Every test-*.sh and every recipe is a test, called by its name: the folder is
# the list.  Apart because automake does not understand GNU make's functions.
SHELL_TESTS = $(notdir $(sort $(wildcard $(srcdir)/test-*.sh)))
RECIPE_TESTS = $(addprefix recipes/,$(notdir \
	$(sort $(wildcard $(srcdir)/recipes/*.recipe))))
