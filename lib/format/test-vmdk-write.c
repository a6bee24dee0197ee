/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>

#include "format/test-vmdk-write.h"

#define SPAN    (TABLE_ENTRIES * GRAIN)
#define END     ((uint64_t) CAPACITY * SECTOR)
#define TAIL    (256u * GRAIN) /* the last grain, of 5 sectors */
#define FIRST   (SECTORS * SECTOR)
#define UNCLEAN 72

static uint8_t random_byte = 3;

static ssize_t
counted_random (void *buf, size_t len, unsigned flags)
{
  memset (buf, random_byte, len);
  return len;
}

static void
start (struct target *t, const struct image *m)
{
  rawview_error err;

  *t = (struct target){ 0 };
  target_add (t, m->b, m->len, "t.vmdk");
  REQUIRE_OK (target_start (t, &err), err);
  REQUIRE_OK (target_enable (t, &err), err);
}

/* An entry in the file, of the copy if second. */
static uint32_t
gte (const struct target *t, unsigned grain, bool second)
{
  return rv_le32 (t->bytes[0] + (second ? AT_RGT : AT_GT) * SECTOR + 4 * grain);
}

static struct rv_vmdk_growth *
growth_of (const struct target *t, size_t extent)
{
  return ((struct rv_vmdk *) t->d.format)->extents[extent].grains.growth;
}

/*--- CID and flag -------------------------------------------------------*/

static void
check_cid (const char *text, unsigned digits, size_t at, size_t long_at)
{
  struct rv_vmdk_digits cid, long_cid;
  char old[8];

  rv_vmdk_cid_find ((struct rv_view){ (const uint8_t *) text, strlen (text) },
                    &cid, &long_cid, old);
  CHECK_EQ_U64 (cid.len, digits);
  if (digits)
    CHECK_EQ_U64 (cid.off, at);
  CHECK_EQ_U64 (long_cid.len, long_at ? 8 : 0);
  if (long_at)
    CHECK_EQ_U64 (long_cid.off, long_at);
}

static void
the_digits_of_the_cid_are_found (void)
{
#define LONG "00000000000000000000000"
  check_cid ("CID=0123abcd\n", 8, 4, 0);
  check_cid ("\xef\xbb\xbf"
             "cid = \"0123abcd\"\r\n",
             8, 10, 0);
  check_cid ("# CID=11111111\nparentCID=ffffffff\nCID=12\n", 2, 38, 0);
  check_cid ("RW 1 FLAT \"CID=12345678\" 0\nddb.x=1\n", 0, 0, 0);
  check_cid ("CID=\n", 0, 0, 0);
  check_cid ("CID=0123abcg\n", 0, 0, 0);
  check_cid ("CID=0123abcde\n", 0, 0, 0);
  check_cid ("CID=0123abcd\nddb.longContentID = \"" LONG "\"\n", 8, 4, 0);
  check_cid ("CID=0123abcd\nddb.longContentID = \"" LONG "10123ABCD\"\n", 8, 4,
             34 + 24);
  check_cid ("CID=0123abcd\nddb.longContentID = \"" LONG "10123abcf\"\n", 8, 4,
             0);
}

static ssize_t
reserved_then_counted (void *buf, size_t len, unsigned flags)
{
  memset (buf, 14, len);
  rv_vmdk_cid_random = counted_random;
  return len;
}

static ssize_t
no_random (void *buf, size_t len, unsigned flags)
{
  errno = ENOSYS;
  return -1;
}

