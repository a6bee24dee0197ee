/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include <string.h>
#include <strings.h>

#include "format/ova-pass.h"
#include "util/checked.h"
#include "util/error.h"
#include "util/text.h"

/* Tar fills its last record with zeros, which is 10 KiB unless told. */
#define MAX_TRAILER (1u << 20)

int
rv_ova_pass_init (struct rv_ova_pass *p, struct rv_pipe *pipe, const char *disk,
                  rawview_error *err)
{
  *p = (struct rv_ova_pass){ .pipe = pipe, .disk = disk };
  if (rv_io_pipe_new (pipe, &p->io, err) == -1)
    return -1;
  p->walk.io = p->io;
  return 0;
}

void
rv_ova_pass_release (struct rv_ova_pass *p)
{
  if (p->io)
    rv_io_unref (p->io);
  rv_ova_members_free (&p->disks);
  rv_ova_manifest_free (&p->manifest);
  for (size_t i = 0; i < p->passed.len; i++)
    free (p->passed.ptr[i].name);
  rv_ova_passed_list_release (&p->passed);
  free (p->chosen);
  free (p->current);
}

/*--- Checksums ----------------------------------------------------------*/

/* Before the manifest has come it may use any of them. */
static int
begin_digest (struct rv_ova_pass *p, const char *name, rawview_error *err)
{
  unsigned kinds = p->has_manifest ? rv_ova_manifest_kinds (&p->manifest, name)
                                   : RV_DIGEST_ALL;

  free (p->current);
  p->current = strdup (name);
  if (p->current == NULL)
    return rv_error_nomem (err);
  if (kinds == 0)
    return 0;
  p->pipe->digest = rv_digest_new (kinds);
  return p->pipe->digest ? 0 : rv_error_nomem (err);
}

static int
end_digest (struct rv_ova_pass *p, rawview_error *err)
{
  struct rv_ova_passed passed = { 0 };

  if (p->pipe->digest == NULL)
    return 0;
  rv_digest_end (p->pipe->digest, &passed.values);
  p->pipe->digest = NULL;
  if (p->has_manifest)
    return rv_ova_manifest_compare (&p->manifest, p->current, &passed.values,
                                    p->io->name, err);
  passed.name = STEAL (p->current);
  if (rv_ova_passed_list_append (&p->passed, passed) == -1) {
    free (passed.name);
    return rv_error_nomem (err);
  }
  return 0;
}

static int
take_manifest (struct rv_ova_pass *p, const struct rv_tar_member *m,
               rawview_error *err)
{
  CLEANUP_FREE uint8_t *text = NULL;

  if (p->has_manifest)
    return rv_error_corrupt (err, "%s: more than one manifest", p->io->name);
  if (m->len > RV_OVA_MAX_MANIFEST)
    return rv_error_limit (err, "%s: a manifest of %ju bytes, at most %u",
                           p->io->name, (uintmax_t) m->len,
                           RV_OVA_MAX_MANIFEST);
  text = malloc (m->len + 1);
  if (text == NULL)
    return rv_error_nomem (err);
  if (rv_pipe_take (p->pipe, text, m->len, "the manifest", err) == -1 ||
      rv_ova_manifest_parse ((struct rv_view){ text, m->len }, p->io->name,
                             &p->manifest, err) == -1)
    return -1;
  p->has_manifest = true;
  for (size_t i = 0; i < p->passed.len; i++)
    if (rv_ova_manifest_compare (&p->manifest, p->passed.ptr[i].name,
                                 &p->passed.ptr[i].values, p->io->name,
                                 err) == -1)
      return -1;
  return 0;
}

/*--- Which disk ---------------------------------------------------------*/

/* Is the last of the disks seen the one that is meant?  As in rv_ova_choose,
 * but without knowing those to come.
 */
static bool
fits (const struct rv_ova_pass *p)
{
  const char *name = p->disks.ptr[p->disks.len - 1].name;
  uint64_t n;

  if (p->disk == NULL || strcmp (name, p->disk) == 0)
    return true;
  if (rv_text_parse_size (p->disk, &n))
    return n == p->disks.len;
  return strcmp (rv_text_basename (name), p->disk) == 0;
}

static int
choose (struct rv_ova_pass *p, bool *wanted, rawview_error *err)
{
  const char *name = p->disks.ptr[p->disks.len - 1].name;

  *wanted = fits (p);
  if (*wanted && p->chosen && p->disk == NULL)
    return rv_error_usage (
        err,
        "%s: after the disk \"%s\" comes another, \"%s\"; say which with "
        "disk=NAME or disk=N",
        p->io->name, p->chosen, name);
  if (*wanted && p->chosen)
    return rv_error_usage (
        err,
        "%s: disk=%s fits \"%s\" and \"%s\"; say which with the whole "
        "name or disk=N",
        p->io->name, p->disk, p->chosen, name);
  if (!*wanted)
    return 0;
  p->chosen = strdup (name);
  return p->chosen ? 0 : rv_error_nomem (err);
}

