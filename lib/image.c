/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The handle: what the public interface does with an open image. */

#include <config.h>

#include <fcntl.h>
#include <sys/resource.h>

#include "engine/fetch.h"
#include "image.h"
#include "util/checked.h"
#include "util/error.h"

#define MIN_PREFERRED 512u
#define MANY_FILES    65536u

void
rawview_allow_many_files (void)
{
  struct rlimit limit;

  if (getrlimit (RLIMIT_NOFILE, &limit) == -1 || limit.rlim_cur >= MANY_FILES)
    return;
  limit.rlim_cur = rv_min_u64 (limit.rlim_max, MANY_FILES);
  setrlimit (RLIMIT_NOFILE, &limit);
}

const char *
rawview_version (void)
{
  return PACKAGE_VERSION;
}

int
rawview_open (const char *source, const rawview_options *opts,
              rawview_image **image, rawview_error *err)
{
  struct rv_source s = { .name = source, .dirfd = AT_FDCWD };
  rawview_options *defaults = NULL;
  struct rv_warnings warnings = { 0 };
  CLEANUP_IO struct rv_io *io = NULL;
  int r = -1;

  if (opts == NULL)
    opts = defaults = rawview_options_new ();
  if (opts == NULL)
    return rv_error_nomem (err);
  if (rv_source_open (&s, opts, &warnings, &io, err) == 0 &&
      rv_image_open (io, &s, opts, image, err) == 0) {
    for (size_t i = 0; i < warnings.len; i++)
      rv_warn (&(*image)->warnings, "%s", warnings.ptr[i]);
    r = 0;
  }
  rv_warnings_free (&warnings);
  rawview_options_free (defaults);
  return r;
}

int
rawview_start (rawview_image *image, rawview_error *err)
{
  return rv_engine_start (image->engine, err);
}

rawview_image *
rawview_ref (rawview_image *image)
{
  atomic_fetch_add (&image->refs, 1);
  return image;
}

void
rawview_close (rawview_image *image)
{
  if (image == NULL || atomic_fetch_sub (&image->refs, 1) != 1)
    return;
  rawview_finish (image, NULL);
  rv_engine_free (image->engine);
  rv_writing_release (&image->writing);
  for (size_t i = 0; i < image->chain.len; i++)
    image->chain.ptr[i]->ops->close (image->chain.ptr[i]);
  rv_chain_release (&image->chain);
  for (size_t i = 0; i < image->facts.len; i++)
    rv_facts_free (&image->facts.ptr[i]);
  rv_layer_facts_release (&image->facts);
  rv_warnings_free (&image->warnings);
  rv_tables_free (image->tables);
  free (image);
}

uint64_t
rawview_get_size (const rawview_image *image)
{
  return image->chain.ptr[0]->size;
}

uint32_t
rawview_get_preferred_block_size (const rawview_image *image)
{
  uint32_t n = image->chain.ptr[0]->cluster_size;

  return rv_is_pow2 (n) && n >= MIN_PREFERRED && n <= RV_MAX_UNIT ? n : 4096;
}

/*--- Reading ------------------------------------------------------------*/

int
rv_image_check_range (const rawview_image *image, uint64_t len, uint64_t off,
                      rawview_error *err)
{
  uint64_t size = rawview_get_size (image);

  if (!rv_range_fits (off, len, size))
    return rv_error_usage (err,
                           "offset %ju, length %ju is beyond the end of the "
                           "disk, which has %ju bytes",
                           (uintmax_t) off, (uintmax_t) len, (uintmax_t) size);
  return 0;
}

int
rawview_pread (rawview_image *image, void *buf, size_t len, uint64_t off,
               rawview_error *err)
{
  if (rv_image_check_range (image, len, off, err) == -1)
    return -1;
  return rv_engine_pread (image->engine, buf, len, off, err);
}

int
rawview_salvage (rawview_image *image, void *buf, size_t len, uint64_t off,
                 rawview_lost_cb cb, void *opaque, rawview_error *err)
{
  if (rv_image_check_range (image, len, off, err) == -1)
    return -1;
  return rv_engine_salvage (image->engine, buf, len, off, cb, opaque, err);
}

int
rawview_prefetch (rawview_image *image, uint64_t len, uint64_t off,
                  rawview_error *err)
{
  if (rv_image_check_range (image, len, off, err) == -1)
    return -1;
  rv_fetch (image->engine, len, off);
  return 0;
}

int
rawview_extents (rawview_image *image, uint64_t len, uint64_t off,
                 unsigned flags, rawview_extent_cb cb, void *opaque,
                 rawview_error *err)
{
  if (rv_image_check_range (image, len, off, err) == -1)
    return -1;
  return rv_engine_extents (image->engine, len, off, flags, cb, opaque, err);
}

/*--- Facts --------------------------------------------------------------*/

size_t
rawview_get_depth (const rawview_image *image)
{
  return image->chain.len;
}

const rawview_fact *
rawview_get_fact (const rawview_image *image, unsigned depth, size_t i)
{
  if (depth >= image->facts.len || i >= image->facts.ptr[depth].len)
    return NULL;
  return &image->facts.ptr[depth].ptr[i];
}

const char *
rawview_get_warning (const rawview_image *image, size_t i)
{
  return i < image->warnings.len ? image->warnings.ptr[i] : NULL;
}

int
rawview_snapshots (rawview_image *image,
                   int (*cb) (void *opaque, const rawview_snapshot *s),
                   void *opaque, rawview_error *err)
{
  struct rv_format *f = image->chain.ptr[0];

  return f->ops->snapshots ? f->ops->snapshots (f, cb, opaque, err) : 0;
}

/* With rescue, the chain may end without the parent that it should have. */
static void
tell_missing (const rawview_image *image,
              void (*cb) (void *opaque, rawview_finding finding,
                          const char *msg),
              void *opaque, rawview_check_result *result)
{
  const char *why =
      rv_format_missing_why (image->chain.ptr[image->chain.len - 1]);

  if (why == NULL)
    return;
  result->corruptions++;
  cb (opaque, RAWVIEW_FINDING_CORRUPTION, why);
}

/* Changes are written first and no more are let in meanwhile: what is being
 * changed looks like damage.
 */
static int
check_at_rest (rawview_image *image,
               void (*cb) (void *opaque, rawview_finding finding,
                           const char *msg),
               void *opaque, rawview_check_result *result, rawview_error *err)
{
  struct rv_format *f = image->chain.ptr[0];
  int r = 0;

  pthread_rwlock_wrlock (&image->writing.requests);
  /* The second gives back what the first has freed. */
  for (int i = 0; r == 0 && i < 2 && rawview_is_writable (image); i++)
    r = rv_engine_flush (image->engine, err);
  if (r == 0)
    r = f->ops->check (f, cb, opaque, result, err);
  if (r == 0)
    tell_missing (image, cb, opaque, result);
  pthread_rwlock_unlock (&image->writing.requests);
  return r;
}

int
rawview_check (rawview_image *image,
               void (*cb) (void *opaque, rawview_finding finding,
                           const char *msg),
               void *opaque, rawview_check_result *result, rawview_error *err)
{
  struct rv_format *f = image->chain.ptr[0];

  *result = (rawview_check_result){ 0 };
  if (f->ops->check == NULL)
    return rv_error_unsupported (err,
                                 "%s: the format %s has no tables to check",
                                 f->io->name, f->ops->name);
  return check_at_rest (image, cb, opaque, result, err);
}
