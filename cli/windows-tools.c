/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <config.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools-cache.h"
#include "windows-tools.h"

#define MIB ((uint64_t) 1024 * 1024)

/* As they are called in the cache, and by those who publish them. */
static const struct tools_cache_file files[] = {
  { "virtio-win.iso", 4096 * MIB },
  { "rhsrvany.exe", 64 * MIB },
  { "pvvxsvc.exe", 64 * MIB },
};

/* The programs are in one folder, of which virt-v2v takes what it wants. */
enum { N_DRIVERS = 1, N_PROGRAMS = 2 };
static const struct tools_cache_file *const programs = files + N_DRIVERS;

/* How deep a folder of drivers is, and how much there may be in it. */
enum { MAX_DEPTH = 6, MAX_ENTRIES = 100000 };

/*--- What a place must look like ----------------------------------------*/

static int
wrong (rawview_error *err, const char *path, const char *what)
{
  return cli_error_set (err, RAWVIEW_ERROR_FORMAT, EINVAL, "%s: %s", path,
                        what);
}

/* Has the regular file these bytes there? */
static bool
has_bytes (int fd, const char *bytes, off_t off)
{
  char buf[8];
  size_t len = strlen (bytes);
  struct stat st;

  return fstat (fd, &st) == 0 && S_ISREG (st.st_mode) &&
         pread (fd, buf, len, off) == (ssize_t) len &&
         memcmp (buf, bytes, len) == 0;
}

/* The first volume descriptor of ISO 9660 follows 16 sectors of 2048 bytes. */
static int
check_iso (int fd, const char *path, rawview_error *err)
{
  return has_bytes (fd, "CD001", 16 * 2048 + 1)
             ? 0
             : wrong (err, path, "this is no ISO image of drivers");
}

static bool
is_block_driver (const char *name)
{
  return strcasecmp (name, "viostor.inf") == 0 ||
         strcasecmp (name, "vioscsi.inf") == 0;
}

