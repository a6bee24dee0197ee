/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An image is a set of files in memory.  open.c does the same as crash_open
 * with real files.
 */

#include "crash.h"

#include <stdarg.h>
#include <sys/stat.h>

#include "util/text.h"

#define TABLES_BUDGET ((size_t) 1 << 20)
#define CACHE_BUDGET  ((size_t) 1 << 20)

void
crash_die (const char *fmt, ...)
{
  va_list args;

  va_start (args, fmt);
  fputs ("crash-replay: ", stderr);
  vfprintf (stderr, fmt, args);
  fputc ('\n', stderr);
  va_end (args);
  exit (99);
}

void *
crash_alloc (size_t n)
{
  void *p = calloc (1, n ? n : 1);

  if (p == NULL)
    crash_die ("out of memory");
  return p;
}

/*--- Loading ------------------------------------------------------------*/

static uint8_t *
load (const char *dir, const char *kind, const char *name, uint64_t *len)
{
  CLEANUP_FREE char *path = rv_text_format ("%s/%s/%s", dir, kind, name);
  FILE *f = fopen (path, "rb");
  struct stat st;
  uint8_t *bytes;

  if (f == NULL)
    return NULL;
  if (fstat (fileno (f), &st) == -1)
    crash_die ("%s: %m", path);
  bytes = crash_alloc (st.st_size);
  if (fread (bytes, 1, st.st_size, f) != (size_t) st.st_size)
    crash_die ("%s: cannot be read", path);
  fclose (f);
  *len = st.st_size;
  return bytes;
}

/* The list of files, one a line, the container first. */
static void
load_files (struct crash_image *image, const char *dir)
{
  uint64_t len;
  CLEANUP_FREE char *list = (char *) load (dir, image->kind, "files", &len);
  CLEANUP_FREE char *text = list ? strndup (list, len) : NULL;
  char *save, *name;

  if (text == NULL)
    crash_die ("%s/%s: no such kind of image", dir, image->kind);
  for (name = strtok_r (text, "\n", &save); name;
       name = strtok_r (NULL, "\n", &save)) {
    struct crash_file *f = &image->files[image->nr_files++];

    if (image->nr_files == FILES_MAX)
      crash_die ("%s: too many files", image->kind);
    f->name = strdup (name);
    f->bytes = load (dir, image->kind, name, &f->len);
    if (f->bytes == NULL)
      crash_die ("%s/%s/%s: %m", dir, image->kind, name);
  }
}

static void
load_snapshot (struct crash_image *image, const char *dir)
{
  uint64_t len;
  CLEANUP_FREE char *id = (char *) load (dir, image->kind, "snapshot", &len);

  if (id == NULL)
    return;
  image->snapshot = strndup (id, strcspn (id, "\n"));
  image->snapshot_expected =
      load (dir, image->kind, "snapshot.raw", &image->snapshot_size);
  if (image->snapshot_expected == NULL)
    crash_die ("%s: no snapshot.raw", image->kind);
}

static void
load_leaks (struct crash_image *image, const char *dir)
{
  uint64_t len;
  CLEANUP_FREE char *bytes = (char *) load (dir, image->kind, "leaks", &len);
  CLEANUP_FREE char *text = bytes ? strndup (bytes, len) : NULL;

  image->leaks = text ? strtoull (text, NULL, 10) : 0;
}

static const struct rv_format_ops *
format_of (const struct crash_file *f)
{
  struct rv_view head = { f->bytes, rv_min_u64 (f->len, RV_PROBE_LEN) };

  for (size_t i = 0; rv_formats[i]; i++)
    if (rv_formats[i]->probe && rv_formats[i]->probe (head))
      return rv_formats[i];
  return &rv_format_raw;
}

/* What is opened at depth 0 is what will be written. */
static void
find_writable (struct crash_image *image)
{
  struct rv_io *ios[FILES_MAX] = { NULL };
  struct crash_disk disk = { 0 };
  rawview_error err;

  for (unsigned i = 0; i < image->nr_files; i++)
    if (rv_io_mem_new (image->files[i].bytes, image->files[i].len,
                       image->files[i].name, &ios[i], &err) == -1)
      crash_die ("%s", err.msg);
  if (crash_open (image, ios, NULL, &disk, &err) == -1)
    crash_die ("%s: %s", image->kind, err.msg);
  image->unit = disk.chain.ptr[0]->cluster_size;
  if (image->unit == 0)
    image->unit = 65536;
  image->files[0].writable = true;
  for (size_t r = 0; r < disk.chain.ptr[0]->refs.len; r++)
    for (unsigned i = 1; i < image->nr_files; i++)
      if (disk.chain.ptr[0]->refs.ptr[r].role != RV_REF_PARENT &&
          strcmp (image->files[i].name, disk.chain.ptr[0]->refs.ptr[r].name) ==
              0)
        image->files[i].writable = true;
  if (disk.chain.ptr[0]->size != image->size)
    crash_die ("%s: has %ju bytes, expected.raw %ju", image->kind,
               (uintmax_t) disk.chain.ptr[0]->size, (uintmax_t) image->size);
  crash_close (&disk);
  for (unsigned i = 0; i < image->nr_files; i++)
    rv_io_unref (ios[i]);
}

