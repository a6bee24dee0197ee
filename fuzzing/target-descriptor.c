/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz-vmdk-descriptor: the text of a VMDK.  The input is the text. */

#include "fuzz.h"

#include "format/vmdk-descriptor.h"

static void
look_at_line (const struct rv_vmdk_line *line, uint64_t *sum)
{
  FUZZ_CHECK (
      line->len > 0 && line->len < 1ull << 63 && line->host_off < 1ull << 63,
      "an extent of %" PRIu64 " bytes at %" PRIu64, line->len, line->host_off);
  FUZZ_CHECK (line->name == NULL || strlen (line->name) <= RV_VMDK_NAME_MAX,
              "a name of %zu bytes", strlen (line->name));
  fuzz_check_text (rv_vmdk_type_name (line->type));
  FUZZ_CHECK (rv_add_u64 (*sum, line->len, sum), "the sizes overflow");
}

static void
look_at (const struct rv_vmdk_descriptor *d)
{
  uint64_t sum = 0;

  FUZZ_CHECK (d->extents.len > 0 && d->extents.len <= RV_MAX_EXTENTS,
              "%zu extents", d->extents.len);
  for (size_t i = 0; i < d->extents.len; i++)
    look_at_line (&d->extents.ptr[i], &sum);
  FUZZ_CHECK (sum == d->size && sum < 1ull << 63,
              "a size of %" PRIu64 ", not %" PRIu64, d->size, sum);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  struct rv_vmdk_descriptor d;
  struct rv_view text = { data, size };
  rawview_error err = { 0 };

  rv_vmdk_descriptor_probe (text);
  if (rv_vmdk_descriptor_parse (text, "text", &d, &err) == -1)
    fuzz_check_error (&err);
  else {
    look_at (&d);
    rv_vmdk_descriptor_release (&d);
  }
  return 0;
}

size_t
LLVMFuzzerCustomMutator (uint8_t *data, size_t size, size_t max_size,
                         unsigned seed)
{
  struct fuzz_rng rng = { seed * 0x9e3779b97f4a7c15u + 1 };

  if (size == 0 || fuzz_random (&rng, 4) == 0)
    return LLVMFuzzerMutate (data, size, max_size);
  return fuzz_text_mutate ((char *) data, size, max_size, &rng);
}
