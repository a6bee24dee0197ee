/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The only user of libarchive, and that for its decompressors: the archives
 * themselves are simple, and the kernel's rules for them are not its rules.
 */

#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef HAVE_LIBARCHIVE
#include <archive.h>
#endif

#include "initramfs.h"

/* Those of distributions have some 100 MiB. */
#define MAX_BYTES (UINT64_C (4) << 30)
/* As the kernel has it. */
#define MAX_NAME 4096

/*--- A stream of bytes --------------------------------------------------*/

struct stream {
  /* Returns 0 at the end, -1 when there will be no more. */
  ssize_t (*fill) (void *opaque, void *buf, size_t len);
  void *opaque;
  uint64_t off; /* of the next byte */
  size_t pos, len;
  unsigned char buf[64 << 10];
};

/* Are there so many bytes to come?  They are at buf + pos then.  n: at most
 * MAX_NAME and some more.
 */
static bool
stream_peek (struct stream *s, size_t n)
{
  ssize_t r = 1;

  if (s->len - s->pos >= n)
    return true;
  memmove (s->buf, s->buf + s->pos, s->len - s->pos);
  s->len -= s->pos;
  s->pos = 0;
  while (s->len < n && r > 0) {
    r = s->fill (s->opaque, s->buf + s->len, sizeof s->buf - s->len);
    s->len += r > 0 ? (size_t) r : 0;
  }
  return s->len >= n;
}

static bool
stream_skip (struct stream *s, uint64_t n)
{
  if (n > MAX_BYTES || s->off > MAX_BYTES)
    return false;
  while (n > 0) {
    size_t step;

    if (!stream_peek (s, 1))
      return false;
    step = n < s->len - s->pos ? (size_t) n : s->len - s->pos;
    s->pos += step;
    s->off += step;
    n -= step;
  }
  return true;
}

/*--- cpio archives ------------------------------------------------------*/

/* "newc": a header of hexadecimal numbers, the name, the contents; name and
 * contents are each followed by zeros up to a multiple of 4.
 */
#define HEADER_LEN 110

static bool
parse_hex (const unsigned char *text, uint64_t *number)
{
  *number = 0;
  for (unsigned i = 0; i < 8; i++) {
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *digit = text[i] != '\0' ? strchr (digits, text[i]) : NULL;
    ptrdiff_t value;

    if (digit == NULL)
      return false;
    value = digit - digits;
    *number = *number << 4 | (uint64_t) (value > 15 ? value - 6 : value);
  }
  return true;
}

static bool
is_archive (const unsigned char magic[6])
{
  return memcmp (magic, "070701", 6) == 0 || memcmp (magic, "070702", 6) == 0;
}

/* "usr/lib/modules/6.1/kernel/drivers/block/virtio_blk.ko.xz" */
static bool
is_module (const char *path, const char *module)
{
  const char *slash = strrchr (path, '/');
  const char *name = slash != NULL ? slash + 1 : path;
  const size_t len = strlen (module);

  return strncmp (name, module, len) == 0 &&
         strncmp (name + len, ".ko", 3) == 0 &&
         (name[len + 3] == '\0' || name[len + 3] == '.');
}

static void
note_member (const char *path, struct initramfs *found)
{
  found->virtio_blk |= is_module (path, "virtio_blk");
  found->virtio_scsi |= is_module (path, "virtio_scsi");
}

static uint64_t
padding (uint64_t off)
{
  return (4 - off % 4) % 4;
}

/* One header, name and contents. */
static bool
scan_member (struct stream *s, struct initramfs *found)
{
  char name[MAX_NAME + 1];
  uint64_t size, name_len;

  if (!stream_peek (s, HEADER_LEN) ||
      !parse_hex (s->buf + s->pos + 54, &size) ||
      !parse_hex (s->buf + s->pos + 94, &name_len) || name_len == 0 ||
      name_len > MAX_NAME || !stream_skip (s, HEADER_LEN) ||
      !stream_peek (s, (size_t) name_len))
    return false;
  memcpy (name, s->buf + s->pos, (size_t) name_len);
  name[name_len] = '\0';
  note_member (name, found);
  return stream_skip (s, name_len) && stream_skip (s, padding (s->off)) &&
         stream_skip (s, size) && stream_skip (s, padding (s->off));
}

