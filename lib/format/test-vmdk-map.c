/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <errno.h>

#include "format/test-tables-of.h"
#include "format/test-vmdk.h"
#include "format/vmdk-stream.h"

#define CORRUPT RAWVIEW_ERROR_CORRUPT
#define REFUSED RAWVIEW_ERROR_REFUSED
#define SPAN    (TABLE_ENTRIES * GRAIN)

/* Maps off and compares kind and length; host_off for data. */
#define CHECK_MAP(d, off, kind_, len_, host_) \
  do { \
    struct rv_map map_; \
    uint64_t damaged_; \
    rawview_error err_; \
    if (CHECK_OK (disk_map ((d), (off), &map_, &damaged_, &err_), err_)) { \
      CHECK_EQ_INT (map_.kind, (kind_)); \
      CHECK_EQ_U64 (map_.len, (len_)); \
      if ((kind_) == RV_MAP_DATA) \
        CHECK_EQ_U64 (map_.host_off, (host_)); \
    } \
  } while (0)

#define CHECK_DAMAGE(d, off, damage, kind, pattern) \
  do { \
    struct rv_map map_; \
    uint64_t damaged_; \
    rawview_error err_; \
    if (CHECK_EQ_INT (disk_map ((d), (off), &map_, &damaged_, &err_), -1)) { \
      CHECK_EQ_U64 (damaged_, (damage)); \
      CHECK_ERROR (err_, (kind), (pattern)); \
      CHECK_EQ_INT (err_.errnum, EIO); \
    } \
  } while (0)

/*--- Hosted sparse ------------------------------------------------------*/

static void
grains_are_found_in_runs (void)
{
  static struct image m;
  struct disk d;
  rawview_error err;

  make_sparse (&m);
  put_gte (&m, 2, 16);
  put_gte (&m, 3, 24);
  put_gte (&m, 4, 40);
  put_gte (&m, 127, 32);
  put_gte (&m, 256, 48);
  put32 (m.b, AT_GD * SECTOR + 4, 0);
  REQUIRE_OK (disk_open (&d, m.b, m.len, &err), err);
  CHECK_EQ_U64 (d.format->size, CAPACITY * SECTOR);
  CHECK_EQ_U64 (d.format->cluster_size, GRAIN);
  CHECK (d.format->has_content_id && d.format->content_id == 0x11);
  CHECK_EQ_U64 (d.format->refs.len, 0);
  CHECK_EQ_U64 (d.warnings.len, 0);

  CHECK_MAP (&d, 0, RV_MAP_PARENT, 2 * GRAIN, 0);
  CHECK_MAP (&d, GRAIN + 5, RV_MAP_PARENT, GRAIN - 5, 0);
  CHECK_MAP (&d, 2 * GRAIN, RV_MAP_DATA, 2 * GRAIN, 16 * SECTOR);
  CHECK_MAP (&d, 2 * GRAIN + 7, RV_MAP_DATA, 2 * GRAIN - 7, 16 * SECTOR + 7);
  CHECK_MAP (&d, 4 * GRAIN, RV_MAP_DATA, GRAIN, 40 * SECTOR);
  CHECK_MAP (&d, 5 * GRAIN, RV_MAP_PARENT, 122 * GRAIN, 0);
  CHECK_MAP (&d, 127 * GRAIN, RV_MAP_DATA, GRAIN, 32 * SECTOR);
  CHECK_MAP (&d, SPAN, RV_MAP_PARENT, SPAN, 0);
  CHECK_MAP (&d, SPAN + 1, RV_MAP_PARENT, SPAN - 1, 0);
  CHECK_MAP (&d, 2 * SPAN, RV_MAP_DATA, 5 * SECTOR, 48 * SECTOR);
  CHECK_MAP (&d, 2 * SPAN + 1, RV_MAP_DATA, 5 * SECTOR - 1, 48 * SECTOR + 1);
  disk_close (&d);
}

