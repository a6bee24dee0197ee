/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changes a VMDK's descriptor, or other text, by lines and words. */

#include "fuzz.h"

static const char *const lines[] = {
  "# Disk DescriptorFile\n",
  "version=1\n",
  "version=4\n",
  "CID=fffffffe\n",
  "CID=123456789\n",
  "parentCID=ffffffff\n",
  "parentCID=00000001\n",
  "createType=\"monolithicSparse\"\n",
  "createType=\"vmfsSparse\"\n",
  "createType=\"seSparse\"\n",
  "createType=\"twoGbMaxExtentFlat\"\n",
  "parentFileNameHint=\"base.vmdk\"\n",
  "parentFileNameHint=\"C:\\\\vm\\\\base.vmdk\"\n",
  "encoding=\"UTF-8\"\n",
  "changeTrackPath=\"disk-ctk.vmdk\"\n",
  "RW 2048 FLAT \"disk-flat.vmdk\" 0\n",
  "RW 2048 SPARSE \"disk.vmdk\"\n",
  "RW 1 ZERO\n",
  "RDONLY 128 FLAT \"disk-flat.vmdk\" 128\n",
  "NOACCESS 63 ZERO\n",
  "RW 18014398509481984 VMFS \"disk-flat.vmdk\"\n",
  "RW 4096 SESPARSE \"disk-sesparse.vmdk\"\n",
  "RW 4096 VMFSSPARSE \"disk-delta.vmdk\"\n",
  "ddb.adapterType = \"lsilogic\"\n",
  "\r\n",
  "\t\n",
};

static const char *const words[] = {
  "0",
  "1",
  "-1",
  "2048",
  "4294967296",
  "36028797018963968",
  "18446744073709551615",
  "18446744073709551616",
  "0x10",
  "FLAT",
  "SPARSE",
  "ZERO",
  "VMFS",
  "RDONLY",
  "\"",
  "\"\"",
  "../x",
  "/dev/sda",
  "=",
  "\\",
};

#define COUNT(a) (sizeof (a) / sizeof (a)[0])

/* Where a line, chosen by chance, begins and how long it is. */
static size_t
choose_line (const char *text, size_t len, struct fuzz_rng *rng, size_t *n)
{
  size_t at = fuzz_random (rng, len + 1);
  const char *end;

  while (at > 0 && text[at - 1] != '\n')
    at--;
  end = memchr (text + at, '\n', len - at);
  *n = end ? (size_t) (end + 1 - (text + at)) : len - at;
  return at;
}

/* Replaces the n bytes at at. */
static size_t
replace (char *text, size_t len, size_t max, size_t at, size_t n,
         const char *by, size_t by_len)
{
  if (len - n + by_len > max)
    return len;
  memmove (text + at + by_len, text + at + n, len - at - n);
  memcpy (text + at, by, by_len);
  return len - n + by_len;
}

static bool
is_word (char c)
{
  return c != ' ' && c != '\n' && c != '=' && c != '"';
}

static size_t
replace_word (char *text, size_t len, size_t max, struct fuzz_rng *rng)
{
  size_t at = fuzz_random (rng, len + 1), n = 0;
  const char *by = words[fuzz_random (rng, COUNT (words))];

  while (at > 0 && is_word (text[at - 1]))
    at--;
  while (at + n < len && is_word (text[at + n]))
    n++;
  return replace (text, len, max, at, n, by, strlen (by));
}

static size_t
copy_line (char *text, size_t len, size_t max, struct fuzz_rng *rng)
{
  char line[200];
  size_t n, from = choose_line (text, len, rng, &n), to, unused;

  n = rv_min_u64 (n, sizeof line);
  memcpy (line, text + from, n);
  to = choose_line (text, len, rng, &unused);
  return replace (text, len, max, to, 0, line, n);
}

size_t
fuzz_text_mutate (char *text, size_t len, size_t max, struct fuzz_rng *rng)
{
  size_t n, at = choose_line (text, len, rng, &n);
  const char *line = lines[fuzz_random (rng, COUNT (lines))];

  switch (fuzz_random (rng, 8)) {
  case 0:
    return replace (text, len, max, at, n, "", 0);
  case 1:
    return replace (text, len, max, at, 0, line, strlen (line));
  case 2:
    return replace (text, len, max, at, n, line, strlen (line));
  case 3:
    return copy_line (text, len, max, rng);
  case 4:
    if (len > 0)
      text[fuzz_random (rng, len)] = fuzz_random (rng, 256);
    return len;
  case 5:
    if (len > 0)
      text[fuzz_random (rng, len)] ^= 0x20;
    return len;
  default:
    return replace_word (text, len, max, rng);
  }
}
