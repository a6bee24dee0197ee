/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The two snapshot formats of ESX, as extents of a descriptor. */

#include <config.h>

#include <errno.h>

#include "format/test-tables-of.h"
#include "format/test-vmdk.h"
#include "util/checked.h"

#define CORRUPT RAWVIEW_ERROR_CORRUPT

/*--- COWD: two tables of 4096 grains of one sector ----------------------*/

#define COWD_CAPACITY 8190u
#define COWD_GT       5u /* sectors of the tables */
#define COWD_GT2      37u
#define COWD_DATA     69u

static const char cowd_text[] = "# Disk DescriptorFile\nCID=7\n"
                                "createType=\"vmfsSparse\"\n"
                                "RW 8190 VMFSSPARSE \"c.vmdk\"\n";

static uint8_t cowd[(COWD_DATA + 8) * SECTOR];

static void
put_cowd_gte (unsigned grain, uint32_t value)
{
  put32 (cowd,
         (grain < 4096 ? COWD_GT : COWD_GT2) * SECTOR + 4 * (grain % 4096),
         value);
}

static void
make_cowd (void)
{
  memset (cowd, 0, sizeof cowd);
  memcpy (cowd, "COWD", 4);
  put32 (cowd, 4, 1);
  put32 (cowd, 8, 3);
  put32 (cowd, 12, COWD_CAPACITY);
  put32 (cowd, 16, 1);
  put32 (cowd, 20, 4);
  put32 (cowd, 24, 2);
  put32 (cowd, 2048, COWD_GT);
  put32 (cowd, 2052, COWD_GT2);
  put_cowd_gte (3, COWD_DATA);
  put_cowd_gte (4, COWD_DATA + 1);
  put_cowd_gte (8189, COWD_DATA + 7);
}

/*--- seSparse: one table, grains of 4 KiB -------------------------------*/

#define SE_CAPACITY 16384u
#define SE_GD       4u
#define SE_GT       8u
#define SE_GT_AREA  128u /* room for two tables, of which one is there */
#define SE_DATA     136u
#define SE_STORED   (UINT64_C (3) << 60)

static const char se_text[] = "# Disk DescriptorFile\nCID=7\n"
                              "createType=\"seSparse\"\n"
                              "RW 16384 SESPARSE \"s.vmdk\"\n";

static uint8_t se[(SE_DATA + 3 * 8) * SECTOR];

static void
make_se (void)
{
  static const uint64_t fields[] = {
    0xcafebabe, 0x200000001, SE_CAPACITY, 8, 64, 0, 0,       0,
    0,          0, /* volatile */
    1,          1,           2,           1, 3,  1, SE_GD,   1,
    SE_GT,      SE_GT_AREA,  5,           1, 6,  1, SE_DATA, 24,
  };

  memset (se, 0, sizeof se);
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
    put64 (se, 8 * i, fields[i]);
  put64 (se, SECTOR, 0xcafecafe);
  put64 (se, SE_GD * SECTOR, (UINT64_C (1) << 60) | 1);
}

static void
put_se_gte (unsigned grain, uint64_t value)
{
  put64 (se, (SE_GT + 64) * SECTOR + 8 * grain, value);
}

/*--- Helpers ------------------------------------------------------------*/

static void
open_disk (struct disk *d, const char *text, const uint8_t *bytes, size_t len)
{
  rawview_error err;

  REQUIRE_OK (disk_open (d, text, strlen (text), &err), err);
  CHECK_OK (disk_attach (d, 0, bytes, len, "x.vmdk", &err), err);
}

static void
check_map (struct disk *d, uint64_t off, enum rv_map_kind kind, uint64_t len,
           uint64_t host_off)
{
  struct rv_map map;
  uint64_t damaged;
  rawview_error err;

  REQUIRE_OK (disk_map (d, off, &map, &damaged, &err), err);
  CHECK_EQ_INT (map.kind, kind);
  CHECK_EQ_U64 (map.len, len);
  CHECK_EQ_U64 (map.host_off, host_off);
}

static void
check_damage (struct disk *d, uint64_t off, uint64_t damage,
              const char *pattern)
{
  struct rv_map map;
  uint64_t damaged;
  rawview_error err;

  REQUIRE (CHECK_EQ_INT (disk_map (d, off, &map, &damaged, &err), -1));
  CHECK_EQ_U64 (damaged, damage);
  CHECK_ERROR (err, CORRUPT, pattern);
}

/*--- Tests --------------------------------------------------------------*/

