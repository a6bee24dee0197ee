/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VMDK: a disk that is made of extents.
 *
 * The container is either a descriptor, a text file that names the files of the
 * extents, or a hosted sparse extent that has its own descriptor inside.  In
 * the latter the only extent is the container itself, under whatever name it is
 * found now.
 */

#include <config.h>

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "format/vmdk-cowd.h"
#include "format/vmdk-sesparse.h"
#include "format/vmdk-sparse.h"
#include "format/vmdk.h"
#include "util/error.h"

#define MAX_KNOWN_VERSION 3u

static bool
vmdk_probe (struct rv_view head)
{
  return rv_vmdk_header_probe (head) || rv_vmdk_cowd_probe (head) ||
         rv_vmdk_sesparse_probe (head) || rv_vmdk_descriptor_probe (head);
}

static struct rv_vmdk *
of_format (struct rv_format *format)
{
  return (struct rv_vmdk *) format;
}

static void
vmdk_close (struct rv_format *format)
{
  struct rv_vmdk *v = of_format (format);

  for (size_t i = 0; i < v->nr_extents; i++)
    rv_vmdk_extent_release (&v->extents[i]);
  free (v->extents);
  free (v->ref_extents);
  rv_vmdk_descriptor_release (&v->descriptor);
  rv_format_release (format);
  for (size_t i = 0; i < v->nr_fact_keys; i++)
    free (v->fact_keys[i]);
  free (v->fact_keys);
  free (v);
}

/*--- Open: the descriptor's extents -------------------------------------*/

/* The extents as the descriptor tells them, without files. */
static int
make_extents (struct rv_vmdk *v, rawview_error *err)
{
  const struct rv_vmdk_lines *lines = &v->descriptor.extents;
  uint64_t start = 0;

  v->extents = calloc (lines->len, sizeof *v->extents);
  if (v->extents == NULL)
    return rv_error_nomem (err);
  for (size_t i = 0; i < lines->len; i++) {
    const struct rv_vmdk_line *line = &lines->ptr[i];

    v->extents[i] = (struct rv_vmdk_extent){ .access = line->access,
                                             .type = line->type,
                                             .start = start,
                                             .len = line->len,
                                             .name = line->name,
                                             .host_off = line->host_off };
    start += line->len;
  }
  v->nr_extents = lines->len;
  v->base.size = start;
  return 0;
}

/* A file of a NOACCESS extent is never needed, so it is not asked for. */
static int
ask_for_files (struct rv_vmdk *v, rawview_error *err)
{
  v->ref_extents = calloc (v->nr_extents, sizeof *v->ref_extents);
  if (v->ref_extents == NULL)
    return rv_error_nomem (err);
  for (size_t i = 0; i < v->nr_extents; i++) {
    const struct rv_vmdk_extent *e = &v->extents[i];

    if (e->name == NULL || e->access == RV_VMDK_NOACCESS)
      continue;
    if (rv_refs_add (&v->base.refs, RV_REF_EXTENT, e->name, NULL, false) == -1)
      return rv_error_nomem (err);
    v->ref_extents[v->nr_missing++] = i;
  }
  return 0;
}

/* "C:\vm\a.vmdk", "\\server\vm\a.vmdk" or "/vmfs/volumes/datastore/a.vmdk" */
static bool
is_foreign_path (const char *name)
{
  return strchr (name, '\\') != NULL || strncmp (name, "/vmfs/", 6) == 0 ||
         (isalpha ((unsigned char) name[0]) && name[1] == ':');
}

/* A parent without a hint is asked for with an empty name: only the operator
 * can say where it is.
 */
static int
ask_for_parent (struct rv_vmdk *v, rawview_error *err)
{
  const struct rv_vmdk_descriptor *d = &v->descriptor;
  const char *hint = d->parent_hint ? d->parent_hint : "";

  if (d->parent_cid == RV_VMDK_NO_PARENT)
    return 0;
  if (rv_refs_add (&v->base.refs, RV_REF_PARENT, hint, "vmdk",
                   is_foreign_path (hint)) == -1)
    return rv_error_nomem (err);
  return 0;
}

static bool
is_ascii (const char *s)
{
  for (; s && *s; s++)
    if ((unsigned char) *s >= 0x80)
      return false;
  return true;
}

static void
warn_about_encoding (const struct rv_vmdk *v, struct rv_warnings *w)
{
  const struct rv_vmdk_descriptor *d = &v->descriptor;
  bool ascii = is_ascii (d->parent_hint);

  for (size_t i = 0; i < v->nr_extents; i++)
    ascii = ascii && is_ascii (v->extents[i].name);
  if (!ascii && d->encoding && strcasecmp (d->encoding, "UTF-8") != 0)
    rv_warn (w,
             "%s: file names are in %s; they are looked up byte by byte as "
             "they stand in the descriptor",
             v->base.io->name, d->encoding);
}

