/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The first clusters of an image that rv_qcow2_create has made, with a table of
 * the guest's behind them, for tests that put odd things there.
 */

#ifndef RV_TEST_QCOW2_TABLES_H
#define RV_TEST_QCOW2_TABLES_H

#include "format/qcow2-l2.h"
#include "format/test-qcow2-ram.h"

/* What lies where, in clusters of 4 KiB. */
#define BITS        12u
#define CLUSTER     (1ull << BITS)
#define AT_REFTABLE 1u
#define AT_REFBLOCK 2u
#define AT_L1       3u
#define AT_L2       4u

static TEST_UNUSED uint8_t *
at (struct test_ram *t, uint64_t cluster)
{
  return t->bytes + cluster * CLUSTER;
}

static TEST_UNUSED void
set_count (struct test_ram *t, uint64_t cluster, uint16_t n)
{
  rv_put_be16 (at (t, AT_REFBLOCK) + cluster * 2, n);
}

static const struct rv_qcow2_create how = { .size = 64 << 20,
                                            .cluster_bits = BITS };

#endif /* RV_TEST_QCOW2_TABLES_H */