static void
cowd_grains_are_found (void)
{
  struct disk d;

  make_cowd ();
  open_disk (&d, cowd_text, cowd, sizeof cowd);
  check_map (&d, 0, RV_MAP_PARENT, 3 * SECTOR, 0);
  check_map (&d, 3 * SECTOR + 1, RV_MAP_DATA, 2 * SECTOR - 1,
             COWD_DATA * SECTOR + 1);
  check_map (&d, 5 * SECTOR, RV_MAP_PARENT, 4091 * SECTOR, 0);
  check_map (&d, 8189 * SECTOR, RV_MAP_DATA, SECTOR, (COWD_DATA + 7) * SECTOR);
  disk_close (&d);
}

static void
cowd_damage_is_told (void)
{
  struct disk d;

  make_cowd ();
  put_cowd_gte (0, 1);
  put_cowd_gte (1, 4);
  put_cowd_gte (2, COWD_GT2 + 31);
  put_cowd_gte (3, COWD_DATA + 8);
  put32 (cowd, 2052, 4);
  open_disk (&d, cowd_text, cowd, sizeof cowd);
  check_damage (&d, 5, SECTOR - 5, "x.vmdk: *into the header*");
  check_damage (&d, SECTOR, SECTOR, "*into the header, the descriptor or*");
  check_map (&d, 2 * SECTOR, RV_MAP_DATA, SECTOR, (COWD_GT2 + 31) * SECTOR);
  check_damage (&d, 3 * SECTOR, SECTOR, "*past the end*");
  check_damage (&d, 4096 * SECTOR, 4094 * SECTOR, "*grain directory entry*");
  disk_close (&d);
}

static void
sesparse_entries_mean_four_things (void)
{
  struct disk d;

  make_se ();
  put_se_gte (1, SE_STORED | UINT64_C (1) << 48);
  put_se_gte (2, SE_STORED | UINT64_C (2) << 48);
  put_se_gte (3, SE_STORED);
  put_se_gte (4, UINT64_C (1) << 60);
  put_se_gte (5, UINT64_C (2) << 60 | 77);
  open_disk (&d, se_text, se, sizeof se);
  check_map (&d, 0, RV_MAP_PARENT, GRAIN, 0);
  check_map (&d, GRAIN + 9, RV_MAP_DATA, 2 * GRAIN - 9,
             (SE_DATA + 8) * SECTOR + 9);
  check_map (&d, 3 * GRAIN, RV_MAP_DATA, GRAIN, SE_DATA * SECTOR);
  check_map (&d, 4 * GRAIN, RV_MAP_ZERO, 2 * GRAIN, 0);
  check_map (&d, 6 * GRAIN, RV_MAP_PARENT, 2042 * GRAIN, 0);
  disk_close (&d);
}

static void
sesparse_damage_is_told (void)
{
  static const struct {
    uint64_t entry;
    const char *pattern;
  } bad[] = {
    { 1, "*unknown bits" },
    { UINT64_C (0x0fffffffffffffff), "*unknown bits" },
    { UINT64_C (4) << 60, "*unknown type" },
    { UINT64_C (15) << 60, "*unknown type" },
    { SE_STORED | UINT64_C (3) << 48, "*past the end*" },
    { SE_STORED | 1, "*past the end*" },
    { UINT64_C (0x3fffffffffffffff), "*past the end of any file" },
  };

  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    struct disk d;

    make_se ();
    put_se_gte (1, bad[i].entry);
    open_disk (&d, se_text, se, sizeof se);
    check_damage (&d, GRAIN + 6, GRAIN - 6, bad[i].pattern);
    disk_close (&d);
  }
}

static void
sesparse_directory_damage_is_told (void)
{
  static const uint64_t bad[] = { 1, UINT64_C (1) << 60 | 2,
                                  UINT64_C (1) << 60 | UINT32_MAX,
                                  UINT64_C (1) << 60 | UINT64_C (1) << 32,
                                  UINT64_C (3) << 60 };

  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    struct disk d;

    make_se ();
    put64 (se, SE_GD * SECTOR, bad[i]);
    open_disk (&d, se_text, se, sizeof se);
    check_damage (&d, 0, SE_CAPACITY * SECTOR, "*grain directory entry*");
    disk_close (&d);
  }
}