static void
warn_about_descriptor (const struct rv_vmdk *v, struct rv_warnings *w)
{
  const struct rv_vmdk_descriptor *d = &v->descriptor;

  if (d->version > MAX_KNOWN_VERSION)
    rv_warn (w, "%s: descriptor version %u is newer than rawview knows (%u)",
             v->base.io->name, d->version, MAX_KNOWN_VERSION);
  if (d->change_track)
    rv_warn (w,
             "%s: has changed block tracking in \"%s\", which rawview neither "
             "reads nor updates",
             v->base.io->name, d->change_track);
  warn_about_encoding (v, w);
}

/* text: the descriptor. */
static int
use_descriptor (struct rv_vmdk *v, struct rv_view text,
                const struct rv_format_params *params, rawview_error *err)
{
  struct rv_vmdk_descriptor *d = &v->descriptor;

  if (rv_vmdk_descriptor_parse (text, v->base.io->name, d, err) == -1)
    return -1;
  if (d->size > params->max_size)
    return rv_error_limit (err, "%s: the disk has %ju bytes, max-size is %ju",
                           v->base.io->name, (uintmax_t) d->size,
                           (uintmax_t) params->max_size);
  if (make_extents (v, err) == -1)
    return -1;
  v->base.has_content_id = d->has_cid;
  v->base.content_id = d->cid;
  warn_about_descriptor (v, params->warnings);
  return 0;
}

/*--- Open: the two containers -------------------------------------------*/

static int
read_text (struct rv_io *io, uint64_t off, uint64_t len, char **text,
           rawview_error *err)
{
  *text = malloc (len + 1);
  if (*text == NULL)
    return rv_error_nomem (err);
  return rv_io_pread (io, *text, len, off, err);
}

/* Only the container itself: a descriptor inside that names other files, or
 * itself by another road, could go on without end.
 */
static int
check_embedded (const struct rv_vmdk *v, rawview_error *err)
{
  if (v->nr_extents != 1 || v->extents[0].type != RV_VMDK_SPARSE)
    return rv_error_unsupported (
        err,
        "%s: the descriptor inside describes %zu extents of other files; save "
        "that text as a file of its own and open it",
        v->base.io->name, v->nr_extents);
  return 0;
}

static int
refuse_bare (struct rv_io *io, const char *what, rawview_error *err)
{
  return rv_error_unsupported (
      err,
      "%s: is one extent (%s) of a disk, without descriptor; open the "
      "descriptor, the small text file that names this file",
      io->name, what);
}

static int
open_sparse (struct rv_vmdk *v, const struct rv_format_params *params,
             rawview_error *err)
{
  struct rv_io *io = v->base.io;
  CLEANUP_FREE char *text = NULL;
  struct rv_vmdk_layout l;

  if (rv_vmdk_extent_read_layout (RV_VMDK_SPARSE, io, &l, err) == -1)
    return -1;
  if (l.descriptor_len == 0)
    return refuse_bare (io, "hosted sparse", err);
  if (read_text (io, l.descriptor_off, l.descriptor_len, &text, err) == -1)
    return -1;
  if (text[0] == '\0')
    return refuse_bare (io, "hosted sparse", err);
  if (use_descriptor (v, (struct rv_view){ (uint8_t *) text, l.descriptor_len },
                      params, err) == -1 ||
      check_embedded (v, err) == -1 ||
      rv_vmdk_extent_set_io (v, &v->extents[0], io, &l, params, err) == -1)
    return -1;
  v->base.cluster_size = l.grain;
  if (ask_for_parent (v, err) == -1)
    return -1;
  return rv_vmdk_add_facts (v, err);
}

static int
open_text (struct rv_vmdk *v, struct rv_view head,
           const struct rv_format_params *params, rawview_error *err)
{
  struct rv_io *io = v->base.io;
  CLEANUP_FREE char *text = NULL;

  if (!rv_vmdk_descriptor_probe (head))
    return rv_error_format (
        err, "%s: is no VMDK: neither a KDMV header nor a descriptor",
        io->name);
  if (io->size > RV_MAX_DESCRIPTOR)
    return rv_error_limit (err, "%s: a descriptor of %ju bytes, at most %u",
                           io->name, (uintmax_t) io->size, RV_MAX_DESCRIPTOR);
  if (read_text (io, 0, io->size, &text, err) == -1 ||
      use_descriptor (v, (struct rv_view){ (uint8_t *) text, io->size }, params,
                      err) == -1 ||
      ask_for_files (v, err) == -1 || ask_for_parent (v, err) == -1)
    return -1;
  return v->nr_missing ? 0 : rv_vmdk_add_facts (v, err);
}

static int
open_container (struct rv_vmdk *v, const struct rv_format_params *params,
                rawview_error *err)
{
  struct rv_io *io = v->base.io;
  uint8_t buf[RV_PROBE_LEN];
  struct rv_view head = { buf, rv_min_u64 (io->size, sizeof buf) };

  if (params->snapshot)
    return rv_error_usage (
        err, "%s: a VMDK has no snapshots inside; open the snapshot's own file",
        io->name);
  if (head.len && rv_io_pread (io, buf, head.len, 0, err) == -1)
    return -1;
  if (rv_vmdk_header_probe (head))
    return open_sparse (v, params, err);
  if (rv_vmdk_cowd_probe (head))
    return refuse_bare (io, "COWD", err);
  if (rv_vmdk_sesparse_probe (head))
    return refuse_bare (io, "seSparse", err);
  return open_text (v, head, params, err);
}

