/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the commands share: how they are declared, errors, output.
 *
 * A command is a table entry and a function.  The table drives parsing and
 * --help alike, so that the two cannot disagree.
 */

#ifndef CLI_H
#define CLI_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <rawview.h>

/*--- Commands and options -----------------------------------------------*/

/* A growing list of texts.  Whose they are is for its user to say. */
struct cli_list {
  const char **items;
  size_t len;
};

/* Says on stderr that memory is short and exits: nothing has been begun where
 * this is called.
 */
void cli_list_add (struct cli_list *list, const char *item);

/* Frees the list with its texts, all of which cli_format has made. */
void cli_list_free (struct cli_list *list);

/* What an option does with its value, and the type of the field that takes
 * it.
 */
enum cli_type {
  CLI_FLAG,     /* bool */
  CLI_TEXT,     /* const char * */
  CLI_OPTIONAL, /* const char *, "" if given without a value */
  CLI_NUMBER,   /* unsigned, not 0 */
  CLI_SIZE,     /* uint64_t: bytes, with a suffix such as k or M */
  CLI_LIST,     /* struct cli_list, may be given again and again */
};

struct cli_option {
  const char *name;
  char letter;     /* 0: has no short form */
  const char *arg; /* as in the synopsis, NULL for flags */
  const char *help;
  enum cli_type type;
  size_t offset; /* of the field in the command's values */
};

struct cli_command;

struct cli_args {
  const struct cli_command *cmd;
  char **operands;
  size_t n_operands;
  rawview_options *options; /* those of the library */
  struct cli_list passed;   /* the same as "NAME=VALUE", to pass them on */
  void *values;             /* the command's own struct */
};

struct cli_command {
  const char *name;
  const char *operands; /* as in the synopsis */
  const char *summary;  /* one sentence, no full stop */
  const struct cli_option *options;
  size_t n_options;
  size_t values_size;
  size_t min_operands, max_operands;
  int usage_status; /* 0: the usual one */
  /* Returns the exit status. */
  int (*run) (const struct cli_args *args);
  /* Instead of all that: does its own parsing, argv[0] is the name. */
  int (*run_raw) (int argc, char **argv);
};

#define CLI_COUNT(array) (sizeof (array) / sizeof (array)[0])

extern const struct cli_command cmd_check;
extern const struct cli_command cmd_copy;
extern const struct cli_command cmd_import;
extern const struct cli_command cmd_info;
extern const struct cli_command cmd_inject;
extern const struct cli_command cmd_inspect;
extern const struct cli_command cmd_map;
extern const struct cli_command cmd_mount;
extern const struct cli_command cmd_serve;

enum cli_parsed { CLI_RUN, CLI_SHOWN_HELP, CLI_WRONG_USAGE };

/* argv[0] is the command's name.  Whatever is wrong has been said on stderr,
 * help on stdout.  args must be given to cli_args_free in every case.
 */
enum cli_parsed cli_parse (const struct cli_command *cmd, int argc, char **argv,
                           struct cli_args *args);
void cli_args_free (struct cli_args *args);

void cli_print_help (const struct cli_command *cmd);

/* Does the command, or the library where the command takes its options, know
 * this name?
 */
bool cli_command_has_option (const struct cli_command *cmd, const char *name);

/*--- Errors -------------------------------------------------------------*/

/* Every failure is one line, "rawview: ...", on stderr.  The exit status is
 * the kind's number.
 */
int cli_fail (const rawview_error *err);
int cli_failf (rawview_error_kind kind, const char *fmt, ...)
    __attribute__ ((format (printf, 2, 3)));

/* Fills *err and returns -1; errnum 0 stands for EINVAL. */
int cli_error_set (rawview_error *err, rawview_error_kind kind, int errnum,
                   const char *fmt, ...)
    __attribute__ ((format (printf, 4, 5)));

