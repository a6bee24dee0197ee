/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The flush epoch once more, with a switch that breaks one of its rules: linked
 * before the library, it takes the place of the real one.
 */

#define RV_BREAK_ORDER 1
#include "engine/epoch.c"