struct crash_image *
crash_image_load (const char *dir, const char *kind)
{
  struct crash_image *image = crash_alloc (sizeof *image);

  image->kind = strdup (kind);
  load_files (image, dir);
  load_snapshot (image, dir);
  load_leaks (image, dir);
  image->expected = load (dir, kind, "expected.raw", &image->size);
  if (image->expected == NULL)
    crash_die ("%s: no expected.raw", kind);
  image->format = format_of (&image->files[0]);
  find_writable (image);
  return image;
}

void
crash_image_free (struct crash_image *image)
{
  for (unsigned i = 0; i < image->nr_files; i++) {
    free (image->files[i].name);
    free (image->files[i].bytes);
  }
  free (image->kind);
  free (image->expected);
  free (image->snapshot);
  free (image->snapshot_expected);
  free (image);
}

/*--- Opening ------------------------------------------------------------*/

static struct rv_io *
file_by_name (const struct crash_image *image, struct rv_io *const *ios,
              const char *name)
{
  for (unsigned i = 0; i < image->nr_files; i++)
    if (strcmp (image->files[i].name, rv_text_basename (name)) == 0)
      return ios[i];
  crash_die ("%s: no file %s", image->kind, name);
}

static const struct rv_format_ops *
parent_format (const struct rv_ref *ref)
{
  for (size_t i = 0; ref->format && rv_formats[i]; i++)
    if (strcmp (ref->format, rv_formats[i]->name) == 0)
      return rv_formats[i];
  crash_die ("%s: no format is recorded", ref->name);
}

/* Opens one layer; *parent: what it refers to, or NULL. */
static int
open_layer (const struct crash_image *image, struct rv_io *const *ios,
            const struct rv_format_params *params, struct crash_disk *disk,
            const struct rv_format_ops *ops, struct rv_io *io,
            const struct rv_ref **parent, rawview_error *err)
{
  struct rv_format *f;

  *parent = NULL;
  if (ops->open (io, params, &f, err) == -1)
    return -1;
  if (rv_chain_append (&disk->chain, f) == -1)
    crash_die ("out of memory");
  for (size_t i = 0; i < f->refs.len; i++) {
    const struct rv_ref *ref = &f->refs.ptr[i];

    if (ref->role == RV_REF_PARENT)
      *parent = ref;
    else if (ops->attach (f, i, file_by_name (image, ios, ref->name), params,
                          err) == -1)
      return -1;
  }
  return 0;
}

static int
open_chain (const struct crash_image *image, struct rv_io *const *ios,
            const char *snapshot, struct crash_disk *disk, rawview_error *err)
{
  struct rv_format_params params = { .tables = disk->tables,
                                     .warnings = &disk->warnings,
                                     .max_size = RV_DEFAULT_MAX_SIZE,
                                     .snapshot = snapshot };
  const struct rv_ref *parent;

  if (open_layer (image, ios, &params, disk, image->format, ios[0], &parent,
                  err) == -1)
    return -1;
  params.snapshot = NULL;
  while (parent) {
    struct rv_format *child = disk->chain.ptr[disk->chain.len - 1];

    if (open_layer (image, ios, &params, disk, parent_format (parent),
                    file_by_name (image, ios, parent->name), &parent,
                    err) == -1)
      return -1;
    if (child->ops->adopt &&
        child->ops->adopt (child, disk->chain.ptr[disk->chain.len - 1], &params,
                           err) == -1)
      return -1;
  }
  return 0;
}

int
crash_open (const struct crash_image *image, struct rv_io *const *ios,
            const char *snapshot, struct crash_disk *disk, rawview_error *err)
{
  struct rv_engine_options opts = { .cache = CACHE_BUDGET };

  *disk = (struct crash_disk){ 0 };
  if (rv_tables_new (TABLES_BUDGET, &disk->tables, err) == 0) {
    opts.tables = disk->tables;
    if (open_chain (image, ios, snapshot, disk, err) == 0 &&
        rv_engine_new (&disk->chain, &opts, &disk->engine, err) == 0)
      return 0;
  }
  crash_close (disk);
  return -1;
}

void
crash_close (struct crash_disk *disk)
{
  rv_engine_free (disk->engine);
  for (size_t i = 0; i < disk->chain.len; i++)
    disk->chain.ptr[i]->ops->close (disk->chain.ptr[i]);
  rv_chain_release (&disk->chain);
  rv_warnings_free (&disk->warnings);
  rv_tables_free (disk->tables);
  *disk = (struct crash_disk){ 0 };
}
