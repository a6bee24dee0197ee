/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A key is in memory as the parsed file alone, and that is wiped when it is
 * freed (json.c); from there it is written into its file.
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "json.h"
#include "key-folder.h"
#include "vault.h"

#define DEFAULT_NAME ".v2v_luks_keys_vault.json"

/* Of the file, and of the keys of one guest. */
enum { MAX_SIZE = 1024 * 1024, MAX_KEYS = 256 };

struct vault {
  char *path;
  struct cli_json *json; /* NULL: there is no file */
  struct key_folder *folder;
  struct cli_list argv;
};

static char *
default_path (void)
{
  const char *home = getenv ("HOME");
  const struct passwd *user;

  if (home == NULL || home[0] != '/') {
    user = getpwuid (geteuid ());
    home = user != NULL ? user->pw_dir : "/";
  }
  return cli_format ("%s/%s", home, DEFAULT_NAME);
}

/*--- The file -----------------------------------------------------------*/

/* A descriptor, or -1.  Only a regular file is waited for. */
static int
open_file (const char *path, rawview_error *err)
{
  int fd =
      open (path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

  if (fd >= 0)
    return fd;
  if (errno == ELOOP)
    return cli_error_set (err, RAWVIEW_ERROR_REFUSED, ELOOP,
                          "%s: a vault of keys must not be a symbolic link",
                          path);
  return cli_error_errno (err, errno, "%s", path);
}

static int
check_file (int fd, const char *path, rawview_error *err)
{
  struct stat st;

  if (fstat (fd, &st) == -1)
    return cli_error_errno (err, errno, "%s", path);
  if (!S_ISREG (st.st_mode))
    return cli_error_set (err, RAWVIEW_ERROR_REFUSED, EINVAL,
                          "%s: a vault of keys must be a regular file", path);
  if (st.st_uid != geteuid () && st.st_uid != 0)
    return cli_error_set (
        err, RAWVIEW_ERROR_REFUSED, EPERM,
        "%s: this vault of keys belongs to somebody else (user %u)", path,
        (unsigned) st.st_uid);
  if ((st.st_mode & 077) != 0)
    return cli_error_set (err, RAWVIEW_ERROR_REFUSED, EPERM,
                          "%s: group or others have access to this vault of "
                          "keys (mode %04o): chmod 600 it",
                          path, (unsigned) st.st_mode & 07777);
  if (st.st_size > MAX_SIZE)
    return cli_error_set (err, RAWVIEW_ERROR_LIMIT, EFBIG,
                          "%s: a vault of keys may have %d bytes at most", path,
                          MAX_SIZE);
  return 0;
}

/* Fills buf as far as the file goes. */
static ssize_t
read_all (int fd, char *buf, size_t len)
{
  size_t done = 0;
  ssize_t n;

  while (done < len) {
    n = read (fd, buf + done, len - done);
    if (n == -1 && errno == EINTR)
      continue;
    if (n == -1)
      return -1;
    if (n == 0)
      break;
    done += (size_t) n;
  }
  return (ssize_t) done;
}

static struct cli_json *
parse_file (int fd, const char *path, rawview_error *err)
{
  char *buf = malloc (MAX_SIZE);
  struct cli_json *json = NULL;
  ssize_t n;

  if (buf == NULL) {
    cli_error_set (err, RAWVIEW_ERROR_NOMEM, 0, "out of memory");
    return NULL;
  }
  n = read_all (fd, buf, MAX_SIZE);
  if (n == -1)
    cli_error_errno (err, errno, "%s", path);
  else
    json = cli_json_parse (buf, (size_t) n, path, err);
  explicit_bzero (buf, MAX_SIZE);
  free (buf);
  if (json != NULL && !cli_json_is_object (json)) {
    cli_error_set (err, RAWVIEW_ERROR_FORMAT, 0,
                   "%s: a vault of keys is an object with a list per guest",
                   path);
    cli_json_free (json);
    return NULL;
  }
  return json;
}

static int
read_vault (struct vault *vault, rawview_error *err)
{
  int fd = open_file (vault->path, err);

  if (fd == -1)
    return -1;
  if (check_file (fd, vault->path, err) == 0)
    vault->json = parse_file (fd, vault->path, err);
  close (fd);
  return vault->json != NULL ? 0 : -1;
}

int
vault_open (const char *path, struct vault **out, rawview_error *err)
{
  struct vault *vault = calloc (1, sizeof *vault);

  *out = NULL;
  if (vault == NULL)
    return cli_error_set (err, RAWVIEW_ERROR_NOMEM, 0, "out of memory");
  vault->path = path != NULL ? cli_format ("%s", path) : default_path ();
  if (read_vault (vault, err) == -1 &&
      (path != NULL || err->errnum != ENOENT)) {
    vault_close (vault);
    return -1;
  }
  *out = vault;
  return 0;
}

/*--- Handing on ---------------------------------------------------------*/

/* virt-v2v splits DEVICE:file:PATH at the colons. */
static bool
is_device (const char *text)
{
  if (text[0] == '\0')
    return false;
  for (const char *p = text; *p != '\0'; p++)
    if (*p == ':' || (unsigned char) *p < ' ' || *p == 0x7f)
      return false;
  return true;
}

/* virt-v2v takes the first line of a file. */
static bool
is_key (const char *text)
{
  return text[0] != '\0' && strpbrk (text, "\r\n") == NULL;
}

static int
hand_on_one (struct vault *vault, const struct cli_json *entry, size_t number,
             const char *guest, rawview_error *err)
{
  const char *device = cli_json_get_text (entry, "device");
  const char *key = cli_json_get_text (entry, "key");
  char *path;

  if (device == NULL || !is_device (device))
    return cli_error_set (err, RAWVIEW_ERROR_FORMAT, 0,
                          "%s: \"%s\", entry %zu: no \"device\", or one that "
                          "is empty or has a colon or control character",
                          vault->path, guest, number);
  if (key == NULL || !is_key (key))
    return cli_error_set (err, RAWVIEW_ERROR_FORMAT, 0,
                          "%s: \"%s\", entry %zu: no \"key\", or one that is "
                          "empty or has several lines",
                          vault->path, guest, number);
  path = key_folder_add (vault->folder, key, err);
  if (path == NULL)
    return -1;
  cli_list_add (&vault->argv, cli_format ("--key"));
  cli_list_add (&vault->argv, cli_format ("%s:file:%s", device, path));
  free (path);
  return 0;
}

static int
hand_on_all (struct vault *vault, const struct cli_json *keys,
             const char *guest, rawview_error *err)
{
  size_t n = cli_json_length (keys);

  if (!cli_json_is_array (keys))
    return cli_error_set (err, RAWVIEW_ERROR_FORMAT, 0,
                          "%s: \"%s\" must have a list of devices and keys",
                          vault->path, guest);
  if (n > MAX_KEYS)
    return cli_error_set (err, RAWVIEW_ERROR_LIMIT, 0,
                          "%s: \"%s\" has %zu keys, at most %d are allowed",
                          vault->path, guest, n, MAX_KEYS);
  if (n > 0 && (vault->folder = key_folder_new (err)) == NULL)
    return -1;
  for (size_t i = 0; i < n; i++)
    if (hand_on_one (vault, cli_json_at (keys, i), i + 1, guest, err) == -1)
      return -1;
  return 0;
}

const struct cli_list *
vault_hand_on (struct vault *vault, const char *guest, rawview_error *err)
{
  const struct cli_json *keys = cli_json_get (vault->json, guest);
  int r = keys != NULL ? hand_on_all (vault, keys, guest, err) : 0;

  /* What runs now takes long, and needs none of it in our memory. */
  cli_json_free (vault->json);
  vault->json = NULL;
  return r == 0 ? &vault->argv : NULL;
}

void
vault_close (struct vault *vault)
{
  if (vault == NULL)
    return;
  key_folder_free (vault->folder);
  cli_json_free (vault->json);
  cli_list_free (&vault->argv);
  free (vault->path);
  free (vault);
}
