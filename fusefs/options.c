/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command line.
 *
 * The library's options are not repeated here: they are asked for, and each is
 * understood as --NAME=VALUE, as --NAME VALUE and as -o NAME=VALUE.  The last
 * form is for fstab(5), where mount(8) hands everything over as one -o.
 */

#include <config.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "options.h"

/* Values of getopt_long that are no letters. */
enum {
  OPT_PID_FILE = 256,
  OPT_RW,
  OPT_LIBRARY, /* and all that follow: the library's i-th option */
};

/* What rawviewfs adds, in the order of --help. */
static const struct own_option {
  int key; /* a letter, or an OPT_ without one */
  const char *name;
  const char *arg;
  const char *help;
} own_options[] = {
  { 'f', "foreground", NULL, "stay in the foreground, messages go to stderr" },
  { 's', "single-threaded", NULL, "answer one request at a time" },
  { 'd', "debug", NULL, "trace every request to stderr; implies -f" },
  { OPT_PID_FILE, "pid-file", "FILE", "where to write the process's number" },
  { OPT_RW, "rw", NULL, "write to the images themselves" },
  { 'h', "help", NULL, "show this text" },
  { 'V', "version", NULL, "show the versions" },
};

#define SEE_HELP " (see rawviewfs --help)"

#define OWN_COUNT (sizeof own_options / sizeof own_options[0])

static size_t
count_library_options (void)
{
  size_t n = 0;

  while (rawview_option_get (n) != NULL)
    n++;
  return n;
}

/*--- Help ---------------------------------------------------------------*/

static void
print_option (int key, const char *name, const char *arg, const char *help)
{
  char text[64];
  bool letter = key > 0 && key < OPT_PID_FILE;

  snprintf (text, sizeof text, "%s%c%s--%s%s%s", letter ? "-" : "  ",
            letter ? key : ' ', letter ? ", " : " ", name, arg ? "=" : "",
            arg ? arg : "");
  printf ("  %-30s %s\n", text, help);
}

void
options_print_help (void)
{
  const rawview_option_info *info;

  printf ("rawviewfs: show VMDK and QCOW2 disk images as raw files\n"
          "\n"
          "Usage: rawviewfs [OPTION...] SOURCE MOUNTPOINT\n"
          "\n"
          "SOURCE is an image, an OVA, an NBD URI, or a folder of images.\n"
          "MOUNTPOINT is a regular file for one image, or a folder.\n"
          "Unmount with: fusermount3 -u MOUNTPOINT, or umount as root.\n"
          "\n"
          "Options:\n");
  for (size_t i = 0; i < OWN_COUNT; i++)
    print_option (own_options[i].key, own_options[i].name, own_options[i].arg,
                  own_options[i].help);
  printf ("  %-30s %s\n", "-o OPTION[,OPTION...]",
          "mount options: allow_other, ..., and those below");
  printf ("\n"
          "Options for the image, also as -o NAME=VALUE:\n");
  for (size_t i = 0; (info = rawview_option_get (i)) != NULL; i++)
    print_option (0, info->name, info->arg, info->help);
  printf (
      "\n"
      "Exit status: 0 ok; 1 I/O and other errors; 2 usage; 3 not an image;\n"
      "4 unsupported; 5 corrupt; 6 refused; 7 beyond a limit; "
      "8 out of memory.\n");
}

/*--- Options of the library ---------------------------------------------*/

static int
keep (char **field, const char *value, rawview_error *err)
{
  free (*field);
  *field = strdup (value);
  return *field != NULL ? 0 : error_nomem (err);
}

/* Overlays are to lie outside of the mount, so we remember where. */
static int
set_image_option (struct options *options, const char *name, const char *value,
                  rawview_error *err)
{
  if (rawview_options_set (options->image, name, value, err) == -1)
    return -1;
  if (strcmp (name, "overlay") == 0)
    return keep (&options->overlay, value, err);
  if (strcmp (name, "overlay-dir") == 0)
    return keep (&options->overlay_dir, value, err);
  return 0;
}

bool
options_want_writing (const struct options *options)
{
  return !options->ro && (options->rw || options->overlay != NULL ||
                          options->overlay_dir != NULL);
}

/*--- -o -----------------------------------------------------------------*/

static bool
is_library_option (const char *name)
{
  const rawview_option_info *info;

  for (size_t i = 0; (info = rawview_option_get (i)) != NULL; i++)
    if (strcmp (info->name, name) == 0)
      return true;
  return false;
}

static int
add_mount_option (struct options *options, const char *text, rawview_error *err)
{
  if (fuse_opt_add_arg (&options->mount, "-o") == -1 ||
      fuse_opt_add_arg (&options->mount, text) == -1)
    return error_nomem (err);
  return 0;
}

/* As in libfuse, a backslash makes the next character an ordinary one. */
static void
unescape (char *text)
{
  char *out = text;

  for (const char *in = text; *in != '\0'; in++) {
    if (in[0] == '\\' && in[1] != '\0')
      in++;
    *out++ = *in;
  }
  *out = '\0';
}

