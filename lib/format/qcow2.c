/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QCOW2: opening.  The header area and the L1 table are read, nothing else, so
 * the time does not depend on the size of the disk.
 */

#include <config.h>

#include <string.h>

#include "format/qcow2-extension.h"
#include "format/qcow2-l2.h"
#include "format/qcow2-snapshot.h"
#include "format/qcow2-write.h"
#include "util/checked.h"
#include "util/text.h"

static bool
probe (struct rv_view head)
{
  return head.len >= 4 && memcmp (head.p, "QFI\xfb", 4) == 0;
}

static void
qcow2_close (struct rv_format *format)
{
  struct rv_qcow2 *q = (struct rv_qcow2 *) format;

  rv_qcow2_writing_release (q->writing);
  rv_io_unref (q->data_io);
  rv_qcow2_metadata_release (&q->metadata);
  free (q->l1);
  rv_format_release (&q->base);
  free (q);
}

/*--- Features and sizes -------------------------------------------------*/

static int
check_features (struct rv_qcow2 *q, const struct rv_qcow2_extensions *ext,
                rawview_error *err)
{
  uint64_t unknown = q->header.incompatible & ~QCOW2_INCOMPAT_KNOWN;
  char name[QCOW2_FEATURE_NAME_LEN + 1];
  unsigned bit;

  if (unknown == 0)
    return 0;
  bit = __builtin_ctzll (unknown);
  rv_qcow2_feature_name (ext->feature_names, bit, name);
  return rv_error_unsupported (err,
                               "%s: QCOW2 incompatible feature bit %u (%s) is "
                               "not supported",
                               q->base.io->name, bit, name);
}

static void
warn_about_state (struct rv_qcow2 *q, struct rv_warnings *w)
{
  const char *name = q->base.io->name;

  if (q->header.incompatible & QCOW2_INCOMPAT_CORRUPT)
    rv_warn (w,
             "%s: the image is marked corrupt; what can be read is shown, try "
             "rawview check",
             name);
  if (q->header.incompatible & QCOW2_INCOMPAT_DIRTY)
    rv_warn (w,
             "%s: the image was not closed cleanly (dirty); reading it is "
             "safe",
             name);
  if (q->header.size % 512 != 0)
    rv_warn (w,
             "%s: the size %ju is not a multiple of 512; the last %ju bytes "
             "are left out, as QEMU does",
             name, (uintmax_t) q->header.size,
             (uintmax_t) q->header.size % 512);
}

static int
check_size (struct rv_qcow2 *q, uint64_t size, uint64_t max_size,
            rawview_error *err)
{
  if (size > max_size)
    return rv_error_limit (err, "%s: virtual size %ju is above max-size %ju",
                           q->base.io->name, (uintmax_t) size,
                           (uintmax_t) max_size);
  q->base.size = rv_align_down (size, 512);
  return 0;
}

/*--- The L1 table -------------------------------------------------------*/

/* How many bytes of the L1 table are in the file. */
static uint64_t
l1_present (const struct rv_qcow2 *q, uint64_t bytes)
{
  uint64_t size = q->base.io->size;

  return q->l1_off >= size
             ? 0
             : rv_min_u64 (bytes, rv_align_down (size - q->l1_off, 8));
}

/* The entries that are missing become ones that cannot be right. */
static int
read_l1 (struct rv_qcow2 *q, uint64_t bytes, rawview_error *err)
{
  uint64_t have = l1_present (q, bytes);

  q->base.table_bytes = bytes;
  q->l1 = malloc (bytes);
  if (q->l1 == NULL)
    return rv_error_nomem (err);
  memset ((uint8_t *) q->l1 + have, 0xff, bytes - have);
  return have ? rv_io_pread (q->base.io, q->l1, have, q->l1_off, err) : 0;
}

static int
load_l1 (struct rv_qcow2 *q, bool rescue, rawview_error *err)
{
  const char *name = q->base.io->name;
  unsigned shift = q->header.cluster_bits + rv_qcow2_l2_bits (&q->header);
  uint64_t need = rv_div_up (q->base.size, 1ull << shift);
  uint64_t bytes = (uint64_t) q->l1_size * 8;

  if (bytes > RV_MAX_L1_BYTES)
    return rv_error_limit (err,
                           "%s: a QCOW2 L1 table of %u entries is larger than "
                           "%u bytes",
                           name, q->l1_size, RV_MAX_L1_BYTES);
  if (q->l1_size < need)
    return rv_error_corrupt (err,
                             "%s: a QCOW2 L1 table of %u entries is too small "
                             "for the disk, which needs %ju",
                             name, q->l1_size, (uintmax_t) need);
  if (q->l1_size == 0)
    return 0;
  if (q->l1_off == 0 || q->l1_off % rv_qcow2_cluster_size (&q->header) != 0)
    return rv_error_corrupt (err,
                             "%s: the QCOW2 L1 table offset %#jx is not that "
                             "of a cluster behind the header",
                             name, (uintmax_t) q->l1_off);
  if (!rescue && l1_present (q, bytes) < bytes)
    return rv_error_corrupt (err,
                             "%s: truncated: the QCOW2 L1 table (offset %#jx, "
                             "%ju bytes) does not fit into the file of %ju "
                             "bytes",
                             name, (uintmax_t) q->l1_off, (uintmax_t) bytes,
                             (uintmax_t) q->base.io->size);
  return read_l1 (q, bytes, err);
}

