/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening: probe, driver, policy, chain.  The only place where a name becomes
 * an open file.
 *
 * The container's driver says what else it needs; policy.c judges each name;
 * what is permitted is opened here and handed to the driver.  A parent is an
 * image itself, so the same goes on with it, in a loop and not by recursion.
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ova.h"
#include "image.h"
#include "overlay.h"
#include "policy.h"
#include "probe.h"
#include "util/error.h"
#include "util/text.h"

/* Memory for pieces of L2 and grain tables. */
#define TABLES_BUDGET ((size_t) 8 << 20)

/* Memory for what is read ahead of a container behind a server. */
#define AHEAD_BUDGET ((size_t) 32 << 20)

struct opening {
  const rawview_options *opts;
  struct rv_policy policy;
  struct rawview_image *image;
  struct rv_base base;        /* of the layer that is being opened */
  struct rv_strings *extents; /* see struct rv_source */
  struct rv_ios attached;     /* files of the layer that is being opened */
  struct rv_ios others;       /* files of all layers but their containers */
  struct rv_import import;
  bool many_names; /* have been warned of */
};

/*--- Rescue -------------------------------------------------------------*/

/* May reading go on without the file of which this was said?  Not if it was
 * refused, or if it is none of ours to judge.
 */
static bool
may_go_without (const struct opening *o, const rawview_error *why)
{
  return o->opts->rescue &&
         (why->kind == RAWVIEW_ERROR_IO || why->kind == RAWVIEW_ERROR_CORRUPT ||
          why->kind == RAWVIEW_ERROR_FORMAT);
}

/*--- Bytes --------------------------------------------------------------*/

static struct rv_io_file_options
file_options (const rawview_options *opts, bool writable, bool *lock_missing)
{
  return (struct rv_io_file_options){
    .allow_devices = opts->allow_devices,
    .writable = writable,
    .lock = opts->locking != RV_LOCKING_OFF,
    .lock_required = opts->locking == RV_LOCKING_ON,
    .lock_missing = lock_missing,
  };
}

/* Will the image itself, rather than an overlay, perhaps be written? */
static bool
is_for_writing (const rawview_options *opts)
{
  return opts->writable && !opts->rescue && !rv_options_have_overlay (opts);
}

static void
warn_lock_missing (struct rv_warnings *w, const char *name)
{
  rv_warn (w,
           "%s: its filesystem has no locks, so nothing keeps other programs "
           "from writing it meanwhile",
           name);
}

/* A link may have been put there by whoever made the image, to be shown what he
 * may not read.  The kernel cannot tell which name is the right one.
 */
static void
warn_many_names (struct rv_warnings *w, const char *name)
{
  rv_warn (w,
           "%s: the image names this file, which has other names (hard links), "
           "perhaps in other folders, and there may be more of its kind; "
           "references=none would refuse it",
           name);
}

static int
open_server (const char *uri, const rawview_options *opts, struct rv_io **io,
             rawview_error *err)
{
  CLEANUP_IO struct rv_io *server = NULL;

  if (rv_io_nbd_open (uri, opts->connections, &server, err) == -1)
    return -1;
  return rv_io_ahead_new (server, AHEAD_BUDGET, io, err);
}

int
rv_source_open (const struct rv_source *source, const rawview_options *opts,
                struct rv_warnings *warnings, struct rv_io **io,
                rawview_error *err)
{
  bool lock_missing = false;
  struct rv_io_file_options fo = file_options (
      opts, is_for_writing (opts) && !source->look, &lock_missing);
  const char *name = source->name;
  int r;

  if (name == NULL && opts->fd == -1)
    return rv_error_usage (err, "no image was named");
  if (opts->fd != -1) {
    /* The caller keeps his own descriptor. */
    int fd = fcntl (opts->fd, F_DUPFD_CLOEXEC, 0);
    char show[32];

    snprintf (show, sizeof show, "fd %d", opts->fd);
    if (fd == -1)
      return rv_error_errno (err, errno, "%s", show);
    r = rv_io_file_from_fd (fd, name ? name : show, &fo, io, err);
  }
  else if (!source->folder && rv_text_is_nbd_uri (name))
    return open_server (name, opts, io, err);
  else
    r = rv_io_file_openat (source->dirfd, name, source->folder != NULL, name,
                           &fo, io, err);
  if (r == 0 && lock_missing)
    warn_lock_missing (warnings, (*io)->name);
  return r;
}