static void
a_file_of_another_kind_is_refused (void)
{
  struct disk d;
  rawview_error err;

  make_cowd ();
  make_se ();
  REQUIRE_OK (disk_open (&d, cowd_text, strlen (cowd_text), &err), err);
  CHECK_EQ_INT (disk_attach (&d, 0, se, sizeof se, "x", &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_FORMAT, "x: no COWD header*");
  disk_close (&d);
  REQUIRE_OK (disk_open (&d, se_text, strlen (se_text), &err), err);
  CHECK_EQ_INT (disk_attach (&d, 0, cowd, sizeof cowd, "x", &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_FORMAT, "x: no seSparse header*");
  disk_close (&d);
}

/* Attaches and maps with read number n of the extent failing. */
static bool
survives (const char *text, const uint8_t *bytes, size_t len, unsigned n)
{
  CLEANUP_IO struct rv_io *mem = NULL;
  CLEANUP_IO struct rv_io *io = NULL;
  atomic_uint countdown = n;
  struct rv_map map;
  uint64_t damaged;
  struct disk d;
  rawview_error err = { 0 };
  bool ok;

  CHECK_OK (disk_open (&d, text, strlen (text), &err), err);
  CHECK_OK (rv_io_mem_new (bytes, len, "x", &mem, &err), err);
  CHECK_OK (rv_io_fault_new (mem, &countdown, &io, &err), err);
  ok = d.format->ops->attach (d.format, 0, io, &d.params, &err) == 0 &&
       disk_map (&d, 0, &map, &damaged, &err) == 0;
  if (!ok)
    CHECK_ERROR (err, RAWVIEW_ERROR_IO, "*");
  disk_close (&d);
  return ok;
}

static void
a_read_that_fails_is_reported_and_nothing_leaks (void)
{
  unsigned n;

  make_cowd ();
  for (n = 1; !survives (cowd_text, cowd, sizeof cowd, n); n++)
    ;
  CHECK (n > 3);
  make_se ();
  for (n = 1; !survives (se_text, se, sizeof se, n); n++)
    ;
  CHECK (n > 4);
}

/* Every shorter file either opens, and then only damage is missing, or not. */
static void
a_file_that_is_cut_anywhere_does_no_harm (void)
{
  make_se ();
  put_se_gte (1, SE_STORED | UINT64_C (2) << 48);
  make_cowd ();
  for (size_t len = 0; len < sizeof se; len += 256) {
    struct rv_map map;
    uint64_t damaged;
    struct disk d;
    rawview_error err;

    REQUIRE_OK (disk_open (&d, se_text, strlen (se_text), &err), err);
    if (disk_attach (&d, 0, se, len, "x", &err) == 0)
      CHECK_EQ_INT (disk_map (&d, GRAIN, &map, &damaged, &err), -1);
    disk_close (&d);
    REQUIRE_OK (disk_open (&d, cowd_text, strlen (cowd_text), &err), err);
    if (disk_attach (&d, 0, cowd, rv_min_u64 (len, sizeof cowd - 1), "x",
                     &err) == 0)
      CHECK_EQ_INT (disk_map (&d, 8189 * SECTOR, &map, &damaged, &err), -1);
    disk_close (&d);
  }
}

/*--- Tables -------------------------------------------------------------*/

/* All tables of the disk, which are so many. */
static void
check_all_tables (const char *text, const uint8_t *bytes, size_t len,
                  unsigned n)
{
  CLEANUP_IO struct rv_io *io = NULL;
  atomic_uint reads_left;
  struct disk d;
  rawview_error err;

  REQUIRE_OK (counted_io (bytes, len, &reads_left, &io, &err), err);
  REQUIRE_OK (disk_open (&d, text, strlen (text), &err), err);
  REQUIRE_OK (d.format->ops->attach (d.format, 0, io, &d.params, &err), err);
  check_tables_of (d.format, &reads_left, 0, d.format->size, n);
  check_tables_of_ends (d.format, 1);
  disk_close (&d);
}

static void
the_tables_that_map_needs_are_named (void)
{
  make_cowd ();
  check_all_tables (cowd_text, cowd, sizeof cowd, 2);
  make_se ();
  check_all_tables (se_text, se, sizeof se, 1);
}

int
main (void)
{
  TEST (cowd_grains_are_found);
  TEST (cowd_damage_is_told);
  TEST (sesparse_entries_mean_four_things);
  TEST (sesparse_damage_is_told);
  TEST (sesparse_directory_damage_is_told);
  TEST (a_file_of_another_kind_is_refused);
  TEST (a_read_that_fails_is_reported_and_nothing_leaks);
  TEST (a_file_that_is_cut_anywhere_does_no_harm);
  TEST (the_tables_that_map_needs_are_named);
  return test_result ();
}