/* Its entries are looked at when somebody wants them. */
static int
check_snapshot_table (struct rv_qcow2 *q, rawview_error *err)
{
  const struct rv_qcow2_header *h = &q->header;
  uint64_t least = (uint64_t) h->nb_snapshots * QCOW2_SNAPSHOT_MIN_LEN;

  if (h->nb_snapshots > 0 &&
      !rv_range_fits (h->snapshots_off, least, q->base.io->size))
    return rv_error_corrupt (err,
                             "%s: truncated: the QCOW2 snapshot table (offset "
                             "%#jx, %u entries) does not fit into the file",
                             q->base.io->name, (uintmax_t) h->snapshots_off,
                             h->nb_snapshots);
  return 0;
}

/* The snapshot's own L1 table and, unlike QEMU, its own size. */
static int
choose_snapshot (struct rv_qcow2 *q, const struct rv_format_params *params,
                 rawview_error *err)
{
  struct rv_qcow2_snapshot s;
  int r;

  if (rv_qcow2_snapshot_find (q->base.io, &q->header, params->snapshot, &s,
                              err) == -1)
    return -1;
  q->is_snapshot = true;
  q->l1_off = s.l1_off;
  q->l1_size = s.l1_size;
  if (q->header.version >= 3 && !s.has_disk_size)
    r = rv_error_corrupt (err,
                          "%s: the QCOW2 snapshot %s does not say how large "
                          "its disk is, which version 3 must",
                          q->base.io->name, s.id);
  else
    r = check_size (q, s.disk_size, params->max_size, err);
  rv_qcow2_snapshot_release (&s);
  return r;
}

static int
open_tables (struct rv_qcow2 *q, const struct rv_format_params *params,
             rawview_error *err)
{
  q->l1_off = q->header.l1_off;
  q->l1_size = q->header.l1_size;
  if (check_size (q, q->header.size, params->max_size, err) == -1)
    return -1;
  if (!(params->rescue && params->snapshot == NULL) &&
      check_snapshot_table (q, err) == -1)
    return -1;
  if (params->snapshot && choose_snapshot (q, params, err) == -1)
    return -1;
  if (load_l1 (q, params->rescue, err) == -1)
    return -1;
  if (rv_qcow2_metadata_init (&q->metadata, q->base.io, &q->header, q->l1,
                              q->l1_off, q->l1_size, err) == -1)
    return -1;
  q->base.table_bytes += rv_qcow2_metadata_bytes (&q->metadata);
  return 0;
}

/*--- References ---------------------------------------------------------*/

/* A name in the file: any bytes but NUL. */
static int
copy_name (struct rv_qcow2 *q, struct rv_view bytes, const char *what,
           char **copy, rawview_error *err)
{
  if (memchr (bytes.p, '\0', bytes.len) != NULL)
    return rv_error_format (err, "%s: the QCOW2 %s name contains a NUL byte",
                            q->base.io->name, what);
  *copy = strndup ((const char *) bytes.p, bytes.len);
  return *copy ? 0 : rv_error_nomem (err);
}

static int
refer_to_backing (struct rv_qcow2 *q, struct rv_view cluster,
                  const struct rv_qcow2_extensions *ext, rawview_error *err)
{
  const struct rv_qcow2_header *h = &q->header;
  CLEANUP_FREE char *name = NULL;

  if (h->backing_len == 0)
    return 0;
  if (!rv_range_fits (h->backing_off, h->backing_len, cluster.len))
    return rv_error_corrupt (err,
                             "%s: truncated inside the QCOW2 backing file "
                             "name",
                             q->base.io->name);
  if (h->autoclear & QCOW2_AUTOCLEAR_DATA_FILE_RAW &&
      h->incompatible & QCOW2_INCOMPAT_DATA_FILE)
    return rv_error_corrupt (err,
                             "%s: a QCOW2 image with a raw external data file "
                             "cannot have a backing file",
                             q->base.io->name);
  if (copy_name (q,
                 (struct rv_view){ cluster.p + h->backing_off, h->backing_len },
                 "backing file", &name, err) == -1)
    return -1;
  if (rv_refs_add (&q->base.refs, RV_REF_PARENT, name,
                   ext->backing_format[0] ? ext->backing_format : NULL,
                   false) == -1 ||
      rv_facts_add_text (&q->base.facts, "backing-filename", name) == -1 ||
      (ext->backing_format[0] &&
       rv_facts_add_text (&q->base.facts, "backing-filename-format",
                          ext->backing_format) == -1))
    return rv_error_nomem (err);
  return 0;
}