static bool
skip_zeros (struct stream *s)
{
  size_t n;

  while (stream_peek (s, 1) && s->buf[s->pos] == 0) {
    for (n = 1; s->pos + n < s->len && s->buf[s->pos + n] == 0; n++)
      ;
    if (!stream_skip (s, n))
      return false;
  }
  return true;
}

/* Archives up to the end or to something else, where true is returned. */
static bool
scan_archives (struct stream *s, struct initramfs *found)
{
  while (skip_zeros (s) && stream_peek (s, 6) && is_archive (s->buf + s->pos))
    if (!scan_member (s, found))
      return false;
  return s->off <= MAX_BYTES;
}

/*--- Compressed ones ----------------------------------------------------*/

#ifdef HAVE_LIBARCHIVE

static la_ssize_t
read_outer (struct archive *a, void *opaque, const void **buf)
{
  struct stream *s = opaque;
  size_t len;

  (void) a;
  /* Some formats may have any number of bytes that decode to nothing. */
  if (s->off > MAX_BYTES)
    return -1;
  stream_peek (s, 1);
  len = s->len - s->pos;
  *buf = s->buf + s->pos;
  s->pos = s->len;
  s->off += len;
  return (la_ssize_t) len;
}

static ssize_t
fill_inner (void *opaque, void *buf, size_t len)
{
  return archive_read_data (opaque, buf, len);
}

static void
scan_inner (struct archive *a, struct initramfs *found)
{
  struct stream *inner = calloc (1, sizeof *inner);

  if (inner == NULL)
    return;
  inner->fill = fill_inner;
  inner->opaque = a;
  /* Whatever was left over was not understood. */
  found->complete = scan_archives (inner, found) && !stream_peek (inner, 1) &&
                    archive_errno (a) == 0;
  free (inner);
}

/* None of these starts a program. */
static bool
allow_compressions (struct archive *a)
{
  return archive_read_support_format_raw (a) == ARCHIVE_OK &&
         archive_read_support_filter_gzip (a) == ARCHIVE_OK &&
         archive_read_support_filter_bzip2 (a) == ARCHIVE_OK &&
         archive_read_support_filter_lzma (a) == ARCHIVE_OK &&
         archive_read_support_filter_xz (a) == ARCHIVE_OK &&
         archive_read_support_filter_lz4 (a) == ARCHIVE_OK &&
         archive_read_support_filter_zstd (a) == ARCHIVE_OK;
}

static void
scan_compressed (struct stream *s, struct initramfs *found)
{
  struct archive *a = archive_read_new ();
  struct archive_entry *entry;

  if (a == NULL)
    return;
  if (allow_compressions (a) &&
      archive_read_open (a, s, NULL, read_outer, NULL) == ARCHIVE_OK &&
      archive_read_next_header (a, &entry) == ARCHIVE_OK)
    scan_inner (a, found);
  archive_read_free (a);
}

#else

static void
scan_compressed (struct stream *s, struct initramfs *found)
{
  (void) s;
  (void) found;
}

#endif

/*--- All of it ----------------------------------------------------------*/

static ssize_t
fill_from_fd (void *opaque, void *buf, size_t len)
{
  const int *fd = opaque;
  ssize_t r;

  do
    r = read (*fd, buf, len);
  while (r == -1 && errno == EINTR);
  return r;
}

void
initramfs_scan (int fd, struct initramfs *found)
{
  struct stream *s = calloc (1, sizeof *s);
  ssize_t n;

  *found = (struct initramfs){ 0 };
  if (s == NULL)
    return;
  s->fill = fill_from_fd;
  s->opaque = &fd;
  if (scan_archives (s, found)) {
    if (stream_peek (s, 1))
      scan_compressed (s, found);
    else
      found->complete = s->off > 0;
  }
  /* Who writes into the pipe has to come to his end; but a file may seem to
   * have any size, and he notices that nobody reads.
   */
  while (s->off <= MAX_BYTES &&
         (n = fill_from_fd (&fd, s->buf, sizeof s->buf)) > 0)
    s->off += (uint64_t) n;
  free (s);
}