/* writable: a file of the image itself, which may be written with it. */
static int
open_permitted (struct opening *o, const struct rv_permit *permit,
                bool writable, struct rv_io **io, rawview_error *err)
{
  bool lock_missing = false;
  struct rv_io_file_options fo =
      file_options (o->opts, writable, &lock_missing);

  if (permit->source) {
    struct rv_source s = { .name = permit->source, .dirfd = AT_FDCWD };
    rawview_options named = *o->opts;

    named.fd = -1;
    named.writable = writable;
    return rv_source_open (&s, &named, &o->image->warnings, io, err);
  }
  if (rv_io_file_openat (permit->dirfd, permit->name, true, permit->path, &fo,
                         io, err) == -1)
    return -1;
  if (lock_missing)
    warn_lock_missing (&o->image->warnings, permit->path);
  if ((*io)->many_names && !o->many_names)
    warn_many_names (&o->image->warnings, permit->path);
  o->many_names = o->many_names || (*io)->many_names;
  return 0;
}

/* A file that is missing was perhaps never heard of: who names it? */
static int
open_for (struct opening *o, const struct rv_format *f,
          const struct rv_ref *ref, const struct rv_permit *permit,
          bool writable, struct rv_io **io, rawview_error *err)
{
  rawview_error why;

  if (open_permitted (o, permit, writable, io, &why) == 0)
    return 0;
  return rv_error_set (err, why.kind, why.errnum, "%s: its %s: %s", f->io->name,
                       rv_policy_role_name (ref), why.msg);
}

/* The folder for names in the file that permit opened. */
static int
base_of_permitted (const struct rv_permit *permit, struct rv_base *base,
                   rawview_error *err)
{
  if (permit->source == NULL)
    return rv_base_of_permit (permit, base, err);
  if (rv_text_is_nbd_uri (permit->source)) {
    *base = (struct rv_base){ .dirfd = -1 };
    return 0;
  }
  return rv_base_of (AT_FDCWD, permit->source, base, err);
}

/*--- Which driver -------------------------------------------------------*/

static int
not_recognised (const struct rv_io *io, const struct rv_probe_result *probe,
                rawview_error *err)
{
  if (probe->foreign && probe->raw_disk)
    return rv_error_format (err,
                            "%s: looks like a raw disk with %s in it; use "
                            "format=raw if it is one",
                            io->name, probe->foreign);
  if (probe->foreign)
    return rv_error_unsupported (err,
                                 "%s: this is a %s file, which is not "
                                 "supported; rawview reads VMDK and QCOW2",
                                 io->name, probe->foreign);
  return rv_error_format (err,
                          "%s: neither VMDK nor QCOW2 nor OVA; use format=raw "
                          "if it is a raw disk",
                          io->name);
}

/* wanted: NULL to recognise the format. */
static int
choose_format (struct opening *o, const struct rv_io *io,
               const struct rv_format_ops *wanted,
               const struct rv_probe_result *probe,
               const struct rv_format_ops **format, rawview_error *err)
{
  const char *looks = rv_probe_image_name (probe);

  if (wanted == NULL && probe->second)
    return rv_error_refused (err,
                             "%s: looks like %s and like %s; say which with "
                             "format=",
                             io->name, looks ? looks : probe->foreign,
                             probe->second);
  if (wanted == NULL && probe->format == NULL)
    return not_recognised (io, probe, err);
  *format = wanted ? wanted : probe->format;
  if (wanted == &rv_format_raw && looks)
    rv_warn (&o->image->warnings,
             "%s: shown as raw although it looks like %s; whoever reads the "
             "raw disk must not guess its format again",
             io->name, looks);
  else if (probe->second)
    rv_warn (&o->image->warnings, "%s: looks like %s too", io->name,
             probe->second);
  return 0;
}

/*--- OVA ----------------------------------------------------------------*/

