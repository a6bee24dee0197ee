/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the fuzzer's bytes to files. */

#include "fuzz.h"

#include <sanitizer/asan_interface.h>
#include <stdarg.h>
#include <sys/mman.h>

#include "util/bytes.h"

#define RECORDS_MAX 20000u
#define PATCHES_MAX RECORDS_MAX

void
fuzz_fail (const char *fmt, ...)
{
  va_list args;

  fprintf (stderr, "FINDING: ");
  va_start (args, fmt);
  vfprintf (stderr, fmt, args);
  va_end (args);
  fprintf (stderr, "\n");
  abort ();
}

/*--- Records ------------------------------------------------------------*/

static uint64_t
little (const uint8_t *p, unsigned n)
{
  uint64_t v = 0;

  while (n-- > 0)
    v = v << 8 | p[n];
  return v;
}

/* How long the record's fixed part is, behind its tag; 0: no record. */
static size_t
fixed_len (uint8_t tag)
{
  switch (tag) {
  case 'F':
    return 1;
  case 'B':
    return 7;
  case 'S':
    return 5;
  case 'P':
    return 2;
  case 'O':
    return 12;
  default:
    return 0;
  }
}

static void
read_fixed (struct fuzz_record *r, uint8_t *p)
{
  r->payload = p + fixed_len (r->tag);
  switch (r->tag) {
  case 'F':
    r->payload_len = p[0];
    break;
  case 'B':
    r->file = p[0];
    r->off = little (p + 1, 4);
    r->payload_len = little (p + 5, 2);
    break;
  case 'S':
    r->file = p[0];
    r->off = little (p + 1, 4);
    break;
  case 'P':
    r->file = p[0];
    r->payload_len = p[1];
    break;
  default:
    break;
  }
}

bool
fuzz_record_next (uint8_t *data, size_t size, size_t *at, struct fuzz_record *r)
{
  size_t tail;

  while (*at < size && fixed_len (data[*at]) == 0)
    ++*at;
  if (*at >= size)
    return false;
  *r = (struct fuzz_record){ .tag = data[*at], .at = *at };
  r->len = 1 + fixed_len (r->tag);
  if (r->len > size - *at)
    return false;
  read_fixed (r, data + *at + 1);
  tail = r->tag == 'F' ? 4 : 0;
  if (r->payload_len + tail > size - *at - r->len)
    return false;
  r->len += r->payload_len + tail;
  if (r->tag == 'F')
    r->off = little (r->payload + r->payload_len, 4);
  *at += r->len;
  return true;
}

/*--- Files --------------------------------------------------------------*/

static struct fuzz_input input;

/* What to clear again. */
static struct patch {
  uint8_t *p;
  size_t len;
} patches[PATCHES_MAX];
static size_t nr_patches;

static void
poison (struct fuzz_file *f)
{
  ASAN_POISON_MEMORY_REGION (f->bytes + f->len, FUZZ_FILE_MAX - f->len);
}

static void
unpoison (struct fuzz_file *f)
{
  ASAN_UNPOISON_MEMORY_REGION (f->bytes + f->len, FUZZ_FILE_MAX - f->len);
}

static void
clear (void)
{
  for (unsigned i = 0; i < input.nr_files; i++)
    unpoison (&input.files[i]);
  while (nr_patches > 0) {
    nr_patches--;
    memset (patches[nr_patches].p, 0, patches[nr_patches].len);
  }
  input.nr_files = input.nr_ops = 0;
  memset (input.given, 0, sizeof input.given);
}

static void
copy_name (char *name, const struct fuzz_record *r)
{
  size_t n = rv_min_u64 (r->payload_len, FUZZ_NAME_MAX);

  memcpy (name, r->payload, n);
  name[n] = 0;
}

static void
add_file (const struct fuzz_record *r)
{
  struct fuzz_file *f = &input.files[input.nr_files];

  if (input.nr_files == FUZZ_FILES)
    return;
  if (f->bytes == NULL) {
    f->bytes = mmap (NULL, FUZZ_FILE_MAX, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    FUZZ_CHECK (f->bytes != MAP_FAILED, "mmap");
  }
  copy_name (f->name, r);
  f->len = rv_min_u64 (r->off, FUZZ_FILE_MAX);
  input.nr_files++;
}

static void
add_bytes (const struct fuzz_record *r)
{
  struct fuzz_file *f = &input.files[r->file % input.nr_files];
  size_t n = r->payload_len;

  if (r->off >= FUZZ_FILE_MAX || n == 0)
    return;
  n = rv_min_u64 (n, FUZZ_FILE_MAX - r->off);
  memcpy (f->bytes + r->off, r->payload, n);
  patches[nr_patches++] = (struct patch){ f->bytes + r->off, n };
}

static void
add_op (const struct fuzz_record *r)
{
  const uint8_t *p = r->payload - fixed_len ('O');

  if (input.nr_ops < FUZZ_OPS)
    input.ops[input.nr_ops++] = (struct fuzz_op){ .kind = p[0] % FUZZ_NR_OPS,
                                                  .off = little (p + 1, 6),
                                                  .len = little (p + 7, 4),
                                                  .value = p[11] };
}

static void
add_option (const struct fuzz_record *r)
{
  unsigned which = r->file % FUZZ_NR_OPTIONS;

  copy_name (input.options[which], r);
  input.given[which] = true;
}

static void
add_record (const struct fuzz_record *r)
{
  if (r->tag == 'F')
    add_file (r);
  else if (r->tag == 'O')
    add_op (r);
  else if (r->tag == 'P')
    add_option (r);
  else if (input.nr_files == 0)
    return;
  else if (r->tag == 'B')
    add_bytes (r);
  else
    input.files[r->file % input.nr_files].len =
        rv_min_u64 (r->off, FUZZ_FILE_MAX);
}

/* Bytes beyond a file's end are not its. */
static void
cut_files (void)
{
  for (size_t i = 0; i < nr_patches; i++)
    for (unsigned j = 0; j < input.nr_files; j++) {
      struct fuzz_file *f = &input.files[j];
      uint8_t *end = f->bytes + FUZZ_FILE_MAX, *cut = f->bytes + f->len;
      struct patch *p = &patches[i];

      if (p->p < f->bytes || p->p >= end || p->p + p->len <= cut)
        continue;
      cut = p->p > cut ? p->p : cut;
      memset (cut, 0, p->p + p->len - cut);
    }
}

const struct fuzz_input *
fuzz_input_read (const uint8_t *data, size_t size)
{
  struct fuzz_record r;
  size_t at = 0;

  clear ();
  for (unsigned i = 0; i < RECORDS_MAX; i++) {
    /* The records are only read here. */
    if (!fuzz_record_next ((uint8_t *) data, size, &at, &r))
      break;
    add_record (&r);
  }
  cut_files ();
  for (unsigned i = 0; i < input.nr_files; i++)
    poison (&input.files[i]);
  return &input;
}

void
fuzz_input_extend (uint64_t more)
{
  for (unsigned i = 0; i < input.nr_files; i++) {
    struct fuzz_file *f = &input.files[i];

    unpoison (f);
    f->len = rv_min_u64 (f->len + more, FUZZ_FILE_MAX);
    poison (f);
  }
}
