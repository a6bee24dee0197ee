/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening the container of a VMDK. */

#include <config.h>

#include <string.h>
#include <strings.h>

#include "format/vmdk-cowd.h"
#include "format/vmdk-sesparse.h"
#include "format/vmdk-sparse.h"
#include "format/vmdk.h"
#include "util/error.h"
#include "util/text.h"

#define MAX_KNOWN_VERSION 3u

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
                   rv_text_is_foreign_path (hint)) == -1)
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

  if (rv_vmdk_extent_read_layout (RV_VMDK_SPARSE, io, params->rescue, &l,
                                  err) == -1)
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

int
rv_vmdk_open_container (struct rv_vmdk *v,
                        const struct rv_format_params *params,
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