/* Replaces *io by a window on the member. */
static int
enter_member (struct rv_io **io, const struct rv_ova_member *m,
              rawview_error *err)
{
  CLEANUP_FREE char *name = rv_text_format ("%s:%s", (*io)->name, m->name);
  struct rv_io *slice;

  if (name == NULL)
    return rv_error_nomem (err);
  if (rv_io_slice_new (*io, m->off, m->len, name, &slice, err) == -1)
    return -1;
  rv_io_unref (*io);
  *io = slice;
  return 0;
}

/* Replaces *io, an archive, by the member that is meant. */
static int
choose_member (struct opening *o, struct rv_io **io, rawview_error *err)
{
  struct rv_ova_members members = { 0 };
  size_t i;
  int r = rv_ova_disks (*io, &members, &o->image->warnings, err);

  if (r == 0)
    r = rv_ova_choose (*io, &members, o->opts->disk, &i, err);
  if (r == 0) {
    o->import.is_member = true;
    o->import.off = members.ptr[i].off;
    o->import.len = members.ptr[i].len;
    r = enter_member (io, &members.ptr[i], err);
  }
  rv_ova_members_free (&members);
  return r;
}

/* Finds the driver for the image itself; *io may become an OVA's member. */
static int
choose_top_format (struct opening *o, struct rv_io **io,
                   const struct rv_format_ops **format, rawview_error *err)
{
  struct rv_probe_result probe;
  const struct rv_format_ops *wanted = o->opts->format;

  if (rv_probe (*io, &probe, err) == -1)
    return -1;
  if (probe.ova && probe.second == NULL && wanted == NULL) {
    if (choose_member (o, io, err) == -1)
      return -1;
    /* Nothing in an archive may name files outside. */
    rv_base_release (&o->base);
    o->image->writing.member = true;
    wanted = &rv_format_vmdk;
    if (rv_probe (*io, &probe, err) == -1)
      return -1;
  }
  else if (o->opts->disk)
    return rv_error_usage (
        err, "%s: disk= is for OVA archives, which this is not", (*io)->name);
  return choose_format (o, *io, wanted, &probe, format, err);
}

/*--- One layer ----------------------------------------------------------*/

static struct rv_format_params
format_params (const struct opening *o, unsigned depth)
{
  return (struct rv_format_params){
    .tables = o->image->tables,
    .warnings = &o->image->warnings,
    .max_size = o->opts->max_size,
    .snapshot = depth == 0 ? o->opts->snapshot : NULL,
    .allow_truncated = o->opts->allow_truncated || o->opts->rescue,
    .rescue = o->opts->rescue,
    .has_data_file = depth == 0 && o->opts->data_file,
  };
}

/* Opens the file once, however many extents lie in it: the kernel takes longer
 * for each further lock of one file.
 */
static int
open_once (struct opening *o, struct rv_format *f, const struct rv_ref *ref,
           bool writable, const struct rv_permit *permit, struct rv_io **io,
           rawview_error *err)
{
  for (size_t i = 0; permit->path && i < o->attached.len; i++)
    if (strcmp (o->attached.ptr[i]->name, permit->path) == 0) {
      *io = rv_io_ref (o->attached.ptr[i]);
      return 0;
    }
  if (open_for (o, f, ref, permit, writable, io, err) == -1)
    return -1;
  if (rv_ios_append (&o->attached, *io) == -1)
    return rv_error_nomem (err);
  rv_io_ref (*io);
  if (rv_ios_append (&o->others, *io) == -1)
    return rv_error_nomem (err);
  rv_io_ref (*io);
  f->attached_bytes += rv_io_allocated (*io);
  return 0;
}

static int
attach_file (struct opening *o, struct rv_format *f, unsigned depth, size_t ref,
             rawview_error *err)
{
  struct rv_format_params params = format_params (o, depth);
  struct rv_permit permit;
  CLEANUP_IO struct rv_io *io = NULL;
  int r;

  if (rv_policy_judge (&o->policy, f->io->name, depth, &o->base,
                       &f->refs.ptr[ref], &permit, err) == -1)
    return -1;
  r = open_once (o, f, &f->refs.ptr[ref],
                 depth == 0 && o->image->writing.wanted, &permit, &io, err);
  rv_permit_release (&permit);
  if (r == -1)
    return -1;
  return f->ops->attach (f, ref, io, &params, err);
}