/*--- Members ------------------------------------------------------------*/

static bool
is_manifest (const struct rv_tar_member *m)
{
  size_t n = strlen (m->name);

  return (m->type == '0' || m->type == '7') && n > 3 &&
         strcasecmp (m->name + n - 3, ".mf") == 0;
}

static const char *
plain_name (const char *name)
{
  while (strncmp (name, "./", 2) == 0)
    name += 2;
  return name;
}

/* Looks at the member at whose first byte the pipe is; *wanted: it is the disk.
 * Any other is taken.
 */
static int
take_member (struct rv_ova_pass *p, const struct rv_tar_member *m, bool *wanted,
             rawview_error *err)
{
  size_t before = p->disks.len;
  struct rv_view head;

  *wanted = false;
  if (rv_pipe_peek (p->pipe, rv_min_u64 (m->len, 2), &head, err) == -1 ||
      rv_ova_look_at (p->io->name, m, head, &p->nr_ovf, &p->disks, err) == -1)
    return -1;
  if (p->disks.len > before && choose (p, wanted, err) == -1)
    return -1;
  if (is_manifest (m))
    return take_manifest (p, m, err);
  if (begin_digest (p, plain_name (m->name), err) == -1)
    return -1;
  if (*wanted)
    return 0;
  if (rv_pipe_take (p->pipe, NULL, m->len, "a member of the archive", err) ==
      -1)
    return -1;
  return end_digest (p, err);
}

/* Takes what lies before the next header, which must be there: an archive that
 * ends without its mark has been cut, perhaps before its manifest.
 */
static int
go_to_header (struct rv_ova_pass *p, rawview_error *err)
{
  struct rv_view view;

  if (rv_pipe_take (p->pipe, NULL, p->walk.next - p->pipe->pos, "the archive",
                    err) == -1 ||
      rv_pipe_peek (p->pipe, 1, &view, err) == -1)
    return -1;
  if (view.len > 0)
    return 0;
  return rv_error_corrupt (
      err, "%s: ends at byte %ju without the end mark of an archive: it is cut",
      p->io->name, (uintmax_t) p->pipe->pos);
}

static int
next_member (struct rv_ova_pass *p, struct rv_tar_member *m, rawview_error *err)
{
  return go_to_header (p, err) == -1 ? -1 : rv_tar_next (&p->walk, m, err);
}

/* 1: the disk is next, 0: there are no more members. */
static int
next_disk (struct rv_ova_pass *p, uint64_t *len, rawview_error *err)
{
  struct rv_tar_member m;
  bool wanted = false;
  int r = 0;

  while (!wanted && (r = next_member (p, &m, err)) == 1) {
    if (p->pipe->pos < m.off)
      r = rv_pipe_take (p->pipe, NULL, m.off - p->pipe->pos, "the archive",
                        err);
    if (r != -1)
      r = take_member (p, &m, &wanted, err);
    *len = m.len;
    free (m.name);
    if (r == -1)
      return -1;
  }
  return wanted ? 1 : r;
}

int
rv_ova_pass_find (struct rv_ova_pass *p, uint64_t *len, rawview_error *err)
{
  int r = next_disk (p, len, err);

  if (r != 0)
    return r == 1 ? 0 : -1;
  if (p->disks.len == 0)
    return rv_error_format (err, "%s: there is no VMDK disk in this archive",
                            p->io->name);
  return rv_error_usage (err,
                         "%s: there is no disk \"%s\" among the %zu in it; "
                         "the first is \"%s\"",
                         p->io->name, p->disk, p->disks.len,
                         p->disks.ptr[0].name);
}

/*--- The end ------------------------------------------------------------*/

/* Behind the archive's end there are only zeros. */
static int
take_trailer (struct rv_ova_pass *p, rawview_error *err)
{
  struct rv_view view;
  uint64_t n = 0;

  for (;;) {
    if (rv_pipe_peek (p->pipe, RV_TAR_BLOCK, &view, err) == -1)
      return -1;
    if (view.len == 0)
      return 0;
    n += view.len;
    for (size_t i = 0; i < view.len; i++)
      if (view.p[i] != 0 || n > MAX_TRAILER)
        return rv_error_corrupt (
            err, "%s: something follows the archive's end at byte %ju",
            p->io->name, (uintmax_t) p->pipe->pos);
    if (rv_pipe_take (p->pipe, NULL, view.len, "the archive's end", err) == -1)
      return -1;
  }
}

int
rv_ova_pass_finish (struct rv_ova_pass *p, rawview_error *err)
{
  uint64_t len;

  /* A second disk that fits is an error, so there is none to be returned. */
  if (end_digest (p, err) == -1 || next_disk (p, &len, err) == -1 ||
      take_trailer (p, err) == -1)
    return -1;
  return p->has_manifest
             ? rv_ova_manifest_verify (&p->manifest, p->io->name, err)
             : 0;
}
