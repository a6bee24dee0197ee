/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whoever can write a journal says what is written and removed here, so nothing
 * is believed: not its owner, not its text.  Whether its files are still those
 * is for commit.c.
 */

#include <config.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "commit-journal.h"

#define MAX_ENTRIES 1000u

static int
refuse (const struct commit_journal *j, const char *why, rawview_error *err)
{
  return cli_error_set (err, RAWVIEW_ERROR_REFUSED, EPERM,
                        "%s: %s, so nothing that it says is done", j->path,
                        why);
}

/* What it names will be written, so it must be ours. */
static int
check_owner (const struct commit_journal *j, int fd, rawview_error *err)
{
  struct stat st;

  if (fstat (fd, &st) == -1)
    return cli_error_errno (err, errno, "%s", j->path);
  if (!S_ISREG (st.st_mode) || st.st_nlink != 1)
    return refuse (j, "this is no regular file with one name", err);
  if (st.st_uid != geteuid () && st.st_uid != 0)
    return refuse (j, "this journal is another user's", err);
  if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return refuse (j, "others may write this journal", err);
  if (st.st_size > COMMIT_JOURNAL_MAX)
    return refuse (j, "this is too long for a journal", err);
  return 0;
}

/* The whole file; to be freed. */
static char *
read_all (const struct commit_journal *j, int fd, rawview_error *err)
{
  char *text = calloc (1, COMMIT_JOURNAL_MAX + 1);
  size_t len = 0;
  ssize_t n = 1;

  if (text == NULL) {
    cli_error_errno (err, ENOMEM, "%s", j->path);
    return NULL;
  }
  while (n > 0 && len < COMMIT_JOURNAL_MAX) {
    n = read (fd, text + len, COMMIT_JOURNAL_MAX - len);
    len += n > 0 ? (size_t) n : 0;
  }
  if (n == 0 && strlen (text) == len)
    return text;
  if (n == -1)
    cli_error_errno (err, errno, "cannot read %s", j->path);
  else
    refuse (j, "this is no journal of a commit", err);
  free (text);
  return NULL;
}

static bool
is_next (const char *text, const char *key)
{
  const size_t len = strlen (key);

  return strncmp (text, key, len) == 0 && text[len] == ' ';
}

/* Takes the next line if it begins with key; its value, or NULL. */
static char *
take (char **text, const char *key)
{
  const size_t len = strlen (key);
  char *end = strchr (*text, '\n'), *value;

  if (end == NULL || !is_next (*text, key))
    return NULL;
  value = *text + len + 1;
  *end = '\0';
  *text = end + 1;
  return value;
}

static bool
take_number (char **text, const char *key, uint64_t *n)
{
  const char *value = take (text, key);
  char *end;

  if (value == NULL || !isdigit ((unsigned char) value[0]))
    return false;
  errno = 0;
  *n = strtoull (value, &end, 10);
  return errno == 0 && *end == '\0';
}

static int
hex (char c)
{
  const char digits[] = "0123456789ABCDEF";
  const char *p = c != '\0' ? strchr (digits, c) : NULL;

  return p != NULL ? (int) (p - digits) : -1;
}

/* Takes the escapes out; false if one is wrong. */
static bool
unescape (char *text)
{
  char *out = text;

  for (; *text != '\0'; text++)
    if (*text != '%')
      *out++ = *text;
    else {
      int high = hex (text[1]), low = high >= 0 ? hex (text[2]) : -1;

      if (low < 0 || high * 16 + low == 0)
        return false;
      *out++ = (char) (high * 16 + low);
      text += 2;
    }
  *out = '\0';
  return true;
}

static bool
take_text (char **text, const char *key, char **copy)
{
  char *value = take (text, key);

  if (value == NULL || !unescape (value))
    return false;
  *copy = cli_format ("%s", value);
  return true;
}

/* We write no others: absolute, with no part that is empty or dots. */
static bool
is_plain_path (const char *path)
{
  size_t n;

  if (path[0] != '/' || strlen (path) >= PATH_MAX)
    return false;
  while (*path == '/') {
    n = strcspn (++path, "/");
    if (n == 0 || (n == 1 && path[0] == '.') ||
        (n == 2 && path[0] == '.' && path[1] == '.'))
      return false;
    path += n;
  }
  return true;
}

static bool
take_path (char **text, const char *key, char **path)
{
  return take_text (text, key, path) && is_plain_path (*path);
}

static bool
take_entry (char **text, struct commit_entry *e)
{
  char *option;

  if (!take_path (text, "image", &e->image) ||
      !take_number (text, "image-dev", &e->image_file.dev) ||
      !take_number (text, "image-ino", &e->image_file.ino) ||
      !take_text (text, "format", &e->format) ||
      !take_number (text, "size", &e->size))
    return false;
  while (is_next (*text, "option")) {
    if (!take_text (text, "option", &option))
      return false;
    cli_list_add (&e->options, option);
  }
  return take_path (text, "overlay", &e->overlay) &&
         take_number (text, "overlay-dev", &e->overlay_file.dev) &&
         take_number (text, "overlay-ino", &e->overlay_file.ino) &&
         take_number (text, "overlay-bytes", &e->overlay_file.size) &&
         take_number (text, "overlay-mtime", &e->overlay_file.mtime_sec) &&
         take_number (text, "overlay-mtime-nsec", &e->overlay_file.mtime_nsec);
}

static bool
parse (char *text, struct commit_journal *j)
{
  CLEANUP_FREE char *state = NULL;
  uint64_t n;

  if (strncmp (text, COMMIT_JOURNAL_FIRST_LINE "\n",
               sizeof COMMIT_JOURNAL_FIRST_LINE) != 0)
    return false;
  text += sizeof COMMIT_JOURNAL_FIRST_LINE;
  free (j->boot);
  j->boot = NULL;
  if (!take_text (&text, "state", &state) ||
      !take_text (&text, "boot", &j->boot) ||
      !take_number (&text, "disks", &n) || n == 0 || n > MAX_ENTRIES)
    return false;
  j->applied = strcmp (state, "applied") == 0;
  if (!j->applied && strcmp (state, "decided") != 0)
    return false;
  while (n-- > 0)
    if (!take_entry (&text, commit_journal_add (j)))
      return false;
  return strcmp (text, "end\n") == 0;
}

int
commit_journal_read (struct commit_journal *j, rawview_error *err)
{
  const int fd = open (j->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  CLEANUP_FREE char *text = NULL;

  if (fd == -1 && errno == ENOENT)
    return 1;
  if (fd == -1)
    return cli_error_errno (err, errno, "cannot open the journal %s", j->path);
  if (check_owner (j, fd, err) == 0)
    text = read_all (j, fd, err);
  close (fd);
  if (text == NULL)
    return -1;
  return parse (text, j) ? 0
                         : refuse (j, "this is no journal of a commit", err);
}
