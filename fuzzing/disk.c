/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opens the files of an input as open.c does, but for names: one is found if
 * it is the name of another file of the input.
 */

#include "fuzz.h"

#include "format/ova.h"
#include "probe.h"
#include "util/text.h"

#define CACHE_BUDGET  (1u << 20)
#define TABLES_BUDGET (256u << 10)

/*--- Errors -------------------------------------------------------------*/

void
fuzz_check_text (const char *text)
{
  FUZZ_CHECK (text && text[0], "an empty text");
  for (const char *p = text; *p; p++)
    FUZZ_CHECK ((uint8_t) *p >= ' ' && *p != 0x7f, "not printable: %s", text);
}

void
fuzz_check_error (const rawview_error *err)
{
  FUZZ_CHECK (err->kind != RAWVIEW_ERROR_NONE &&
                  err->kind <= RAWVIEW_ERROR_NOMEM && err->errnum > 0,
              "an error of kind %d, errnum %d: %s", err->kind, err->errnum,
              err->msg);
  fuzz_check_text (err->msg);
}

/*--- Files --------------------------------------------------------------*/

void
fuzz_disk_files (struct fuzz_disk *disk, const struct fuzz_input *input,
                 uint64_t room)
{
  rawview_error err;
  int r;

  *disk = (struct fuzz_disk){ .nr_ios = input->nr_files };
  for (unsigned i = 0; i < input->nr_files; i++) {
    const struct fuzz_file *f = &input->files[i];

    if (room == 0)
      r = rv_io_mem_new (f->bytes, f->len, f->name, &disk->ios[i], &err);
    else {
      r = rv_io_ram_new (f->len, f->len + room, f->name, &disk->ios[i],
                         &disk->bytes[i], &err);
      if (r == 0)
        memcpy (disk->bytes[i], f->bytes, f->len);
    }
    FUZZ_CHECK (r == 0, "%s", err.msg);
  }
}

static int
find_file (const struct fuzz_disk *disk, const char *name, struct rv_io **io,
           rawview_error *err)
{
  for (unsigned i = 0; i < disk->nr_ios; i++)
    if (strcmp (disk->ios[i]->name, rv_text_basename (name)) == 0) {
      *io = disk->ios[i];
      return 0;
    }
  return rv_error_refused (err, "no file %s", name);
}

static int
find_other (const struct fuzz_disk *disk, const char *name, struct rv_io **io,
            rawview_error *err)
{
  if (find_file (disk, name, io, err) == -1)
    return -1;
  for (size_t i = 0; i < disk->chain.len; i++)
    if (disk->chain.ptr[i]->io == *io)
      return rv_error_refused (err, "%s names itself", name);
  return 0;
}

/*--- Layers -------------------------------------------------------------*/

static int
attach (struct fuzz_disk *disk, const struct fuzz_input *input,
        struct rv_format *f, size_t ref, const struct rv_format_params *params,
        rawview_error *err)
{
  const char *name = f->refs.ptr[ref].name;
  struct rv_io *io;

  if (f->refs.ptr[ref].role == RV_REF_DATA_FILE)
    name = input->options[FUZZ_DATA_FILE];
  if (find_other (disk, name, &io, err) == -1)
    return -1;
  return f->ops->attach (f, ref, io, params, err);
}

/* *parent: what it refers to, or NULL. */
static int
open_layer (struct fuzz_disk *disk, const struct fuzz_input *input,
            const struct rv_format_params *params,
            const struct rv_format_ops *ops, struct rv_io *io,
            const struct rv_ref **parent, rawview_error *err)
{
  struct rv_format *f;

  *parent = NULL;
  if (disk->chain.len >= RV_MAX_CHAIN)
    return rv_error_limit (err, "too many images");
  if (ops->open (io, params, &f, err) == -1)
    return -1;
  FUZZ_CHECK (rv_chain_append (&disk->chain, f) == 0, "out of memory");
  for (size_t i = 0; i < f->refs.len; i++) {
    if (f->refs.ptr[i].role == RV_REF_PARENT)
      *parent = &f->refs.ptr[i];
    else if (attach (disk, input, f, i, params, err) == -1)
      return -1;
  }
  return 0;
}

static int
parent_format (const struct rv_ref *ref, const struct rv_format_ops **format,
               rawview_error *err)
{
  for (size_t i = 0; ref->format && rv_formats[i]; i++)
    if (strcmp (ref->format, rv_formats[i]->name) == 0) {
      *format = rv_formats[i];
      return 0;
    }
  return rv_error_refused (err, "no format is recorded");
}