static int
refer_to_data_file (struct rv_qcow2 *q, const struct rv_qcow2_extensions *ext,
                    bool has_data_file, rawview_error *err)
{
  bool bit = q->header.incompatible & QCOW2_INCOMPAT_DATA_FILE;
  CLEANUP_FREE char *name = NULL;

  if (!bit && ext->data_file.p)
    return rv_error_corrupt (err,
                             "%s: QCOW2 has the name of an external data file "
                             "but not the feature bit for it",
                             q->base.io->name);
  if (!bit && has_data_file)
    return rv_error_usage (err,
                           "%s: data-file was given but the image has no "
                           "external data file",
                           q->base.io->name);
  if (!bit)
    return 0;
  if (q->header.nb_snapshots > 0)
    return rv_error_corrupt (err,
                             "%s: a QCOW2 image with an external data file "
                             "cannot have internal snapshots",
                             q->base.io->name);
  if (ext->data_file.p &&
      copy_name (q, ext->data_file, "data file", &name, err) == -1)
    return -1;
  if (rv_refs_add (&q->base.refs, RV_REF_DATA_FILE, name ? name : "", "raw",
                   false) == -1)
    return rv_error_nomem (err);
  return 0;
}

static void
remember_bitmaps (struct rv_qcow2 *q, struct rv_view v)
{
  if (v.len < 24)
    return;
  q->bitmaps = (struct rv_qcow2_bitmaps){ .present = true,
                                          .count = rv_be32 (v.p),
                                          .directory_len = rv_be64 (v.p + 8),
                                          .directory_off = rv_be64 (v.p + 16) };
}

/*--- Facts --------------------------------------------------------------*/

static int
add_facts (struct rv_qcow2 *q, const struct rv_qcow2_extensions *ext)
{
  const struct rv_qcow2_header *h = &q->header;
  struct rv_facts *f = &q->base.facts;

  if (rv_facts_add_bool (f, "dirty-flag",
                         h->incompatible & QCOW2_INCOMPAT_DIRTY) == -1 ||
      rv_facts_add_text (f, "format-specific.type", "qcow2") == -1 ||
      rv_facts_add_text (f, "format-specific.data.compat",
                         h->version == 2 ? "0.10" : "1.1") == -1 ||
      rv_facts_add_text (f, "format-specific.data.compression-type",
                         h->compression_type ? "zstd" : "zlib") == -1 ||
      rv_facts_add_number (f, "format-specific.data.refcount-bits",
                           1u << h->refcount_order) == -1)
    return -1;
  if (h->version == 2)
    return 0;
  if (rv_facts_add_bool (f, "format-specific.data.lazy-refcounts",
                         h->compatible & QCOW2_COMPAT_LAZY_REFCOUNTS) == -1 ||
      rv_facts_add_bool (f, "format-specific.data.corrupt",
                         h->incompatible & QCOW2_INCOMPAT_CORRUPT) == -1 ||
      rv_facts_add_bool (f, "format-specific.data.extended-l2",
                         rv_qcow2_ext_l2 (h)) == -1)
    return -1;
  if (h->incompatible & QCOW2_INCOMPAT_DATA_FILE) {
    CLEANUP_FREE char *name = strndup (
        (const char *) ext->data_file.p ? (const char *) ext->data_file.p : "",
        ext->data_file.len);

    if (name == NULL ||
        rv_facts_add_text (f, "format-specific.data.data-file", name) == -1 ||
        rv_facts_add_bool (f, "format-specific.data.data-file-raw",
                           h->autoclear & QCOW2_AUTOCLEAR_DATA_FILE_RAW) == -1)
      return -1;
  }
  return 0;
}

/*--- The driver ---------------------------------------------------------*/