/* One of -o: ours are taken out, the others go on as they are. */
static int
parse_mount_option (struct options *options, char *text, rawview_error *err)
{
  char *equals = strchr (text, '=');
  int r;

  /* The last of ro and rw counts, but rw alone asks for nothing: mount(8) says
   * it where fstab does not.
   */
  if (strcmp (text, "ro") == 0 || strcmp (text, "rw") == 0) {
    options->ro = text[1] == 'o';
    return 0;
  }
  if (equals == NULL)
    return is_library_option (text)
               ? error_usage (err, "this option needs a value: %s" SEE_HELP,
                              text)
               : add_mount_option (options, text, err);

  *equals = '\0';
  if (is_library_option (text)) {
    unescape (equals + 1);
    r = set_image_option (options, text, equals + 1, err);
    *equals = '=';
    return r;
  }
  *equals = '=';
  return add_mount_option (options, text, err);
}

/* Bytes up to the next comma that is not escaped. */
static size_t
option_length (const char *text)
{
  size_t n = 0;

  while (text[n] != '\0' && text[n] != ',')
    n += text[n] == '\\' && text[n + 1] != '\0' ? 2 : 1;
  return n;
}

static int
parse_mount_options (struct options *options, const char *list,
                     rawview_error *err)
{
  for (;;) {
    size_t n = option_length (list);
    char *text = strndup (list, n);
    int r;

    if (text == NULL)
      return error_nomem (err);
    r = n > 0 ? parse_mount_option (options, text, err) : 0;
    free (text);
    if (r == -1)
      return -1;
    if (list[n] == '\0')
      return 0;
    list += n + 1;
  }
}

/*--- The whole line -----------------------------------------------------*/

static struct option *
new_long_options (void)
{
  size_t library = count_library_options ();
  struct option *table = calloc (OWN_COUNT + library + 1, sizeof *table);

  if (table == NULL)
    return NULL;
  for (size_t i = 0; i < OWN_COUNT; i++) {
    table[i].name = own_options[i].name;
    table[i].has_arg = own_options[i].arg ? required_argument : no_argument;
    table[i].val = own_options[i].key;
  }
  for (size_t i = 0; i < library; i++) {
    table[OWN_COUNT + i].name = rawview_option_get (i)->name;
    table[OWN_COUNT + i].has_arg = required_argument;
    table[OWN_COUNT + i].val = OPT_LIBRARY + (int) i;
  }
  return table;
}

static int
parse_option (struct options *options, int key, char *argv[],
              rawview_error *err)
{
  switch (key) {
  case 'f':
    options->foreground = true;
    return 0;
  case 's':
    options->single_threaded = true;
    return 0;
  case 'd':
    options->debug = options->foreground = true;
    return 0;
  case 'h':
    options->help = true;
    return 0;
  case 'V':
    options->version = true;
    return 0;
  case 'o':
    return parse_mount_options (options, optarg, err);
  case OPT_PID_FILE:
    options->pid_file = optarg;
    return 0;
  case OPT_RW:
    options->rw = true;
    return 0;
  case ':':
    return error_usage (err, "this option needs a value: %s" SEE_HELP,
                        argv[optind - 1]);
  case '?':
    return error_usage (err, "unknown option: %s" SEE_HELP, argv[optind - 1]);
  default:
    return set_image_option (
        options, rawview_option_get ((size_t) (key - OPT_LIBRARY))->name,
        optarg, err);
  }
}

static int
parse_options (struct options *options, int argc, char *argv[],
               rawview_error *err)
{
  struct option *table = new_long_options ();
  int key, r = 0;

  if (table == NULL)
    return error_nomem (err);
  opterr = 0;
  while (r == 0 &&
         (key = getopt_long (argc, argv, ":fsdhVo:", table, NULL)) != -1)
    r = parse_option (options, key, argv, err);
  free (table);
  return r;
}

static int
check_writing (struct options *options, rawview_error *err)
{
  const char *overlay = options->overlay != NULL       ? "--overlay"
                        : options->overlay_dir != NULL ? "--overlay-dir"
                                                       : NULL;

  if (options->rw && overlay != NULL)
    return error_usage (err,
                        "--rw and %s exclude each other: writes go into the "
                        "image or into its overlay" SEE_HELP,
                        overlay);
  if (options->rw && options->ro)
    return error_usage (err, "--rw and -o ro exclude each other" SEE_HELP);
  rawview_options_set_writable (options->image, options->rw && !options->ro);
  return 0;
}

int
options_parse (struct options *options, int argc, char *argv[],
               rawview_error *err)
{
  *options = (struct options){ .mount = FUSE_ARGS_INIT (0, NULL) };
  options->image = rawview_options_new ();
  if (options->image == NULL ||
      fuse_opt_add_arg (&options->mount, "rawviewfs") == -1)
    return error_nomem (err);

  if (parse_options (options, argc, argv, err) == -1)
    return -1;
  if (options->help || options->version)
    return 0;
  if (check_writing (options, err) == -1)
    return -1;

  switch (argc - optind) {
  case 2:
    options->source = argv[optind];
    options->mountpoint = argv[optind + 1];
    return 0;
  case 1:
    return error_usage (err, "MOUNTPOINT is missing" SEE_HELP);
  case 0:
    return error_usage (err, "SOURCE and MOUNTPOINT are missing" SEE_HELP);
  default:
    return error_usage (err, "too many arguments: %s" SEE_HELP,
                        argv[optind + 2]);
  }
}

void
options_release (struct options *options)
{
  free (options->overlay);
  free (options->overlay_dir);
  rawview_options_free (options->image);
  fuse_opt_free_args (&options->mount);
}