static int
open_parent (struct fuzz_disk *disk, const struct fuzz_input *input,
             const struct rv_format_params *params,
             const struct rv_ref **parent, rawview_error *err)
{
  struct rv_format *child = disk->chain.ptr[disk->chain.len - 1];
  const char *name = (*parent)->name;
  const struct rv_format_ops *format;
  struct rv_io *io;

  if (disk->chain.len == 1 && input->given[FUZZ_PARENT])
    name = input->options[FUZZ_PARENT];
  if (parent_format (*parent, &format, err) == -1 ||
      find_other (disk, name, &io, err) == -1 ||
      open_layer (disk, input, params, format, io, parent, err) == -1)
    return -1;
  if (child->ops->adopt == NULL)
    return 0;
  return child->ops->adopt (child, disk->chain.ptr[disk->chain.len - 1], params,
                            err);
}

/*--- The top ------------------------------------------------------------*/

/* The member of an archive; *io is a new reference. */
static int
enter_member (struct fuzz_disk *disk, const struct fuzz_input *input,
              struct rv_io **io, rawview_error *err)
{
  struct rv_ova_members members = { 0 };
  size_t i;
  int r = rv_ova_disks (disk->ios[0], &members, &disk->warnings, err);

  if (r == 0)
    r = rv_ova_choose (
        disk->ios[0], &members,
        input->given[FUZZ_DISK] ? input->options[FUZZ_DISK] : NULL, &i, err);
  if (r == 0)
    r = rv_io_slice_new (disk->ios[0], members.ptr[i].off, members.ptr[i].len,
                         members.ptr[i].name, io, err);
  rv_ova_members_free (&members);
  return r;
}

static int
choose (struct fuzz_disk *disk, const struct fuzz_input *input,
        const struct rv_format_ops *wanted, const struct rv_format_ops **format,
        struct rv_io **io, rawview_error *err)
{
  struct rv_probe_result probe;

  if (disk->nr_ios == 0)
    return rv_error_usage (err, "no file");
  if (rv_probe (disk->ios[0], &probe, err) == -1)
    return -1;
  *format = probe.format;
  if (probe.ova && wanted == NULL) {
    *format = &rv_format_vmdk;
    return enter_member (disk, input, io, err);
  }
  if (probe.format == NULL || (wanted && probe.format != wanted))
    return rv_error_format (err, "another format");
  *io = rv_io_ref (disk->ios[0]);
  return 0;
}

static int
open_chain (struct fuzz_disk *disk, const struct fuzz_input *input,
            const struct rv_format_ops *wanted, rawview_error *err)
{
  struct rv_format_params params = {
    .tables = disk->tables,
    .warnings = &disk->warnings,
    .max_size = RV_DEFAULT_MAX_SIZE,
    .allow_truncated = input->given[FUZZ_TRUNCATED],
    .has_data_file = input->given[FUZZ_DATA_FILE],
    .snapshot =
        input->given[FUZZ_SNAPSHOT] ? input->options[FUZZ_SNAPSHOT] : NULL,
  };
  const struct rv_format_ops *format;
  const struct rv_ref *parent;
  CLEANUP_IO struct rv_io *io = NULL;

  if (choose (disk, input, wanted, &format, &io, err) == -1 ||
      open_layer (disk, input, &params, format, io, &parent, err) == -1)
    return -1;
  params.snapshot = NULL;
  params.has_data_file = false;
  while (parent)
    if (open_parent (disk, input, &params, &parent, err) == -1)
      return -1;
  return 0;
}

int
fuzz_disk_open (struct fuzz_disk *disk, const struct fuzz_input *input,
                const struct rv_format_ops *format)
{
  struct rv_engine_options opts = { .cache = CACHE_BUDGET };
  rawview_error err = { 0 };

  FUZZ_CHECK (rv_tables_new (TABLES_BUDGET, &disk->tables, &err) == 0, "%s",
              err.msg);
  opts.tables = disk->tables;
  if (open_chain (disk, input, format, &err) == 0 &&
      rv_engine_new (&disk->chain, &opts, &disk->engine, &err) == 0)
    return 0;
  fuzz_check_error (&err);
  fuzz_disk_close (disk);
  return -1;
}

void
fuzz_disk_close (struct fuzz_disk *disk)
{
  rv_engine_free (disk->engine);
  disk->engine = NULL;
  for (size_t i = 0; i < disk->chain.len; i++)
    disk->chain.ptr[i]->ops->close (disk->chain.ptr[i]);
  rv_chain_release (&disk->chain);
  rv_warnings_free (&disk->warnings);
  disk->warnings = (struct rv_warnings){ 0 };
  rv_tables_free (disk->tables);
  disk->tables = NULL;
}

void
fuzz_disk_release (struct fuzz_disk *disk)
{
  fuzz_disk_close (disk);
  for (unsigned i = 0; i < disk->nr_ios; i++)
    rv_io_unref (disk->ios[i]);
}