static int
attach_ref (struct opening *o, struct rv_format *f, unsigned depth, size_t ref,
            rawview_error *err)
{
  struct rv_format_params params = format_params (o, depth);
  rawview_error why;

  if (attach_file (o, f, depth, ref, &why) == 0)
    return 0;
  if (f->refs.ptr[ref].role != RV_REF_EXTENT || !may_go_without (o, &why)) {
    if (err)
      *err = why;
    return -1;
  }
  rv_warn (&o->image->warnings, "%s; what it holds is lost", why.msg);
  return f->ops->attach (f, ref, NULL, &params, err);
}

/* For folders, which must know extents also when one of them is missing. */
static int
note_extent (struct opening *o, const struct rv_ref *ref, rawview_error *err)
{
  char *name;

  if (o->extents == NULL || ref->role != RV_REF_EXTENT)
    return 0;
  name = strdup (rv_text_basename (ref->name));
  if (name == NULL || rv_strings_append (o->extents, name) == -1) {
    free (name);
    return rv_error_nomem (err);
  }
  return 0;
}

/* Everything but the parent, whose index in refs goes to *parent, or -1. */
static int
attach_refs (struct opening *o, struct rv_format *f, unsigned depth,
             ssize_t *parent, rawview_error *err)
{
  *parent = -1;
  for (size_t i = 0; i < f->refs.len; i++) {
    if (f->refs.ptr[i].role == RV_REF_PARENT)
      *parent = i;
    else if (note_extent (o, &f->refs.ptr[i], err) == -1)
      return -1;
  }
  for (size_t i = 0; i < f->refs.len; i++) {
    if (f->refs.ptr[i].role != RV_REF_PARENT &&
        attach_ref (o, f, depth, i, err) == -1)
      return -1;
  }
  return 0;
}

/* Each table is within its limit; a chain must not multiply that. */
static int
check_tables (const struct rv_chain *chain, rawview_error *err)
{
  uint64_t bytes = 0;

  for (size_t i = 0; i < chain->len; i++)
    bytes += chain->ptr[i]->table_bytes;
  if (bytes > RV_MAX_CHAIN_TABLES)
    return rv_error_limit (err,
                           "%s: the L1 tables and grain directories of the "
                           "chain so far, with the lists of what they name, "
                           "take %ju bytes of memory, more than %u",
                           chain->ptr[chain->len - 1]->io->name,
                           (uintmax_t) bytes, RV_MAX_CHAIN_TABLES);
  return 0;
}

/* Opens io with a driver and appends it to the chain. */
static int
open_layer (struct opening *o, struct rv_io *io,
            const struct rv_format_ops *format, ssize_t *parent,
            rawview_error *err)
{
  unsigned depth = o->image->chain.len;
  struct rv_format_params params = format_params (o, depth);
  struct rv_format *f;

  if (format->open (io, &params, &f, err) == -1)
    return -1;
  if (rv_chain_append (&o->image->chain, f) == -1) {
    format->close (f);
    return rv_error_nomem (err);
  }
  if (attach_refs (o, f, depth, parent, err) == -1)
    return -1;
  return check_tables (&o->image->chain, err);
}

/*--- The chain ----------------------------------------------------------*/

static int
check_loop (const struct rv_chain *chain, const struct rv_io *io,
            rawview_error *err)
{
  if (chain->len >= RV_MAX_CHAIN)
    return rv_error_limit (err, "%s: more than %u images in a backing chain",
                           io->name, RV_MAX_CHAIN);
  for (size_t i = 0; i < chain->len; i++)
    if (rv_io_same (chain->ptr[i]->io, io))
      return rv_error_refused (err, "%s: the backing chain comes back to it",
                               io->name);
  return 0;
}