/* Of a failed system call: "WHAT: strerror (errnum)". */
int cli_error_errno (rawview_error *err, int errnum, const char *fmt, ...)
    __attribute__ ((format (printf, 3, 4)));

/* The status to return after output: 0, or that stdout could not be written,
 * said on stderr.
 */
int cli_finish_output (void);

/*--- The sandbox --------------------------------------------------------*/

/* To be called when everything is open.  image: what the command works on; or
 * exports; or neither.  removes: NULL, or files that may have to be removed,
 * NULL at the end. What is missing on this machine is for "info" and
 * "--features" to tell.
 */
int cli_enter_sandbox (const rawview_options *options,
                       const rawview_image *image, rawview_exports *exports,
                       const char *const *removes, rawview_sandbox *state,
                       rawview_error *err);

/*--- Text ---------------------------------------------------------------*/

/* "10", "64k", "1.5G" */
bool cli_parse_size (const char *text, uint64_t *size);

/* "1.26 MiB", in the manner of qemu-img.  Returns buf. */
#define CLI_SIZE_MAX 24
char *cli_format_size (uint64_t bytes, char buf[CLI_SIZE_MAX]);

/* printf into fresh memory; says so and exits when memory is short. */
char *cli_format (const char *fmt, ...) __attribute__ ((format (printf, 1, 2)));

/* The path from the root of the file system, to be freed; NULL: *err. */
char *cli_absolute_path (const char *path, rawview_error *err);

/* What comes after the last slash, and the folder that this is in, to be freed.
 */
const char *cli_base_name (const char *path);
char *cli_folder_of (const char *path);

/* Prints text with the characters that XML reserves written as entities. */
void cli_write_xml (FILE *out, const char *text);
void cli_print_xml (const char *text);

/* The bytes of the UTF-8 character at s; 0 if it is none. */
size_t cli_utf8_length (const char *s);

/* Is the character, of len bytes, none that does something to a terminal or to
 * a line?
 */
bool cli_is_printable (const char *s, size_t len);

/* Replaces all others by question marks, with their bytes. */
void cli_make_printable (char *text);

/* Fresh memory; keep: what may stay besides letters and digits. */
char *cli_percent_encode (const char *text, const char *keep);

/* The URI of an export, in fresh memory. */
char *cli_nbd_unix_uri (const char *socket, const char *name);

/* How the i-th disk, from 0, is told from others: "a", ..., "z", "aa", ...
 * Returns where it is in buf.
 */
#define CLI_DISK_LETTERS_MAX 16
const char *cli_disk_letters (size_t i, char buf[CLI_DISK_LETTERS_MAX]);

/* Is it an NBD URI rather than a file name? */
bool cli_is_nbd_uri (const char *text);

/*--- Signals ------------------------------------------------------------*/

/* Blocks the signals that ask a program to end, and puts them into set.  Those
 * that the caller has us ignore, as nohup(1) does, stay ignored.
 */
void cli_block_signals (sigset_t *set);

/*--- Facts --------------------------------------------------------------*/

/* The fact of this key, NULL if the image has none. */
const rawview_fact *cli_fact (const rawview_image *image, unsigned depth,
                              const char *key);
/* Its text, or "" */
const char *cli_fact_text (const rawview_image *image, unsigned depth,
                           const char *key);

/*--- Scope frees things -------------------------------------------------*/

static inline void
cli_cleanup_free (void *pp)
{
  free (*(void **) pp);
}

static inline void
cli_cleanup_image (rawview_image **image)
{
  rawview_close (*image);
}

static inline void
cli_cleanup_exports (rawview_exports **exports)
{
  rawview_exports_free (*exports);
}

#define CLEANUP_FREE    __attribute__ ((cleanup (cli_cleanup_free)))
#define CLEANUP_IMAGE   __attribute__ ((cleanup (cli_cleanup_image)))
#define CLEANUP_EXPORTS __attribute__ ((cleanup (cli_cleanup_exports)))

#endif /* CLI_H */