static void
an_entry_of_1_means_zeros_only_if_the_header_says_so (void)
{
  static struct image m;
  struct disk d;
  rawview_error err;

  make_sparse (&m);
  put_gte (&m, 0, 1);
  put_gte (&m, 1, 1);
  put32 (m.b, AT_GD * SECTOR + 4, 1);
  REQUIRE_OK (disk_open (&d, m.b, m.len, &err), err);
  CHECK_DAMAGE (&d, 100, GRAIN - 100, CORRUPT, "t.vmdk: *entry 0x1 *zeros*");
  CHECK_DAMAGE (&d, SPAN + 100, SPAN - 100, CORRUPT, "*directory entry 0x1 *");
  disk_close (&d);

  put32 (m.b, 8, RV_VMDK_FLAG_ZERO | RV_VMDK_FLAG_RGD);
  REQUIRE_OK (disk_open (&d, m.b, m.len, &err), err);
  CHECK_MAP (&d, 0, RV_MAP_ZERO, 2 * GRAIN, 0);
  CHECK_MAP (&d, SPAN, RV_MAP_ZERO, SPAN, 0);
  disk_close (&d);
}

static void
entries_that_point_to_no_grain_are_damage (void)
{
  static const struct {
    uint32_t value;
    const char *pattern;
  } bad[] = {
    { AT_DESCRIPTOR, "*" },
    { AT_GD, "*before the area of grains" },
    { AT_GT, "*before the area of grains" },
    { AT_DATA - 1, "*before the area of grains" },
    { 50, "*grain table" }, /* the second table is moved there */
    { 43, "*grain table" },
    { SECTORS - 7, "*cuts off" },
    { SECTORS, "*past the end*" },
    { UINT32_MAX, "*past the end*" },
  };
  static struct image m;

  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    struct disk d;
    rawview_error err;

    make_sparse (&m);
    put32 (m.b, AT_GD * SECTOR + 4, 50);
    put_gte (&m, 0, 42);
    put_gte (&m, 1, bad[i].value);
    put_gte (&m, 2, 52);
    REQUIRE_OK (disk_open (&d, m.b, m.len, &err), err);
    CHECK_MAP (&d, 0, RV_MAP_DATA, GRAIN, 42 * SECTOR);
    CHECK_DAMAGE (&d, GRAIN, GRAIN, CORRUPT, bad[i].pattern);
    CHECK_MAP (&d, 2 * GRAIN, RV_MAP_DATA, GRAIN, 52 * SECTOR);
    disk_close (&d);
  }
}

static void
directory_entries_that_point_to_no_table_are_damage (void)
{
  static const uint32_t bad[] = { 1, 2, 4, AT_GD, AT_RGD, SECTORS, UINT32_MAX };
  static struct image m;

  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    struct disk d;
    rawview_error err;

    make_sparse (&m);
    put32 (m.b, AT_GD * SECTOR, bad[i]);
    REQUIRE_OK (disk_open (&d, m.b, m.len, &err), err);
    CHECK_DAMAGE (&d, 5, SPAN - 5, CORRUPT, "*grain directory entry *");
    CHECK_MAP (&d, SPAN, RV_MAP_PARENT, SPAN, 0);
    disk_close (&d);
  }
}

static void
a_file_that_was_cut_fails_where_it_was_cut (void)
{
  static struct image m;
  struct disk d;
  rawview_error err;

  make_sparse (&m);
  put_gte (&m, 0, 16);
  put_gte (&m, 1, 24);
  put_gte (&m, 256, 32);
  for (size_t len = 0; len <= 37 * SECTOR; len += SECTOR / 2) {
    bool opens = len >= AT_DATA * SECTOR;

    CHECK_EQ_INT (disk_open (&d, m.b, len, &err), opens ? 0 : -1);
    if (opens && len < 24 * SECTOR)
      CHECK_DAMAGE (&d, 0, GRAIN, CORRUPT, "*end of the file*");
    if (opens && len >= 24 * SECTOR)
      CHECK_MAP (&d, 0, RV_MAP_DATA,
                 (uint64_t) (len >= 32 * SECTOR ? 2 : 1) * GRAIN, 16 * SECTOR);
    if (opens && len >= 37 * SECTOR)
      CHECK_MAP (&d, 256 * GRAIN, RV_MAP_DATA, 5 * SECTOR, 32 * SECTOR);
    disk_close (&d);
  }
}