static int
parent_format (struct opening *o, const struct rv_format *child,
               const struct rv_ref *ref, const struct rv_format_ops **format,
               rawview_error *err)
{
  *format = NULL;
  if (child == o->image->chain.ptr[0])
    *format = o->opts->parent_format;
  if (*format)
    return 0;
  if (ref->format == NULL)
    return rv_error_refused (err,
                             "%s: the format of its backing file \"%s\" is "
                             "not recorded and not guessed; use "
                             "parent-format=",
                             child->io->name, ref->name);
  for (size_t i = 0; rv_formats[i]; i++)
    if (strcmp (ref->format, rv_formats[i]->name) == 0)
      *format = rv_formats[i];
  if (*format == NULL)
    return rv_error_unsupported (err,
                                 "%s: its backing file has the format \"%s\"; "
                                 "only qcow2, vmdk and raw are supported",
                                 child->io->name, ref->format);
  return 0;
}

/* Opens the parent of the last image of the chain; *parent then is its own
 * parent's index, or -1.
 */
static int
open_parent (struct opening *o, ssize_t *parent, rawview_error *err)
{
  unsigned depth = o->image->chain.len - 1;
  struct rv_format *child = o->image->chain.ptr[depth];
  const struct rv_ref *ref = &child->refs.ptr[*parent];
  struct rv_format_params params = format_params (o, depth);
  const struct rv_format_ops *format;
  struct rv_permit permit;
  struct rv_base base = { .dirfd = -1 };
  CLEANUP_IO struct rv_io *io = NULL;
  int r;

  if (parent_format (o, child, ref, &format, err) == -1 ||
      rv_policy_judge (&o->policy, child->io->name, depth, &o->base, ref,
                       &permit, err) == -1)
    return -1;
  r = open_for (o, child, ref, &permit, false, &io, err);
  if (r == 0)
    r = base_of_permitted (&permit, &base, err);
  rv_permit_release (&permit);
  if (r == -1)
    return -1;
  rv_base_release (&o->base);
  o->base = base;
  rv_ios_free (&o->attached);
  if (check_loop (&o->image->chain, io, err) == -1 ||
      open_layer (o, io, format, parent, err) == -1)
    return -1;
  if (child->ops->adopt == NULL)
    return 0;
  return child->ops->adopt (child, o->image->chain.ptr[depth + 1], &params,
                            err);
}

/* What the chain has too much is closed. */
static void
cut_chain (struct rv_chain *chain, size_t len)
{
  while (chain->len > len) {
    struct rv_format *last = chain->ptr[--chain->len];

    last->ops->close (last);
  }
}

/* Goes on without the parent if it must: what the child does not have is lost
 * then, as nothing says what it was.
 */
static int
open_parent_or_not (struct opening *o, ssize_t *parent, rawview_error *err)
{
  struct rv_chain *chain = &o->image->chain;
  struct rv_format_params params = format_params (o, chain->len);
  struct rv_format *child = chain->ptr[chain->len - 1], *missing;
  const char *name = child->refs.ptr[*parent].name;
  size_t len = chain->len;
  rawview_error why;

  if (open_parent (o, parent, &why) == 0)
    return 0;
  if (!may_go_without (o, &why)) {
    if (err)
      *err = why;
    return -1;
  }
  cut_chain (chain, len);
  *parent = -1;
  rv_warn (&o->image->warnings, "%s; what is not in %s itself is lost", why.msg,
           child->io->name);
  if (rv_format_missing_new (name, why.msg, child->size, &params, &missing,
                             err) == -1)
    return -1;
  if (rv_chain_append (chain, missing) == 0)
    return 0;
  missing->ops->close (missing);
  return rv_error_nomem (err);
}

/*--- The overlay --------------------------------------------------------*/

static int
check_overlay_apart (const struct opening *o, const struct rv_io *io,
                     rawview_error *err)
{
  const struct rv_chain *chain = &o->image->chain;
  bool same = rv_io_same (io, o->import.file);

  for (size_t i = 0; i < chain->len; i++)
    same = same || rv_io_same (io, chain->ptr[i]->io);
  for (size_t i = 0; i < o->others.len; i++)
    same = same || rv_io_same (io, o->others.ptr[i]);
  if (same)
    return rv_error_refused (err,
                             "%s is part of the image %s and cannot be its "
                             "overlay; use another overlay file",
                             io->name, o->import.format->io->name);
  return check_loop (chain, io, err);
}

