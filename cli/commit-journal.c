/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <config.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "commit-journal.h"

struct commit_file
commit_file_of (const struct stat *st)
{
  const bool device = S_ISBLK (st->st_mode);

  return (struct commit_file){
    .dev = device ? st->st_rdev : st->st_dev,
    .ino = device ? 0 : st->st_ino,
    .size = (uint64_t) st->st_size,
    .mtime_sec = (uint64_t) st->st_mtim.tv_sec,
    .mtime_nsec = (uint64_t) st->st_mtim.tv_nsec,
  };
}

/*--- In memory ----------------------------------------------------------*/

/* "-" if the kernel does not say. */
static char *
this_boot (void)
{
  char id[64] = "-";
  FILE *f = fopen ("/proc/sys/kernel/random/boot_id", "re");

  if (f == NULL || fscanf (f, "%63s", id) != 1)
    strcpy (id, "-");
  if (f != NULL)
    fclose (f);
  return cli_format ("%s", id);
}

bool
commit_journal_is_of_this_boot (const struct commit_journal *j)
{
  CLEANUP_FREE char *boot = this_boot ();

  return strcmp (boot, j->boot) == 0 && strcmp (boot, "-") != 0;
}

void
commit_journal_init (struct commit_journal *j, const char *path)
{
  *j = (struct commit_journal){ .path = cli_format ("%s", path),
                                .boot = this_boot () };
}

void
commit_journal_clear (struct commit_journal *j)
{
  for (size_t i = 0; i < j->n; i++) {
    free (j->entries[i].image);
    free (j->entries[i].format);
    free (j->entries[i].overlay);
    cli_list_free (&j->entries[i].options);
  }
  free (j->entries);
  free (j->path);
  free (j->boot);
  *j = (struct commit_journal){ 0 };
}

struct commit_entry *
commit_journal_add (struct commit_journal *j)
{
  struct commit_entry *entries =
      realloc (j->entries, (j->n + 1) * sizeof *entries);

  if (entries == NULL)
    exit (cli_failf (RAWVIEW_ERROR_NOMEM, "out of memory"));
  j->entries = entries;
  entries[j->n] = (struct commit_entry){ 0 };
  return &entries[j->n++];
}

/*--- Writing ------------------------------------------------------------*/

/* File names may have any byte: those that end a line or are not plain are
 * "%0A".
 */
static void
put_text (FILE *f, const char *key, const char *text)
{
  fprintf (f, "%s ", key);
  for (; *text != '\0'; text++)
    if (*text == '%' || *text == ' ' || !isprint ((unsigned char) *text))
      fprintf (f, "%%%02X", (unsigned char) *text);
    else
      putc (*text, f);
  putc ('\n', f);
}

static void
put_number (FILE *f, const char *key, uint64_t n)
{
  fprintf (f, "%s %" PRIu64 "\n", key, n);
}

static void
put_entry (FILE *f, const struct commit_entry *e)
{
  put_text (f, "image", e->image);
  put_number (f, "image-dev", e->image_file.dev);
  put_number (f, "image-ino", e->image_file.ino);
  put_text (f, "format", e->format);
  put_number (f, "size", e->size);
  for (size_t i = 0; i < e->options.len; i++)
    put_text (f, "option", e->options.items[i]);
  put_text (f, "overlay", e->overlay);
  put_number (f, "overlay-dev", e->overlay_file.dev);
  put_number (f, "overlay-ino", e->overlay_file.ino);
  put_number (f, "overlay-bytes", e->overlay_file.size);
  put_number (f, "overlay-mtime", e->overlay_file.mtime_sec);
  put_number (f, "overlay-mtime-nsec", e->overlay_file.mtime_nsec);
}

static void
put_journal (FILE *f, const struct commit_journal *j)
{
  fprintf (f, COMMIT_JOURNAL_FIRST_LINE "\n");
  put_text (f, "state", j->applied ? "applied" : "decided");
  put_text (f, "boot", j->boot);
  put_number (f, "disks", j->n);
  for (size_t i = 0; i < j->n; i++)
    put_entry (f, &j->entries[i]);
  fprintf (f, "end\n");
}

static char *
new_name (const struct commit_journal *j)
{
  return cli_format ("%s.new", j->path);
}

static int
cannot_make (const struct commit_journal *j, rawview_error *err)
{
  return cli_error_errno (err, errno, "cannot make the journal %s", j->path);
}

/* What an interrupted write has left goes: the images are locked, so nobody
 * else writes it now.
 */
static int
write_new (const struct commit_journal *j, const char *name, rawview_error *err)
{
  FILE *f;
  int fd, r;

  unlink (name);
  fd = open (name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd == -1)
    return cannot_make (j, err);
  f = fdopen (fd, "w");
  if (f == NULL) {
    close (fd);
    return cannot_make (j, err);
  }
  put_journal (f, j);
  if (ftell (f) > COMMIT_JOURNAL_MAX)
    errno = EFBIG;
  r = ftell (f) <= COMMIT_JOURNAL_MAX && fflush (f) == 0 && !ferror (f) &&
              fsync (fd) == 0
          ? 0
          : cannot_make (j, err);
  fclose (f);
  return r;
}

int
commit_journal_write (const struct commit_journal *j, bool *there,
                      rawview_error *err)
{
  CLEANUP_FREE char *name = new_name (j);

  *there = false;
  if (write_new (j, name, err) == -1) {
    unlink (name);
    return -1;
  }
  if (rename (name, j->path) == -1) {
    cannot_make (j, err);
    unlink (name);
    return -1;
  }
  *there = true;
  return commit_sync_folder (j->path, err);
}

void
commit_journal_remove_new (const struct commit_journal *j)
{
  CLEANUP_FREE char *name = new_name (j);

  unlink (name);
}

int
commit_journal_remove (const struct commit_journal *j, rawview_error *err)
{
  if (unlink (j->path) == -1 && errno != ENOENT)
    return cli_error_errno (err, errno, "cannot remove the journal %s",
                            j->path);
  commit_journal_remove_new (j);
  return commit_sync_folder (j->path, err);
}

int
commit_sync_folder (const char *path, rawview_error *err)
{
  CLEANUP_FREE char *dir = cli_format ("%s", path);
  int fd, r;

  strrchr (dir, '/')[1] = '\0';
  fd = open (dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd == -1)
    return cli_error_errno (err, errno, "%s", dir);
  r = fsync (fd) == -1 ? cli_error_errno (err, errno, "cannot flush %s", dir)
                       : 0;
  close (fd);
  return r;
}