static void
any_bytes_in_the_tables_do_no_harm (void)
{
  static struct image m;
  struct disk d;
  rawview_error err;

  for (size_t at = AT_GD * SECTOR; at < (AT_GT + 1) * SECTOR; at++)
    for (unsigned value = 0; value < 256; value += 51) {
      struct rv_map map;
      uint64_t damaged, off = 0;

      make_sparse (&m);
      put_gte (&m, 1, 20);
      m.b[at] = value;
      REQUIRE_OK (disk_open (&d, m.b, m.len, &err), err);
      while (off < d.format->size)
        if (disk_map (&d, off, &map, &damaged, &err) == 0) {
          REQUIRE (map.len > 0 && map.len <= d.format->size - off);
          off += map.len;
        }
        else {
          REQUIRE (damaged > 0 && damaged <= d.format->size - off);
          off += damaged;
        }
      disk_close (&d);
    }
}

/*--- The container ------------------------------------------------------*/

static void
check_refused (const void *bytes, size_t len, rawview_error_kind kind,
               const char *pattern)
{
  struct disk d;
  rawview_error err = { 0 };

  if (CHECK_EQ_INT (disk_open (&d, bytes, len, &err), -1))
    CHECK_ERROR (err, kind, pattern);
  disk_close (&d);
}

static void
a_container_that_is_not_a_whole_disk_is_refused (void)
{
  static struct image m;

  make_sparse (&m);
  put64 (m.b, 28, 0);
  check_refused (m.b, m.len, RAWVIEW_ERROR_UNSUPPORTED,
                 "*open the descriptor*");
  make_sparse (&m);
  memset (m.b + SECTOR, 0, 4 * SECTOR);
  check_refused (m.b, m.len, RAWVIEW_ERROR_UNSUPPORTED,
                 "*open the descriptor*");
  make_sparse (&m);
  strcat ((char *) m.b + SECTOR, "RW 8 SPARSE \"t.vmdk\"\n");
  check_refused (m.b, m.len, RAWVIEW_ERROR_UNSUPPORTED, "*2 extents*");
  make_sparse (&m);
  memset (m.b + SECTOR, 0, 4 * SECTOR);
  strcpy ((char *) m.b + SECTOR,
          "CID=1\ncreateType=custom\nRW 8 FLAT \"/etc/passwd\" 0\n");
  check_refused (m.b, m.len, RAWVIEW_ERROR_UNSUPPORTED, "*other files*");
  memcpy (m.b, "COWD", 4);
  check_refused (m.b, m.len, RAWVIEW_ERROR_UNSUPPORTED, "*COWD*descriptor*");
  put64 (m.b, 0, 0xcafebabe);
  check_refused (m.b, m.len, RAWVIEW_ERROR_UNSUPPORTED, "*seSparse*");
  put64 (m.b, 0, 0);
  check_refused (m.b, m.len, RAWVIEW_ERROR_FORMAT, "*is no VMDK*");
  check_refused ("", 0, RAWVIEW_ERROR_FORMAT, "*is no VMDK*");
}

static void
header_and_descriptor_must_agree_on_the_size (void)
{
  static struct image m;
  struct disk d;
  rawview_error err;

  make_sparse (&m);
  put64 (m.b, 12, CAPACITY - 1);
  check_refused (m.b, m.len, CORRUPT, "*descriptor says*header says*");
  put64 (m.b, 12, CAPACITY + 3);
  put_gte (&m, 256, SECTORS - 5);
  REQUIRE_OK (disk_open (&d, m.b, m.len, &err), err);
  CHECK_EQ_U64 (d.format->size, CAPACITY * SECTOR);
  CHECK_EQ_U64 (d.warnings.len, 1);
  CHECK_MAP (&d, 256 * GRAIN, RV_MAP_DATA, 5 * SECTOR, (SECTORS - 5) * SECTOR);
  disk_close (&d);
}