/* Is there a block driver in or below the folder?  Takes the descriptor. */
static bool
has_block_driver (int fd, unsigned depth, unsigned *budget)
{
  const struct dirent *entry;
  DIR *dir = fdopendir (fd);
  bool found = false;
  int inner;

  if (dir == NULL) {
    close (fd);
    return false;
  }
  while (!found && *budget > 0 && (entry = readdir (dir)) != NULL) {
    (*budget)--;
    found = is_block_driver (entry->d_name);
    if (found || depth == 0 || entry->d_name[0] == '.')
      continue;
    inner = openat (dirfd (dir), entry->d_name,
                    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (inner >= 0)
      found = has_block_driver (inner, depth - 1, budget);
  }
  closedir (dir);
  return found;
}

static int
check_drivers (const char *path, rawview_error *err)
{
  int fd = open (path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  unsigned budget = MAX_ENTRIES;
  struct stat st;
  int r;

  if (fd == -1 || fstat (fd, &st) == -1) {
    r = cli_error_errno (err, errno, "%s", path);
  }
  else if (S_ISDIR (st.st_mode)) {
    r = has_block_driver (dup (fd), MAX_DEPTH, &budget)
            ? 0
            : wrong (err, path, "there is no viostor.inf or vioscsi.inf in it");
  }
  else {
    r = check_iso (fd, path, err);
  }
  if (fd >= 0)
    close (fd);
  return r;
}

static int
check_programs (const char *folder, rawview_error *err)
{
  int r = 0;

  for (size_t i = 0; i < N_PROGRAMS && r == 0; i++) {
    CLEANUP_FREE char *path = cli_format ("%s/%s", folder, programs[i].name);
    int fd = open (path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (fd == -1)
      return cli_error_errno (err, errno, "%s", path);
    if (!has_bytes (fd, "MZ", 0))
      r = wrong (err, path, "this is no program for Windows");
    close (fd);
  }
  return r;
}

/*--- Where they are looked for ------------------------------------------*/

struct kind {
  const char *option, *variable;
  int (*check) (const char *path, rawview_error *err);
  const char *places[2]; /* below the folder of distributions' data */
  const struct tools_cache_file *files;
  size_t n_files;
  const char *in_cache; /* what virt-v2v is to be told, in the cache */
};

static const struct kind kinds[] = {
  { "--virtio-win",
    "VIRTIO_WIN",
    check_drivers,
    { "virtio-win/virtio-win.iso", "virtio-win" },
    files,
    N_DRIVERS,
    "virtio-win.iso" },
  { "--virt-tools",
    "VIRT_TOOLS_DATA_DIR",
    check_programs,
    { "virt-tools", NULL },
    files + N_DRIVERS,
    N_PROGRAMS,
    "." },
};

enum { N_KINDS = CLI_COUNT (kinds) };

struct search {
  const struct tools_config *config;
  char *found[N_KINDS]; /* NULL: not yet */
};

/* Other programs may run in another folder. */
static int
take (struct search *s, size_t kind, const char *path, rawview_error *err)
{
  s->found[kind] = realpath (path, NULL);
  return s->found[kind] != NULL ? 0 : cli_error_errno (err, errno, "%s", path);
}

/* A place that somebody named has to be right. */
static int
take_named (struct search *s, size_t kind, const char *by, const char *path,
            rawview_error *err)
{
  rawview_error why;

  if (kinds[kind].check (path, &why) == -1)
    return cli_error_set (err, why.kind, why.errnum, "%s: %s", by, why.msg);
  return take (s, kind, path, err);
}

/* In order not to depend on what this machine has, tests name another. */
static const char *
data_folder (void)
{
  const char *folder = getenv ("RAWVIEW_TOOLS_DATADIR");

  return folder != NULL && *folder != '\0' ? folder : "/usr/share";
}

static int
look_in_places (struct search *s, size_t kind, rawview_error *err)
{
  for (size_t i = 0; i < 2 && kinds[kind].places[i] != NULL; i++) {
    CLEANUP_FREE char *path =
        cli_format ("%s/%s", data_folder (), kinds[kind].places[i]);

    if (kinds[kind].check (path, err) == 0)
      return take (s, kind, path, err);
    if (err->errnum != ENOENT)
      fprintf (stderr, "rawview: warning: not taken: %s\n", err->msg);
  }
  return 0;
}

static int
look_outside_cache (struct search *s, size_t kind, const char *option,
                    rawview_error *err)
{
  const char *variable = getenv (kinds[kind].variable);

  if (option != NULL)
    return take_named (s, kind, kinds[kind].option, option, err);
  if (variable != NULL && *variable != '\0')
    return take_named (s, kind, kinds[kind].variable, variable, err);
  return look_in_places (s, kind, err);
}

static int
look_in_cache (struct search *s, size_t kind, rawview_error *err)
{
  CLEANUP_FREE char *path =
      cli_format ("%s/%s", s->config->cache, kinds[kind].in_cache);

  if (tools_cache_fill (s->config, kinds[kind].files, kinds[kind].n_files,
                        err) == -1)
    return -1;
  if (kinds[kind].check (path, err) == 0)
    return take (s, kind, path, err);
  return err->errnum == ENOENT ? 0 : -1;
}

/*--- All of it ----------------------------------------------------------*/

/* How to get what the cache would have under these names. */
static const char *const ways[CLI_COUNT (files)] = {
  "package virtio-win, or --virtio-win=PATH",
  "package rhsrvany or virt-v2v, or --virt-tools=DIR",
  "of SUSE's VMDP, or --virt-tools=DIR",
};

static bool
is_in (const char *folder, const char *name)
{
  CLEANUP_FREE char *path = cli_format ("%s/%s", folder, name);

  return access (path, F_OK) == 0;
}

/* The folder that lacks less. */
static const char *
better_folder (const char *a, const char *b)
{
  int lead = 0;

  for (size_t i = 0; i < N_PROGRAMS; i++)
    lead += is_in (a, programs[i].name) - is_in (b, programs[i].name);
  return lead >= 0 ? a : b;
}

static void
add_missing (char **text, size_t file)
{
  char *longer = cli_format ("%s%s%s (%s)", *text, **text == '\0' ? "" : ", ",
                             files[file].name, ways[file]);

  free (*text);
  *text = longer;
}

static int
missing (const struct search *s, rawview_error *err)
{
  const char *data = data_folder (), *cache = s->config->cache;
  CLEANUP_FREE char *tools = cli_format ("%s/%s", data, kinds[1].places[0]);
  CLEANUP_FREE char *names = cli_format ("%s", "");
  const char *folder = better_folder (tools, cache);

  if (s->found[0] == NULL)
    add_missing (&names, 0);
  for (size_t i = 0; i < N_PROGRAMS && s->found[1] == NULL; i++)
    if (!is_in (folder, programs[i].name))
      add_missing (&names, N_DRIVERS + i);
  return cli_error_set (err, RAWVIEW_ERROR_UNSUPPORTED, ENOENT,
                        "a Windows guest needs what is missing here: %s; or "
                        "--tools-url=URL to fetch it.  Looked in "
                        "%s/virtio-win, %s and %s",
                        names, data, tools, cache);
}

static int
look (struct search *s, const struct windows_tools_options *options,
      rawview_error *err)
{
  const char *const given[N_KINDS] = { options->virtio_win,
                                       options->virt_tools };

  /* All that costs nothing first. */
  for (size_t i = 0; i < N_KINDS; i++)
    if (look_outside_cache (s, i, given[i], err) == -1)
      return -1;
  for (size_t i = 0; i < N_KINDS; i++)
    if (s->found[i] == NULL && look_in_cache (s, i, err) == -1)
      return -1;
  for (size_t i = 0; i < N_KINDS; i++)
    if (s->found[i] == NULL)
      return missing (s, err);
  return 0;
}

int
windows_tools_find (const struct windows_tools_options *options,
                    struct cli_list *env, rawview_error *err)
{
  struct tools_config config;
  struct search s = { .config = &config };
  int r = tools_config_read (options, &config, err);

  if (r == 0)
    r = look (&s, options, err);
  for (size_t i = 0; i < N_KINDS; i++) {
    if (r == 0)
      cli_list_add (env, cli_format ("%s=%s", kinds[i].variable, s.found[i]));
    free (s.found[i]);
  }
  tools_config_clear (&config);
  return r;
}