static void
each_digit_of_a_new_cid_differs (void)
{
  char digits[8];
  rawview_error err;

  for (unsigned i = 0; i < 256; i++) {
    random_byte = i;
    REQUIRE_OK (rv_vmdk_cid_next ("0fA9e7c1", 8, digits, &err), err);
    for (unsigned k = 0; k < 8; k++)
      CHECK (digits[k] != "0fa9e7c1"[k] &&
             strchr ("0123456789abcdef", digits[k]));
  }
  random_byte = 3;
  rv_vmdk_cid_random = reserved_then_counted;
  REQUIRE_OK (rv_vmdk_cid_next ("00000000", 8, digits, &err), err);
  CHECK_MEM_EQ (digits, "44444444", 8);
  REQUIRE_OK (rv_vmdk_cid_next ("f", 1, digits, &err), err);
  CHECK (digits[0] == '3');
  rv_vmdk_cid_random = no_random;
  CHECK_EQ_INT (rv_vmdk_cid_next ("f", 1, digits, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_IO, "*new CID*");
  rv_vmdk_cid_random = counted_random;
}

static void
only_the_cid_and_the_flag_change_before_the_first_write (void)
{
  static struct image m;
  struct target t;
  rawview_error err;
  char *cid;

  make_sparse (&m);
  strcat ((char *) m.b + SECTOR,
          "ddb.longContentID = \"00112233445566778899aabb00000011\"\n");
  start (&t, &m);
  CHECK_EQ_INT (t.bytes[0][UNCLEAN], 1);
  CHECK_EQ_U64 (t.d.format->content_id, 0x44444455);
  cid = strstr ((char *) t.bytes[0] + SECTOR, "CID=");
  CHECK_MEM_EQ (cid, "CID=44444455\n", 13);
  memcpy (cid, "CID=00000011\n", 13);
  cid = strstr ((char *) t.bytes[0] + SECTOR, "aabb44444455");
  REQUIRE (cid != NULL);
  memcpy (cid, "aabb00000011", 12);
  REQUIRE_OK (t.ops->begin (t.d.format, &err), err);
  REQUIRE_OK (t.ops->end (t.d.format, &err), err);
  CHECK_EQ_INT (t.bytes[0][UNCLEAN], 0);
  CHECK_EQ_U64 (t.ios[0]->size, m.len);
  CHECK_MEM_EQ (t.bytes[0], m.b, m.len);
  target_free (&t);
}

static void
the_flag_stays_set_if_a_table_is_corrupt (void)
{
  static struct image m;
  struct target t;
  rawview_error err;

  make_sparse (&m);
  start (&t, &m);
  t.ops->mark_corrupt (t.d.format);
  REQUIRE_OK (t.ops->end (t.d.format, &err), err);
  CHECK_EQ_INT (t.bytes[0][UNCLEAN], 1);
  target_free (&t);
}

static void
without_a_write_nothing_changes (void)
{
  static struct image m;
  struct target t = { 0 };
  rawview_error err;

  make_sparse (&m);
  target_add (&t, m.b, m.len, "t.vmdk");
  REQUIRE_OK (target_start (&t, &err), err);
  REQUIRE_OK (t.ops->enable (t.d.format, &err), err);
  REQUIRE_OK (t.ops->end (t.d.format, &err), err);
  CHECK_MEM_EQ (t.bytes[0], m.b, m.len);
  CHECK_EQ_INT (t.ops->enable (t.d.format, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_REFUSED, "*open the image again*");
  target_free (&t);
}

/*--- Grains -------------------------------------------------------------*/

static void
an_allocated_grain_is_written_in_place (void)
{
  static struct image m;
  struct target t;
  struct rv_plan plan;
  rawview_error err;

  make_sparse (&m);
  put_gte (&m, 2, 16);
  put_gte (&m, 3, 24);
  start (&t, &m);
  REQUIRE_OK (t.ops->plan (t.d.format, 2 * GRAIN + 7, 3 * GRAIN, &plan, &err),
              err);
  CHECK_EQ_INT (plan.kind, RV_PLAN_IN_PLACE);
  CHECK_EQ_U64 (plan.len, 2 * GRAIN - 7);
  CHECK_EQ_U64 (plan.host_off, 16 * SECTOR + 7);
  put_bytes (&t, 2 * GRAIN + 7, GRAIN, 0x11);
  CHECK_EQ_U64 (t.ios[0]->size, m.len);
  target_finish (&t);
  target_free (&t);
}

static void
a_new_grain_lies_at_the_end_of_the_file (void)
{
  static struct image m;
  struct target t;
  rawview_error err;

  make_sparse (&m);
  m.len -= SECTOR;
  start (&t, &m);
  put_bytes (&t, 5 * GRAIN + 100, 2 * GRAIN, 0x22);
  /* Readers see it at once; the file says so after the flush. */
  check_model (&t);
  CHECK_EQ_U64 (gte (&t, 5, false), 0);
  REQUIRE_OK (target_flush (&t, &err), err);
  for (unsigned k = 0; k < 3; k++) {
    CHECK_EQ_U64 (gte (&t, 5 + k, false), SECTORS + k * 8);
    CHECK_EQ_U64 (gte (&t, 5 + k, true), SECTORS + k * 8);
  }
  put_bytes (&t, 6 * GRAIN, 10, 0x23);
  target_finish (&t);
  target_free (&t);
}

static void
a_short_last_grain_is_whole_in_the_file (void)
{
  static struct image m;
  struct target t;

  make_sparse (&m);
  start (&t, &m);
  put_bytes (&t, TAIL + 3, 100, 0x33);
  CHECK_EQ_U64 (t.ios[0]->size, FIRST + GRAIN);
  target_finish (&t);
  CHECK_EQ_U64 (t.ios[0]->size, FIRST + GRAIN);
  target_free (&t);
}

/* Grains need not be aligned, so the next would reach into it. */
static void
nothing_is_put_behind_a_short_last_grain (void)
{
  static struct image m;
  struct target t;
  rawview_error err;

  make_sparse (&m);
  put_gte (&m, GRAINS - 1, SECTORS - 14);
  m.len = (SECTORS - 9) * SECTOR;
  start (&t, &m);
  put_bytes (&t, 0, 100, 0x34);
  target_finish (&t);
  CHECK (gte (&t, 0, false) >= SECTORS - 6);
  CHECK_OK (target_enable (&t, &err), err);
  target_free (&t);
}

static void
what_surrounds_a_write_comes_from_the_parent_or_zeros (void)
{
  static struct image m;
  struct target t = { 0 };
  rawview_error err;

  make_sparse (&m);
  put32 (m.b, 8, RV_VMDK_FLAG_ZERO | RV_VMDK_FLAG_RGD);
  put_descriptor (&m, "monolithicSparse",
                  "parentCID=00000012\nparentFileNameHint=\"p.vmdk\"\n");
  put_gte (&m, 1, 1);
  t.parent = true;
  target_add (&t, m.b, m.len, "t.vmdk");
  REQUIRE_OK (target_start (&t, &err), err);
  REQUIRE_OK (target_enable (&t, &err), err);
  put_bytes (&t, GRAIN - 5, 10, 0x44);
  CHECK_EQ_INT (t.model[0], PARENT_BYTE);
  CHECK_EQ_INT (t.model[2 * GRAIN - 1], 0);
  target_finish (&t);
  target_free (&t);
}

static void
missing_tables_are_made (void)
{
  static struct image m;
  struct target t;
  rawview_error err;
  uint32_t gde, rgde;

  make_sparse (&m);
  put32 (m.b, 8, RV_VMDK_FLAG_ZERO | RV_VMDK_FLAG_RGD);
  for (unsigned i = 1; i < 3; i++) {
    put32 (m.b, AT_GD * SECTOR + 4 * i, i - 1);
    put32 (m.b, AT_RGD * SECTOR + 4 * i, i - 1);
  }
  start (&t, &m);
  put_bytes (&t, SPAN - 10, 20, 0x55);
  put_bytes (&t, END - 10, 10, 0x56);
  check_model (&t);
  CHECK_MEM_EQ (t.bytes[0], "KDMV", 4);
  CHECK_EQ_U64 (rv_le32 (t.bytes[0] + AT_GD * SECTOR + 4), 0);
  REQUIRE_OK (target_flush (&t, &err), err);
  gde = rv_le32 (t.bytes[0] + AT_GD * SECTOR + 4);
  rgde = rv_le32 (t.bytes[0] + AT_RGD * SECTOR + 4);
  CHECK (gde >= SECTORS && rgde >= SECTORS && gde != rgde);
  CHECK_MEM_EQ (t.bytes[0] + gde * SECTOR, t.bytes[0] + rgde * SECTOR, SECTOR);
  target_finish (&t);
  target_free (&t);
}

static void
places_that_were_not_used_are_given_out_again (void)
{
  static struct image m;
  struct rv_plan a, b, c;
  struct target t;
  rawview_error err;

  make_sparse (&m);
  start (&t, &m);
  REQUIRE_OK (t.ops->plan (t.d.format, 0, GRAIN, &a, &err), err);
  b = c = a;
  REQUIRE_OK (t.ops->allocate (t.d.format, &a, &err), err);
  REQUIRE_OK (t.ops->allocate (t.d.format, &b, &err), err);
  CHECK_EQ_U64 (a.host_off, FIRST);
  CHECK_EQ_U64 (b.host_off, FIRST + GRAIN);
  t.ops->cancel (t.d.format, &a, &t.freed);
  REQUIRE_OK (t.ops->allocate (t.d.format, &c, &err), err);
  CHECK_EQ_U64 (c.host_off, FIRST + 2 * GRAIN);
  t.ops->cancel (t.d.format, &c, &t.freed);
  t.ops->cancel (t.d.format, &b, &t.freed);
  CHECK_EQ_U64 (growth_of (&t, 0)->next, FIRST);
  CHECK_EQ_U64 (t.freed.len, 0);
  target_free (&t);
}

static void
a_file_at_the_limit_of_its_entries_is_full (void)
{
  static struct image m;
  struct rv_plan plan, again;
  struct target t;
  rawview_error err;

  make_sparse (&m);
  start (&t, &m);
  growth_of (&t, 0)->next = (UINT64_C (512) << 32) - 2 * GRAIN - 1;
  REQUIRE_OK (t.ops->plan (t.d.format, 5, 3 * GRAIN, &plan, &err), err);
  CHECK_EQ_U64 (plan.fill_len, 4 * GRAIN);
  again = plan;
  REQUIRE_OK (t.ops->allocate (t.d.format, &plan, &err), err);
  CHECK_EQ_U64 (plan.fill_len, 2 * GRAIN);
  CHECK_EQ_U64 (plan.len, 2 * GRAIN - 5);
  CHECK_EQ_U64 (plan.host_off, (UINT64_C (512) << 32) - 2 * GRAIN + 5);
  CHECK_EQ_INT (t.ops->allocate (t.d.format, &again, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_LIMIT, "t.vmdk: the file has reached *");
  CHECK_EQ_INT (err.errnum, ENOSPC);
  target_free (&t);
}

/*--- Zeros and trim -----------------------------------------------------*/

struct drop_case {
  bool flag, parent, stored;
  enum rv_drop how;
  enum rv_dropped what;
  uint32_t entry; /* afterwards; 16: as it was */
};

static void
check_drop (const struct drop_case *c)
{
  static struct image m;
  struct target t = { .parent = c->parent };
  struct rv_drop_answer a;
  rawview_error err;

  make_sparse (&m);
  put32 (m.b, 8, RV_VMDK_FLAG_RGD | (c->flag ? RV_VMDK_FLAG_ZERO : 0));
  if (c->parent)
    put_descriptor (&m, "monolithicSparse", "parentCID=00000012\n");
  if (c->stored)
    put_gte (&m, 1, 16);
  target_add (&t, m.b, m.len, "t.vmdk");
  REQUIRE_OK (target_start (&t, &err), err);
  REQUIRE_OK (target_enable (&t, &err), err);
  REQUIRE_OK (
      t.ops->drop (t.d.format, GRAIN, GRAIN, c->how, &a, &t.freed, &err), err);
  CHECK_EQ_INT (a.what, c->what);
  CHECK_EQ_U64 (a.len, GRAIN);
  CHECK_EQ_U64 (t.freed.len, c->stored && c->entry == 1);
  if (a.what == RV_DROP_IN_PLACE) {
    CHECK_EQ_U64 (a.host_off, 16 * SECTOR);
    CHECK_EQ_INT (a.punch, c->how != RV_DROP_KEEP);
  }
  if (a.what == RV_DROP_WRITE)
    CHECK (!t.ops->can_drop (t.d.format, GRAIN, GRAIN, c->how));
  REQUIRE_OK (target_flush (&t, &err), err);
  CHECK_EQ_U64 (gte (&t, 1, false), c->entry);
  CHECK_EQ_U64 (gte (&t, 1, true), c->entry);
  target_free (&t);
}

static void
zeros_and_trim_are_entries_where_the_header_has_them (void)
{
  static const struct drop_case cases[] = {
    { 1, 0, 1, RV_DROP_ZERO, RV_DROPPED, 1 },
    { 1, 0, 1, RV_DROP_TRIM, RV_DROPPED, 1 },
    { 1, 0, 1, RV_DROP_KEEP, RV_DROP_IN_PLACE, 16 },
    { 0, 0, 1, RV_DROP_ZERO, RV_DROP_IN_PLACE, 16 },
    { 0, 0, 1, RV_DROP_TRIM, RV_DROP_WRITE, 16 },
    { 0, 0, 1, RV_DROP_KEEP, RV_DROP_IN_PLACE, 16 },
    { 1, 0, 0, RV_DROP_ZERO, RV_DROPPED, 0 },
    { 0, 0, 0, RV_DROP_ZERO, RV_DROPPED, 0 },
    { 0, 0, 0, RV_DROP_TRIM, RV_DROPPED, 0 },
    { 1, 1, 0, RV_DROP_ZERO, RV_DROPPED, 1 },
    { 1, 1, 0, RV_DROP_KEEP, RV_DROPPED, 1 },
    { 1, 1, 0, RV_DROP_TRIM, RV_DROPPED, 0 },
    { 0, 1, 0, RV_DROP_ZERO, RV_DROP_WRITE, 0 },
    { 0, 1, 0, RV_DROP_TRIM, RV_DROPPED, 0 },
    { 1, 1, 1, RV_DROP_TRIM, RV_DROPPED, 1 },
  };

  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    check_drop (&cases[i]);
}

static void
zeros_in_a_table_that_is_missing (void)
{
  static struct image m;
  struct target t = { .parent = true };
  rawview_error err;

  make_sparse (&m);
  put32 (m.b, 8, RV_VMDK_FLAG_ZERO);
  put_descriptor (&m, "monolithicSparse", "parentCID=00000012\n");
  put32 (m.b, AT_GD * SECTOR + 4, 0);
  put_gte (&m, 3, 32);
  target_add (&t, m.b, m.len, "t.vmdk");
  REQUIRE_OK (target_start (&t, &err), err);
  REQUIRE_OK (target_enable (&t, &err), err);
  put_zeros (&t, 0, SPAN + 3 * GRAIN, RV_DROP_ZERO);
  put_zeros (&t, TAIL, END - TAIL, RV_DROP_ZERO);
  put_zeros (&t, TAIL - GRAIN / 2, GRAIN / 2, RV_DROP_ZERO);
  target_finish (&t);
  target_free (&t);
}

static void
the_space_of_dropped_grains_is_given_back (void)
{
  static struct image m;
  struct target t;
  rawview_error err;

  make_sparse (&m);
  put32 (m.b, 8, RV_VMDK_FLAG_ZERO | RV_VMDK_FLAG_RGD);
  put_gte (&m, 0, 16);
  put_gte (&m, 1, 24);
  memset (m.b + 16 * SECTOR, 7, 3 * GRAIN);
  start (&t, &m);
  put_zeros (&t, 0, 2 * GRAIN, RV_DROP_TRIM);
  CHECK_EQ_INT (t.bytes[0][16 * SECTOR], 7);
  REQUIRE_OK (target_flush (&t, &err), err);
  CHECK_EQ_INT (t.bytes[0][16 * SECTOR], 0);
  CHECK_EQ_INT (t.bytes[0][32 * SECTOR - 1], 0);
  CHECK_EQ_INT (t.bytes[0][32 * SECTOR], 7);
  put_bytes (&t, 0, 10, 1);
  REQUIRE_OK (target_flush (&t, &err), err);
  CHECK_EQ_U64 (gte (&t, 0, false), SECTORS);
  target_finish (&t);
  target_free (&t);
}

/*--- Tables that contradict themselves ----------------------------------*/

/* Makes both copies say so, unseen by enable. */
static void
spoil (struct target *t, unsigned grain, uint32_t value, bool second)
{
  uint8_t raw[4];
  rawview_error err;

  rv_put_le32 (raw, value);
  CHECK_OK (rv_tables_edit (t->d.tables, t->ios[0],
                            (second ? AT_RGT : AT_GT) * SECTOR, SECTOR,
                            4 * grain, raw, 4, RV_PHASE_PUBLISH, &err),
            err);
  atomic_store (&growth_of (t, 0)->vetted[0], 0);
}

static void
an_entry_that_points_to_where_the_file_will_grow_is_never_followed (void)
{
  static struct image m;
  struct target t;
  struct rv_plan plan;
  uint8_t buf[GRAIN] = { 0 };
  rawview_error err;

  make_sparse (&m);
  start (&t, &m);
  spoil (&t, 0, SECTORS, false);
  spoil (&t, 0, SECTORS, true);
  CHECK_OK (guest_write (&t, buf, GRAIN, SPAN, &err), err);
  CHECK (t.ios[0]->size > FIRST);
  CHECK_EQ_INT (guest_read (&t, buf, GRAIN, 0, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*past the end of the file*");
  CHECK_EQ_INT (t.ops->plan (t.d.format, GRAIN, GRAIN, &plan, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*grain 0*past the end*");
  CHECK_OK (guest_read (&t, buf, GRAIN, SPAN, &err), err);
  target_free (&t);
}

static void
copies_that_differ_stop_the_first_write_to_them (void)
{
  static struct image m;
  struct target t;
  struct rv_plan plan;
  rawview_error err;

  make_sparse (&m);
  start (&t, &m);
  spoil (&t, 0, 16, true);
  CHECK_EQ_INT (t.ops->plan (t.d.format, GRAIN, GRAIN, &plan, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_CORRUPT, "*grain table 0 differs*");
  CHECK_OK (t.ops->plan (t.d.format, SPAN, GRAIN, &plan, &err), err);
  target_free (&t);
}

int
main (void)
{
  rv_vmdk_cid_random = counted_random;
  TEST (the_digits_of_the_cid_are_found);
  TEST (each_digit_of_a_new_cid_differs);
  TEST (only_the_cid_and_the_flag_change_before_the_first_write);
  TEST (the_flag_stays_set_if_a_table_is_corrupt);
  TEST (without_a_write_nothing_changes);
  TEST (an_allocated_grain_is_written_in_place);
  TEST (a_new_grain_lies_at_the_end_of_the_file);
  TEST (a_short_last_grain_is_whole_in_the_file);
  TEST (nothing_is_put_behind_a_short_last_grain);
  TEST (what_surrounds_a_write_comes_from_the_parent_or_zeros);
  TEST (missing_tables_are_made);
  TEST (places_that_were_not_used_are_given_out_again);
  TEST (a_file_at_the_limit_of_its_entries_is_full);
  TEST (zeros_and_trim_are_entries_where_the_header_has_them);
  TEST (zeros_in_a_table_that_is_missing);
  TEST (the_space_of_dropped_grains_is_given_back);
  TEST (an_entry_that_points_to_where_the_file_will_grow_is_never_followed);
  TEST (copies_that_differ_stop_the_first_write_to_them);
  return test_result ();
}