static void
a_disk_above_max_size_is_refused (void)
{
  struct rv_format_params params;
  struct disk d;
  rawview_error err;
  static const char text[] = "CID=1\ncreateType=custom\nRW 4096 ZERO\n";

  disk_init (&d);
  REQUIRE_OK (rv_io_mem_new (text, strlen (text), "t", &d.io, &err), err);
  params = d.params;
  params.max_size = 4096 * SECTOR - 1;
  CHECK_EQ_INT (rv_format_vmdk.open (d.io, &params, &d.format, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_LIMIT, "*max-size*");
  params.max_size++;
  CHECK_OK (rv_format_vmdk.open (d.io, &params, &d.format, &err), err);
  disk_close (&d);
}

/*--- Streams ------------------------------------------------------------*/

static void
make_stream (struct image *m, uint32_t flags, bool footer)
{
  make_sparse (m);
  put_descriptor (m, "streamOptimized", "");
  put32 (m->b, 4, 3);
  put32 (m->b, 8, flags);
  put16 (m->b, 77, 1);
  put_gte (m, 0, 16);
  put_gte (m, 1, 60);
  put_gte (m, 256, 20);
  if (!footer)
    return;
  memcpy (m->b + 62 * SECTOR, m->b, SECTOR);
  put64 (m->b, 56, RV_VMDK_GD_AT_END);
  put64 (m->b, 61 * SECTOR, 1);
  put32 (m->b, 61 * SECTOR + 12, 3);
}

static void
check_stream (struct disk *d, bool lba)
{
  struct rv_map map;
  uint64_t damaged;
  rawview_error err;

  REQUIRE_OK (disk_map (d, 256 * GRAIN + 6, &map, &damaged, &err), err);
  CHECK_EQ_INT (map.kind, RV_MAP_COMPRESSED);
  CHECK_EQ_INT (map.codec, RV_CODEC_ZLIB);
  CHECK_EQ_U64 (map.len, 5 * SECTOR - 6);
  CHECK_EQ_U64 (map.host_off, 20 * SECTOR);
  CHECK_EQ_U64 (map.host_len, 2 * GRAIN + SECTOR);
  CHECK_EQ_U64 (map.unit_len, GRAIN);
  CHECK_EQ_U64 (map.unit_min, 5 * SECTOR);
  CHECK_EQ_U64 (map.unit_off, 256 * GRAIN);
  CHECK_EQ_U64 (map.unit_tag, 256 * GRAIN / SECTOR);
  CHECK (map.payload == (lba ? rv_vmdk_payload_lba : rv_vmdk_payload_size));

  REQUIRE_OK (disk_map (d, GRAIN, &map, &damaged, &err), err);
  CHECK_EQ_U64 (map.len, GRAIN);
  CHECK_EQ_U64 (map.unit_min, GRAIN);
  CHECK_EQ_U64 (map.host_len, 4 * SECTOR);
}

static void
compressed_grains_are_found_by_header_or_footer (void)
{
  static const uint32_t flags[] = {
    RV_VMDK_FLAG_DEFLATE, RV_VMDK_FLAG_DEFLATE | RV_VMDK_FLAG_MARKERS
  };
  static struct image m;
  struct disk d;
  rawview_error err;

  for (unsigned i = 0; i < 4; i++) {
    make_stream (&m, flags[i % 2], i / 2);
    REQUIRE_OK (disk_open (&d, m.b, m.len, &err), err);
    check_stream (&d, i % 2);
    CHECK_MAP (&d, 2 * GRAIN, RV_MAP_PARENT, SPAN - 2 * GRAIN, 0);
    disk_close (&d);
  }
}

static void
compressed_grains_do_not_lie_in_tables (void)
{
  static struct image m;
  struct disk d;
  rawview_error err;

  make_stream (&m, RV_VMDK_FLAG_DEFLATE, true);
  put_gte (&m, 0, AT_GT + 1);
  put_gte (&m, 1, 64);
  REQUIRE_OK (disk_open (&d, m.b, m.len, &err), err);
  CHECK_DAMAGE (&d, 0, GRAIN, CORRUPT, "*grain table");
  CHECK_DAMAGE (&d, GRAIN, GRAIN, CORRUPT, "*past the end*");
  disk_close (&d);
}

static void
a_stream_without_its_end_is_refused (void)
{
  static struct image m;
  rawview_error err;

  make_stream (&m, RV_VMDK_FLAG_DEFLATE, true);
  for (size_t len = 0; len < m.len; len += SECTOR / 4) {
    struct disk d;

    CHECK_EQ_INT (disk_open (&d, m.b, len, &err), -1);
    disk_close (&d);
  }
}

/*--- Several extents ----------------------------------------------------*/

static const char several[] =
    "# Disk DescriptorFile\nCID=7\ncreateType=custom\n"
    "RW 4 FLAT \"a.vmdk\" 2\n"
    "RDONLY 8 ZERO\n"
    "NOACCESS 8 FLAT \"never.vmdk\" 0\n"
    "RW 2053 SPARSE \"b.vmdk\"\n"
    "RW 5 VMFS \"c.vmdk\"\n";
#define AT_SPARSE (20 * SECTOR)

static uint8_t zeros[16 * SECTOR];

static void
extents_follow_one_another (void)
{
  static struct image m;
  struct disk d;
  rawview_error err;

  make_sparse (&m);
  put_gte (&m, 0, 16);
  put_gte (&m, 256, 24);
  REQUIRE_OK (disk_open (&d, several, strlen (several), &err), err);
  CHECK_EQ_U64 (d.format->size, (25 + CAPACITY) * SECTOR);
  CHECK_EQ_U64 (d.format->refs.len, 3);
  CHECK_STR_EQ (d.format->refs.ptr[1].name, "b.vmdk");
  REQUIRE_OK (disk_attach (&d, 0, zeros, 6 * SECTOR, "a", &err), err);
  REQUIRE_OK (disk_attach (&d, 1, m.b, m.len, "b", &err), err);
  CHECK_EQ_U64 (d.format->facts.len, 0);
  REQUIRE_OK (disk_attach (&d, 2, zeros, 5 * SECTOR, "c", &err), err);
  CHECK (d.format->facts.len > 0);
  CHECK_EQ_U64 (d.format->cluster_size, GRAIN);

  CHECK_MAP (&d, 1, RV_MAP_DATA, 4 * SECTOR - 1, 2 * SECTOR + 1);
  CHECK_MAP (&d, 4 * SECTOR, RV_MAP_ZERO, 8 * SECTOR, 0);
  CHECK_DAMAGE (&d, 12 * SECTOR, 8 * SECTOR, REFUSED, "*no access*");
  CHECK_MAP (&d, AT_SPARSE, RV_MAP_DATA, GRAIN, 16 * SECTOR);
  CHECK_MAP (&d, AT_SPARSE + 256 * GRAIN, RV_MAP_DATA, 5 * SECTOR, 24 * SECTOR);
  CHECK_MAP (&d, AT_SPARSE + CAPACITY * SECTOR, RV_MAP_DATA, 5 * SECTOR, 0);
  disk_close (&d);
}

static void
compressed_extents_know_their_place_in_the_disk (void)
{
  static struct image m;
  struct rv_map map;
  struct disk d;
  uint64_t damaged;
  rawview_error err;

  make_stream (&m, RV_VMDK_FLAG_DEFLATE | RV_VMDK_FLAG_MARKERS, true);
  REQUIRE_OK (disk_open (&d, several, strlen (several), &err), err);
  REQUIRE_OK (disk_attach (&d, 1, m.b, m.len, "b", &err), err);
  REQUIRE_OK (disk_map (&d, AT_SPARSE + GRAIN, &map, &damaged, &err), err);
  CHECK_EQ_U64 (map.unit_off, AT_SPARSE + GRAIN);
  CHECK_EQ_U64 (map.unit_tag, GRAIN / SECTOR);
  disk_close (&d);
}

static void
an_extent_file_must_be_what_the_descriptor_says (void)
{
  static struct image m;
  struct disk d;
  rawview_error err;

  make_sparse (&m);
  REQUIRE_OK (disk_open (&d, several, strlen (several), &err), err);
  CHECK_EQ_INT (disk_attach (&d, 0, zeros, 6 * SECTOR - 1, "a", &err), -1);
  CHECK_ERROR (err, CORRUPT, "a: *3071*2048*1024*allow-truncated*");
  CHECK_EQ_INT (disk_attach (&d, 0, zeros, 0, "a", &err), -1);
  CHECK_EQ_INT (disk_attach (&d, 1, zeros, sizeof zeros, "b", &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_FORMAT, "b: no VMDK header*");
  CHECK_EQ_INT (disk_attach (&d, 1, zeros, 0, "b", &err), -1);
  put64 (m.b, 12, CAPACITY - 1);
  CHECK_EQ_INT (disk_attach (&d, 1, m.b, m.len, "b", &err), -1);
  CHECK_ERROR (err, CORRUPT, "b: the descriptor says*");
  CHECK_EQ_INT (d.format->ops->attach (d.format, 0, d.io, &d.params, &err), -1);
  CHECK_ERROR (err, REFUSED, "*names itself*");
  disk_close (&d);
}

static void
a_missing_tail_fails_if_it_is_allowed_at_all (void)
{
  struct disk d;
  rawview_error err;

  REQUIRE_OK (disk_open (&d, several, strlen (several), &err), err);
  d.params.allow_truncated = true;
  REQUIRE_OK (disk_attach (&d, 0, zeros, 3 * SECTOR + 100, "a", &err), err);
  CHECK_EQ_U64 (d.warnings.len, 1);
  CHECK_MAP (&d, 0, RV_MAP_DATA, SECTOR, 2 * SECTOR);
  CHECK_DAMAGE (&d, SECTOR, 3 * SECTOR, CORRUPT, "a: *ends*");
  REQUIRE_OK (disk_attach (&d, 2, zeros, 0, "c", &err), err);
  CHECK_DAMAGE (&d, (20 + CAPACITY) * SECTOR, 5 * SECTOR, CORRUPT, "c: *");
  disk_close (&d);
}

static void
the_same_bytes_twice_are_worth_a_warning (void)
{
  static const char text[] =
      "CID=7\ncreateType=custom\nRW 4 FLAT \"a\" 0\nRW 4 FLAT \"a\" 3\n"
      "RW 4 FLAT \"a\" 7\n";
  CLEANUP_IO struct rv_io *io = NULL;
  struct disk d;
  rawview_error err;

  REQUIRE_OK (disk_open (&d, text, strlen (text), &err), err);
  REQUIRE_OK (rv_io_mem_new (zeros, sizeof zeros, "a", &io, &err), err);
  for (size_t i = 0; i < 3; i++)
    REQUIRE_OK (d.format->ops->attach (d.format, i, io, &d.params, &err), err);
  CHECK_EQ_U64 (d.warnings.len, 1);
  disk_close (&d);
}

/* 40 directories of 1 MiB. */
static void
all_directories_together_are_bounded (void)
{
  static uint8_t dir[(AT_DATA + 2048) * SECTOR];
  struct disk d;
  rawview_error err;
  size_t i;
  char *text = malloc (4096), *p = text;

  put_header (dir);
  put64 (dir, 12, UINT64_C (262144) * 128 * 8);
  put64 (dir, 48, 0);
  put64 (dir, 56, AT_DATA);
  p += sprintf (p, "CID=7\ncreateType=custom\n");
  for (i = 0; i < 40; i++)
    p += sprintf (p, "RW 268435456 SPARSE \"a\"\n");
  REQUIRE_OK (disk_open (&d, text, strlen (text), &err), err);
  for (i = 0; i < 40; i++)
    if (disk_attach (&d, i, dir, sizeof dir, "a", &err) == -1)
      break;
  CHECK_EQ_U64 (i, 32);
  CHECK_ERROR (err, RAWVIEW_ERROR_LIMIT, "*directories of the disk together*");
  disk_close (&d);
  free (text);
}

/*--- Parents ------------------------------------------------------------*/

static void
check_hint (const char *hint, const char *name, bool foreign)
{
  char more[512];
  static struct image m;
  struct disk d;
  rawview_error err;

  sprintf (more, "parentCID=22\n%s", hint);
  make_sparse (&m);
  put_descriptor (&m, "monolithicSparse", more);
  REQUIRE_OK (disk_open (&d, m.b, m.len, &err), err);
  REQUIRE (d.format->refs.len == 1);
  CHECK_EQ_INT (d.format->refs.ptr[0].role, RV_REF_PARENT);
  CHECK_STR_EQ (d.format->refs.ptr[0].name, name);
  CHECK_STR_EQ (d.format->refs.ptr[0].format, "vmdk");
  CHECK (d.format->refs.ptr[0].foreign_path == foreign);
  disk_close (&d);
}

static void
a_parent_is_asked_for_by_its_hint (void)
{
  check_hint ("parentFileNameHint=\"base.vmdk\"\n", "base.vmdk", false);
  check_hint ("parentFileNameHint=\"/a/base.vmdk\"\n", "/a/base.vmdk", false);
  check_hint ("parentFileNameHint=\"/vmfs/volumes/1/b.vmdk\"\n",
              "/vmfs/volumes/1/b.vmdk", true);
  check_hint ("parentFileNameHint=\"C:\\vm\\b.vmdk\"\n", "C:\\vm\\b.vmdk",
              true);
  check_hint ("parentFileNameHint=\"..\\b.vmdk\"\n", "..\\b.vmdk", true);
  check_hint ("", "", false);
}

static void
a_parent_must_match (void)
{
  static struct image m;
  struct rv_format_ops raw = { .name = "raw" };
  struct rv_format parent;
  struct disk d;
  rawview_error err;

  make_sparse (&m);
  put_descriptor (&m, "monolithicSparse", "parentCID=22\n");
  REQUIRE_OK (disk_open (&d, m.b, m.len, &err), err);
  parent = (struct rv_format){ .ops = &rv_format_vmdk,
                               .io = d.io,
                               .size = CAPACITY * SECTOR,
                               .has_content_id = true,
                               .content_id = 0x22 };
  CHECK_OK (d.format->ops->adopt (d.format, &parent, &d.params, &err), err);
  parent.size += SECTOR;
  CHECK_EQ_INT (d.format->ops->adopt (d.format, &parent, &d.params, &err), -1);
  CHECK_ERROR (err, CORRUPT, "*its parent t.vmdk has 1051648");
  parent.content_id = 0x23;
  CHECK_EQ_INT (d.format->ops->adopt (d.format, &parent, &d.params, &err), -1);
  CHECK_ERROR (err, CORRUPT, "*CID 00000023, but parentCID is 00000022*");
  parent.ops = &raw;
  CHECK_EQ_INT (d.format->ops->adopt (d.format, &parent, &d.params, &err), -1);
  CHECK_ERROR (err, CORRUPT, "*is no VMDK*");
  disk_close (&d);
}

/*--- Reads that fail ----------------------------------------------------*/

/* Opens and maps everything with read number n failing; true if none was left
 * to fail.
 */
static bool
survives (const struct image *m, unsigned n)
{
  CLEANUP_IO struct rv_io *mem = NULL;
  atomic_uint countdown = n;
  struct rv_map map;
  uint64_t damaged;
  struct disk d;
  rawview_error err = { 0 };
  bool ok;

  disk_init (&d);
  CHECK_OK (rv_io_mem_new (m->b, m->len, "t", &mem, &err), err);
  CHECK_OK (rv_io_fault_new (mem, &countdown, &d.io, &err), err);
  ok = rv_format_vmdk.open (d.io, &d.params, &d.format, &err) == 0;
  for (uint64_t off = 0; ok && off < 3 * SPAN; off += SPAN)
    ok = disk_map (&d, off, &map, &damaged, &err) == 0;
  if (!ok)
    CHECK_ERROR (err, RAWVIEW_ERROR_IO, "*");
  disk_close (&d);
  return ok;
}

static void
a_read_that_fails_is_reported_and_nothing_leaks (void)
{
  static struct image m;
  unsigned n = 1;

  make_sparse (&m);
  while (!survives (&m, n))
    n++;
  CHECK (n > 5);
  make_stream (&m, RV_VMDK_FLAG_DEFLATE, true);
  for (n = 1; !survives (&m, n); n++)
    ;
  CHECK (n > 6);
}

/*--- Tables -------------------------------------------------------------*/

/* The second of three tables is not there. */
static void
the_tables_that_map_needs_are_named (void)
{
  static struct image m;
  atomic_uint reads_left;

  for (unsigned stream = 0; stream < 2; stream++) {
    struct disk d;
    rawview_error err;

    make_sparse (&m);
    if (stream)
      make_stream (&m, RV_VMDK_FLAG_DEFLATE, true);
    put32 (m.b, AT_GD * SECTOR + 4, 0);
    disk_init (&d);
    REQUIRE_OK (counted_io (m.b, m.len, &reads_left, &d.io, &err), err);
    REQUIRE_OK (rv_format_vmdk.open (d.io, &d.params, &d.format, &err), err);
    check_tables_of (d.format, &reads_left, SPAN, SPAN, 0);
    check_tables_of (d.format, &reads_left, SPAN - 1, 2, 1);
    check_tables_of (d.format, &reads_left, 2 * SPAN, d.format->size - 2 * SPAN,
                     1);
    check_tables_of_ends (d.format, 1);
    disk_close (&d);
  }
}

static void
tables_of_extents_are_named (void)
{
  static struct image m;
  CLEANUP_IO struct rv_io *io = NULL, *slice = NULL;
  atomic_uint reads_left;
  struct disk d;
  rawview_error err;

  make_sparse (&m);
  REQUIRE_OK (counted_io (m.b, m.len, &reads_left, &io, &err), err);
  REQUIRE_OK (rv_io_slice_new (io, 0, m.len, "b.vmdk", &slice, &err), err);
  REQUIRE_OK (disk_open (&d, several, strlen (several), &err), err);
  REQUIRE_OK (disk_attach (&d, 0, zeros, 6 * SECTOR, "a", &err), err);
  REQUIRE_OK (d.format->ops->attach (d.format, 1, slice, &d.params, &err), err);
  check_tables_of (d.format, &reads_left, 0, AT_SPARSE, 0);
  check_tables_of (d.format, &reads_left, AT_SPARSE + CAPACITY * SECTOR, SECTOR,
                   0);
  check_tables_of (d.format, &reads_left, AT_SPARSE - 1, 2, 1);
  check_tables_of (d.format, &reads_left, AT_SPARSE + SPAN,
                   d.format->size - AT_SPARSE - SPAN, 2);
  disk_close (&d);
}

int
main (void)
{
  TEST (grains_are_found_in_runs);
  TEST (an_entry_of_1_means_zeros_only_if_the_header_says_so);
  TEST (entries_that_point_to_no_grain_are_damage);
  TEST (directory_entries_that_point_to_no_table_are_damage);
  TEST (a_file_that_was_cut_fails_where_it_was_cut);
  TEST (any_bytes_in_the_tables_do_no_harm);
  TEST (a_container_that_is_not_a_whole_disk_is_refused);
  TEST (header_and_descriptor_must_agree_on_the_size);
  TEST (a_disk_above_max_size_is_refused);
  TEST (compressed_grains_are_found_by_header_or_footer);
  TEST (compressed_grains_do_not_lie_in_tables);
  TEST (a_stream_without_its_end_is_refused);
  TEST (extents_follow_one_another);
  TEST (compressed_extents_know_their_place_in_the_disk);
  TEST (an_extent_file_must_be_what_the_descriptor_says);
  TEST (a_missing_tail_fails_if_it_is_allowed_at_all);
  TEST (the_same_bytes_twice_are_worth_a_warning);
  TEST (all_directories_together_are_bounded);
  TEST (a_parent_is_asked_for_by_its_hint);
  TEST (a_parent_must_match);
  TEST (a_read_that_fails_is_reported_and_nothing_leaks);
  TEST (the_tables_that_map_needs_are_named);
  TEST (tables_of_extents_are_named);
  return test_result ();
}
