/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <stdlib.h>

#include "format/vmdk-claims.h"
#include "format/vmdk-descriptor.h"
#include "util/checked.h"
#include "util/error.h"

/* A cell holds 0 or 1 + the sector within it. */
static unsigned
bits_for (uint64_t unit)
{
  unsigned bits = 1;

  while (UINT64_C (1) << bits <= unit)
    bits *= 2;
  return bits;
}

int
rv_vmdk_claims_init (struct rv_vmdk_claims *c, uint64_t file_size,
                     uint64_t unit, rawview_error *err)
{
  uint64_t sectors = rv_div_up (file_size, RV_VMDK_SECTOR);

  c->unit = unit;
  c->nr_cells = rv_div_up (sectors, unit);
  c->bits = bits_for (unit);
  c->cells = calloc (c->nr_cells / 8 + 1, c->bits);
  return c->cells ? 0 : rv_error_nomem (err);
}

void
rv_vmdk_claims_release (struct rv_vmdk_claims *c)
{
  free (c->cells);
  *c = (struct rv_vmdk_claims){ 0 };
}

static unsigned
get (const struct rv_vmdk_claims *c, uint64_t cell)
{
  uint64_t bit = cell * c->bits;

  if (c->bits == 16)
    return c->cells[2 * cell] | (unsigned) c->cells[2 * cell + 1] << 8;
  return c->cells[bit / 8] >> bit % 8 & ((1u << c->bits) - 1);
}

/* The cell is 0 before. */
static void
set (struct rv_vmdk_claims *c, uint64_t cell, unsigned value)
{
  uint64_t bit = cell * c->bits;

  c->cells[bit / 8] |= (value << bit % 8) & 0xff;
  if (c->bits == 16)
    c->cells[bit / 8 + 1] |= value >> 8;
}

bool
rv_vmdk_claim (struct rv_vmdk_claims *c, uint64_t sector)
{
  uint64_t cell = sector / c->unit;
  unsigned value = 1 + sector % c->unit, next;

  if (get (c, cell) != 0)
    return false;
  /* One that begins later in the cell before reaches into this one... */
  if (cell > 0 && get (c, cell - 1) > value)
    return false;
  /* ...and this one reaches to the same sector of the next. */
  next = cell + 1 < c->nr_cells ? get (c, cell + 1) : 0;
  if (next != 0 && next < value)
    return false;
  set (c, cell, value);
  return true;
}

bool
rv_vmdk_claim_all (struct rv_vmdk_claims *c, uint64_t sector, uint64_t n)
{
  bool free = true;

  for (uint64_t i = 0; i < n; i++)
    free &= rv_vmdk_claim (c, sector + i * c->unit);
  return free;
}