/* Everything that needs the first cluster's bytes. */
static int
open_with_cluster (struct rv_qcow2 *q, struct rv_view cluster,
                   const struct rv_format_params *params, rawview_error *err)
{
  struct rv_qcow2_extensions ext;

  if (q->header.header_length > cluster.len)
    return rv_error_corrupt (err, "%s: truncated inside the QCOW2 header",
                             q->base.io->name);
  if (rv_qcow2_extensions_parse (cluster, q->base.io->name, &q->header, &ext,
                                 err) == -1 ||
      check_features (q, &ext, err) == -1 ||
      refer_to_backing (q, cluster, &ext, err) == -1 ||
      refer_to_data_file (q, &ext, params->has_data_file, err) == -1)
    return -1;
  remember_bitmaps (q, ext.bitmaps);
  if (add_facts (q, &ext) == -1)
    return rv_error_nomem (err);
  return open_tables (q, params, err);
}

/* Clusters that were allocated in advance are holes of the host file until
 * something is written.
 */
static void
set_data_io (struct rv_qcow2 *q, struct rv_io *io)
{
  rv_io_unref (q->data_io);
  q->data_io = rv_io_ref (io);
  q->sparse_data =
      io->ops->allocated != NULL && rv_io_allocated (io) < io->size;
}

static int
open_into (struct rv_qcow2 *q, const struct rv_format_params *params,
           rawview_error *err)
{
  struct rv_io *io = q->base.io;
  uint8_t head[QCOW2_V3_HEADER_LEN + 8];
  struct rv_view view = { head, rv_min_u64 (sizeof head, io->size) };
  CLEANUP_FREE uint8_t *cluster = NULL;

  if (view.len > 0 && rv_io_pread (io, head, view.len, 0, err) == -1)
    return -1;
  if (rv_qcow2_header_parse (view, io->name, &q->header, err) == -1)
    return -1;
  q->base.cluster_size = rv_qcow2_cluster_size (&q->header);
  view.len = rv_min_u64 (q->base.cluster_size, io->size);
  view.p = cluster = malloc (view.len);
  if (cluster == NULL)
    return rv_error_nomem (err);
  if (rv_io_pread (io, cluster, view.len, 0, err) == -1 ||
      open_with_cluster (q, view, params, err) == -1)
    return -1;
  warn_about_state (q, params->warnings);
  return 0;
}

static int
qcow2_open (struct rv_io *io, const struct rv_format_params *params,
            struct rv_format **format, rawview_error *err)
{
  struct rv_qcow2 *q = calloc (1, sizeof *q);

  if (q == NULL)
    return rv_error_nomem (err);
  rv_format_init (&q->base, &rv_format_qcow2, io, params);
  set_data_io (q, io);
  if (open_into (q, params, err) == -1) {
    qcow2_close (&q->base);
    return -1;
  }
  *format = &q->base;
  return 0;
}

/* The only reference besides the parent is the data file. */
static int
attach (struct rv_format *format, size_t ref, struct rv_io *io,
        const struct rv_format_params *params, rawview_error *err)
{
  struct rv_qcow2 *q = (struct rv_qcow2 *) format;

  if (rv_io_same (io, q->base.io))
    return rv_error_refused (err, "%s: the image cannot be its own data file",
                             io->name);
  set_data_io (q, io);
  return 0;
}

static int
snapshots (struct rv_format *format,
           int (*cb) (void *opaque, const rawview_snapshot *s), void *opaque,
           rawview_error *err)
{
  struct rv_qcow2 *q = (struct rv_qcow2 *) format;
  uint64_t off = q->header.snapshots_off;

  for (uint32_t i = 0; i < q->header.nb_snapshots; i++) {
    struct rv_qcow2_snapshot s;
    int end;

    if (rv_qcow2_snapshot_read (q->base.io, &q->header, &off, &s, err) == -1)
      return -1;
    rv_text_make_printable (s.id);
    rv_text_make_printable (s.name);
    end = cb (opaque, &(rawview_snapshot){ .id = s.id,
                                           .name = s.name,
                                           .virtual_size = s.disk_size,
                                           .vm_state_size = s.vm_state_size,
                                           .date_sec = s.date_sec,
                                           .date_nsec = s.date_nsec,
                                           .vm_clock_nsec = s.vm_clock_nsec });
    rv_qcow2_snapshot_release (&s);
    if (end)
      break;
  }
  return 0;
}

const struct rv_format_ops rv_format_qcow2 = {
  .name = "qcow2",
  .probe = probe,
  .open = qcow2_open,
  .attach = attach,
  .map = rv_qcow2_map,
  .tables_of = rv_qcow2_tables_of,
  .snapshots = snapshots,
  .check = rv_qcow2_check,
  .write = &rv_qcow2_write_ops,
  .close = qcow2_close,
};