static int
check_overlay_format (struct rv_io *io, rawview_error *err)
{
  struct rv_probe_result probe;

  if (rv_probe (io, &probe, err) == -1)
    return -1;
  if (probe.format == &rv_format_qcow2)
    return 0;
  return rv_error_refused (err,
                           "%s is there and is no QCOW2 image, so it is left "
                           "alone; use another overlay file",
                           io->name);
}

static int
insert_first (struct rv_chain *chain, struct rv_format *f)
{
  if (rv_chain_append (chain, f) == -1)
    return -1;
  memmove (chain->ptr + 1, chain->ptr, (chain->len - 1) * sizeof chain->ptr[0]);
  chain->ptr[0] = f;
  return 0;
}

/* What was opened so far is the import. */
static int
put_overlay (struct opening *o, rawview_error *err)
{
  bool lock_missing = false;
  struct rv_io_file_options fo = file_options (o->opts, true, &lock_missing);
  struct rv_format_params params = format_params (o, 1);
  CLEANUP_IO struct rv_io *io = NULL;
  struct rv_format *f;

  o->import.format = o->image->chain.ptr[0];
  fo.allow_devices = false;
  if (rv_overlay_open (&o->import, o->opts, &fo, &io, err) == -1)
    return -1;
  if (lock_missing)
    warn_lock_missing (&o->image->warnings, io->name);
  if (check_overlay_apart (o, io, err) == -1 ||
      check_overlay_format (io, err) == -1 ||
      rv_format_qcow2.open (io, &params, &f, err) == -1)
    return -1;
  if (rv_overlay_match (f, &o->import, &o->image->warnings, err) == -1 ||
      insert_first (&o->image->chain, f) == -1) {
    f->ops->close (f);
    return -1;
  }
  o->image->writing.wanted = true;
  o->image->writing.overlay = true;
  return check_tables (&o->image->chain, err);
}

/*--- Facts --------------------------------------------------------------*/

static int
add_common_facts (struct rv_facts *facts, const struct rv_format *f)
{
  if (rv_facts_add_text (facts, "filename", f->io->name) == -1 ||
      rv_facts_add_text (facts, "format", f->ops->name) == -1 ||
      rv_facts_add_number (facts, "virtual-size", f->size) == -1)
    return -1;
  /* A server does not tell. */
  if (f->io->ops->allocated != NULL &&
      rv_facts_add_number (facts, "actual-size",
                           rv_io_allocated (f->io) + f->attached_bytes) == -1)
    return -1;
  if (f->cluster_size == 0)
    return 0;
  return rv_facts_add_number (facts, "cluster-size", f->cluster_size);
}

static int
add_format_facts (struct rv_facts *facts, const struct rv_format *f)
{
  for (size_t i = 0; i < f->facts.len; i++) {
    const rawview_fact *fact = &f->facts.ptr[i];
    int r;

    if (fact->type == RAWVIEW_FACT_TEXT)
      r = rv_facts_add_text (facts, fact->key, fact->text);
    else if (fact->type == RAWVIEW_FACT_NUMBER)
      r = rv_facts_add_number (facts, fact->key, fact->number);
    else
      r = rv_facts_add_bool (facts, fact->key, fact->number);
    if (r == -1)
      return -1;
  }
  return 0;
}

static int
collect_facts (struct rawview_image *image, rawview_error *err)
{
  for (size_t i = 0; i < image->chain.len; i++) {
    if (rv_layer_facts_append (&image->facts, (struct rv_facts){ 0 }) == -1 ||
        add_common_facts (&image->facts.ptr[i], image->chain.ptr[i]) == -1 ||
        add_format_facts (&image->facts.ptr[i], image->chain.ptr[i]) == -1 ||
        (i + 1 < image->chain.len &&
         rv_facts_add_text (&image->facts.ptr[i], "full-backing-filename",
                            image->chain.ptr[i + 1]->io->name) == -1))
      return rv_error_nomem (err);
  }
  return 0;
}

/*--- The handle ---------------------------------------------------------*/