static int
vmdk_open (struct rv_io *io, const struct rv_format_params *params,
           struct rv_format **format, rawview_error *err)
{
  struct rv_vmdk *v = calloc (1, sizeof *v);

  if (v == NULL)
    return rv_error_nomem (err);
  rv_format_init (&v->base, &rv_format_vmdk, io, params);
  v->gd_budget = RV_MAX_L1_BYTES;
  if (open_container (v, params, err) == -1) {
    vmdk_close (&v->base);
    return -1;
  }
  *format = &v->base;
  return 0;
}

/*--- Attach and adopt ---------------------------------------------------*/

static bool
is_shared (const struct rv_vmdk_extent *a, const struct rv_vmdk_extent *b)
{
  return a != b && b->io && rv_vmdk_extent_is_flat (b) &&
         rv_ranges_overlap (a->host_off, a->len, b->host_off, b->len) &&
         rv_io_same (a->io, b->io);
}

/* Harmless for readers, but surely not what was meant. */
static void
warn_about_overlap (const struct rv_vmdk *v, const struct rv_vmdk_extent *e,
                    struct rv_warnings *w)
{
  if (!rv_vmdk_extent_is_flat (e))
    return;
  for (size_t i = 0; i < v->nr_extents; i++)
    if (is_shared (e, &v->extents[i])) {
      rv_warn (w,
               "%s: the extents from byte %ju and from byte %ju of the disk "
               "on are the same bytes of the file",
               e->io->name, (uintmax_t) v->extents[i].start,
               (uintmax_t) e->start);
      return;
    }
}

static int
vmdk_attach (struct rv_format *format, size_t ref, struct rv_io *io,
             const struct rv_format_params *params, rawview_error *err)
{
  struct rv_vmdk *v = of_format (format);
  struct rv_vmdk_extent *e = &v->extents[v->ref_extents[ref]];
  struct rv_vmdk_layout l = { 0 };

  if (rv_io_same (io, format->io))
    return rv_error_refused (
        err, "%s: the descriptor names itself as an extent", io->name);
  if (rv_vmdk_extent_read_layout (e->type, io, &l, err) == -1 ||
      rv_vmdk_extent_set_io (v, e, io, &l, params, err) == -1)
    return -1;
  warn_about_overlap (v, e, params->warnings);
  if (format->cluster_size == 0)
    format->cluster_size = l.grain;
  return --v->nr_missing ? 0 : rv_vmdk_add_facts (v, err);
}

static int
vmdk_adopt (struct rv_format *format, const struct rv_format *parent,
            const struct rv_format_params *params, rawview_error *err)
{
  uint32_t want = of_format (format)->descriptor.parent_cid;

  if (parent->ops != &rv_format_vmdk || !parent->has_content_id)
    return rv_error_corrupt (
        err, "%s: the parent %s is no VMDK with a CID, needed is %08x",
        format->io->name, parent->io->name, want);
  if (parent->content_id != want)
    return rv_error_corrupt (
        err,
        "%s: the parent %s has CID %08x, but parentCID is %08x: it is another "
        "disk or was changed after the snapshot",
        format->io->name, parent->io->name, parent->content_id, want);
  if (parent->size != format->size)
    return rv_error_corrupt (
        err, "%s: the disk has %ju bytes, its parent %s has %ju",
        format->io->name, (uintmax_t) format->size, parent->io->name,
        (uintmax_t) parent->size);
  return 0;
}

/*--- Map ----------------------------------------------------------------*/

/* The last extent that begins at or before off. */
static const struct rv_vmdk_extent *
find_extent (const struct rv_vmdk *v, uint64_t off)
{
  size_t lo = 0, hi = v->nr_extents;

  while (hi - lo > 1) {
    size_t mid = lo + (hi - lo) / 2;

    if (v->extents[mid].start <= off)
      lo = mid;
    else
      hi = mid;
  }
  return &v->extents[lo];
}

static int
vmdk_map (struct rv_format *format, uint64_t off, uint64_t len,
          struct rv_map *map, uint64_t *damaged, rawview_error *err)
{
  const struct rv_vmdk_extent *e = find_extent (of_format (format), off);
  uint64_t within = off - e->start;

  len = rv_min_u64 (len, e->len - within);
  if (rv_vmdk_extent_map (e, within, len, map, damaged, err) == -1)
    return -1;
  if (map->kind == RV_MAP_COMPRESSED)
    map->unit_off += e->start;
  return 0;
}

const struct rv_format_ops rv_format_vmdk = {
  .name = "vmdk",
  .probe = vmdk_probe,
  .open = vmdk_open,
  .attach = vmdk_attach,
  .adopt = vmdk_adopt,
  .map = vmdk_map,
  .check = rv_vmdk_check,
  .close = vmdk_close,
};