/* The container's folder, for the names in it. */
static int
find_base (struct opening *o, const struct rv_source *source,
           rawview_error *err)
{
  if (source->name == NULL ||
      (!source->folder && rv_text_is_nbd_uri (source->name)))
    return 0;
  if (rv_base_of (source->dirfd, source->name, &o->base, err) == -1)
    return -1;
  if (source->folder == NULL)
    return 0;
  free (o->base.path);
  o->base.path = strdup (source->folder);
  return o->base.path ? 0 : rv_error_nomem (err);
}

static int
open_chain (struct opening *o, struct rv_io **io, rawview_error *err)
{
  const struct rv_format_ops *format;
  ssize_t parent;

  if (o->opts->rescue && rv_options_have_overlay (o->opts))
    return rv_error_usage (err, "give rescue= or overlay=, not both: what is "
                                "read with rescue= is never written");
  if (choose_top_format (o, io, &format, err) == -1 ||
      open_layer (o, *io, format, &parent, err) == -1)
    return -1;
  if (parent == -1 && o->opts->parent)
    return rv_error_usage (err,
                           "%s: parent= was given but the image has no "
                           "backing file",
                           (*io)->name);
  while (parent != -1)
    if (open_parent_or_not (o, &parent, err) == -1)
      return -1;
  if (rv_options_have_overlay (o->opts) && !o->import.source->look &&
      put_overlay (o, err) == -1)
    return -1;
  return collect_facts (o->image, err);
}

/* Does the disk itself begin like an image?  Its readers must say raw. */
static void
warn_nested (struct rawview_image *image)
{
  uint8_t head[RV_PROBE_LEN];
  struct rv_view view = { head, sizeof head };
  uint64_t size = image->chain.ptr[0]->size;
  struct rv_probe_result probe;
  const char *looks;

  if (image->chain.ptr[0]->ops == &rv_format_raw)
    return; /* choose_format has said so */
  if (size < view.len)
    view.len = size;
  if (rv_engine_pread (image->engine, head, view.len, 0, NULL) == -1)
    return;
  rv_probe_head (view, &probe);
  looks = rv_probe_image_name (&probe);
  if (looks)
    rv_warn (&image->warnings,
             "%s: the disk inside begins like a %s image; whoever reads it "
             "must be told that it is raw",
             image->chain.ptr[0]->io->name, looks);
}

static void
set_up_writing (struct opening *o, const struct rv_source *source)
{
  struct rv_writing *w = &o->image->writing;

  rv_writing_init (w);
  w->wanted = is_for_writing (o->opts) && !source->look;
  w->folder = source->folder != NULL;
  w->snapshot = o->opts->snapshot != NULL;
  w->rescue = o->opts->rescue;
  w->check = o->opts->check;
  w->ignored_child = o->opts->ignored_child;
}

int
rv_image_open (struct rv_io *container, const struct rv_source *source,
               const rawview_options *opts, struct rawview_image **image,
               rawview_error *err)
{
  struct rv_engine_options eo = { .cache = opts->cache,
                                  .workers = opts->workers };
  struct opening o = { .opts = opts,
                       .policy = { opts, source->folder != NULL },
                       .base = { .dirfd = -1 },
                       .extents = source->extents,
                       .import = { .source = source, .file = container } };
  CLEANUP_IO struct rv_io *io = rv_io_ref (container);
  int r;

  o.image = calloc (1, sizeof *o.image);
  if (o.image == NULL)
    return rv_error_nomem (err);
  o.image->refs = 1;
  set_up_writing (&o, source);
  r = rv_tables_new (TABLES_BUDGET, &o.image->tables, err);
  if (r == 0)
    r = find_base (&o, source, err);
  if (r == 0 && o.image->writing.wanted)
    r = rv_base_dup (&o.base, &o.image->writing.base, err);
  if (r == 0)
    r = open_chain (&o, &io, err);
  rv_base_release (&o.base);
  rv_ios_free (&o.attached);
  rv_ios_free (&o.others);
  if (o.image->writing.wanted)
    eo.tables = o.image->tables;
  if (r == 0)
    r = rv_engine_new (&o.image->chain, &eo, &o.image->engine, err);
  if (r == -1) {
    rawview_close (o.image);
    return -1;
  }
  warn_nested (o.image);
  *image = o.image;
  return 0;
}
