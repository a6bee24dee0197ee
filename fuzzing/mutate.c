/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changes an input where it matters: fields, requests, sizes, records. */

#include "fuzz.h"

#include "util/bytes.h"

struct buffer {
  uint8_t *data;
  size_t size, max;
  struct fuzz_rng rng;
};

static uint64_t
below (struct buffer *b, uint64_t n)
{
  return fuzz_random (&b->rng, n);
}

/*--- Records ------------------------------------------------------------*/

static void
append (struct buffer *b, const uint8_t *bytes, size_t n)
{
  if (n > b->max - b->size)
    return;
  memcpy (b->data + b->size, bytes, n);
  b->size += n;
}

static void
cut_out (struct buffer *b, size_t at, size_t n)
{
  memmove (b->data + at, b->data + at + n, b->size - at - n);
  b->size -= n;
}

/* A record of that tag (0: any), chosen by chance. */
static bool
choose_record (struct buffer *b, uint8_t tag, struct fuzz_record *chosen)
{
  struct fuzz_record r;
  size_t at = 0;
  unsigned n = 0;

  while (fuzz_record_next (b->data, b->size, &at, &r))
    if ((tag == 0 || r.tag == tag) && below (b, ++n) == 0)
      *chosen = r;
  return n > 0;
}

/* Sets n bytes of a file: in the last record that has them all, or in a new
 * one.
 */
static void
patch (struct buffer *b, unsigned file, uint64_t off, const uint8_t *bytes,
       size_t n)
{
  uint8_t head[8] = { 'B', file };
  struct fuzz_record r, last = { 0 };
  size_t at = 0;

  if (off >= FUZZ_FILE_MAX || n > UINT16_MAX)
    return;
  while (fuzz_record_next (b->data, b->size, &at, &r))
    if (r.tag == 'B' && r.file == file &&
        rv_ranges_overlap (off, n, r.off, r.payload_len))
      last = r;
  if (last.tag && off >= last.off &&
      rv_range_fits (off - last.off, n, last.payload_len)) {
    memcpy (last.payload + (off - last.off), bytes, n);
    return;
  }
  if (sizeof head + n > b->max - b->size)
    return;
  rv_put_le32 (head + 2, off);
  rv_put_le16 (head + 6, n);
  append (b, head, sizeof head);
  append (b, bytes, n);
}

/*--- Fields -------------------------------------------------------------*/

/* A place in the file, or just outside, in the field's unit. */
static uint64_t
some_place (struct buffer *b, const struct fuzz_file *f,
            const struct fuzz_field *field)
{
  uint64_t units = f->len / field->unit + 2;
  uint64_t place = below (b, units) * field->unit;

  if (below (b, 8) == 0)
    place = f->len;
  if (below (b, 8) == 0)
    place += SECTOR * below (b, 8);
  return place / field->per;
}

static uint64_t
new_value (struct buffer *b, const struct fuzz_file *f,
           const struct fuzz_field *field, uint64_t old)
{
  uint64_t flags = old & 0xc000000000000001u;
  uint64_t step = field->unit / field->per;

  switch (below (b, 12)) {
  case 0:
    return 0;
  case 1:
    return UINT64_MAX >> below (b, 64);
  case 2:
    return 1ull << below (b, 64);
  case 3:
    return old ^ 1ull << below (b, field->width * 8);
  case 4:
    return old + 1 + below (b, 3);
  case 5:
    return old - 1 - below (b, 3);
  case 6:
    return old + step * (1 + below (b, 3));
  case 7:
    return old - step;
  case 8:
    return old * 2;
  case 9:
    return below (b, 1ull << 40);
  default:
    return some_place (b, f, field) | (below (b, 2) ? flags : 0);
  }
}

static void
encode (uint8_t *p, const struct fuzz_field *field, uint64_t value)
{
  for (unsigned i = 0; i < field->width; i++)
    p[field->big_endian ? field->width - 1 - i : i] = value >> 8 * i;
}

/* Octal digits, mostly. */
static void
encode_tar (struct buffer *b, uint8_t *p, unsigned width)
{
  for (unsigned i = 0; i < width; i++)
    p[i] = '0' + below (b, below (b, 20) ? 8 : 128);
}

/* Else every change of a header would only be a wrong checksum. */
static void
repair_checksum (struct buffer *b, unsigned file, const struct fuzz_file *f,
                 const struct fuzz_field *field, const uint8_t *bytes)
{
  uint64_t in = field->off - field->block;
  char text[9];
  unsigned sum = 0;

  if (!field->is_tar || in >= SECTOR || below (b, 16) == 0)
    return;
  for (unsigned i = 0; i < SECTOR; i++)
    if (i >= 148 && i < 156)
      sum += ' ';
    else if (i >= in && i < in + field->width)
      sum += bytes[i - in];
    else
      sum += f->bytes[field->block + i];
  snprintf (text, sizeof text, "%06o", sum & 0777777);
  text[7] = ' ';
  patch (b, file, field->block + 148, (uint8_t *) text, 8);
}

static bool
choose_field (struct buffer *b, const struct fuzz_file *f,
              struct fuzz_field *field)
{
  if (below (b, 2) && fuzz_tar_field (f, &b->rng, field))
    return true;
  return fuzz_qcow2_field (f, &b->rng, field) ||
         fuzz_vmdk_field (f, &b->rng, field) ||
         fuzz_esx_field (f, &b->rng, field);
}

static void
change_field (struct buffer *b, unsigned file, const struct fuzz_file *f)
{
  struct fuzz_field field;
  uint8_t bytes[8];

  if (!choose_field (b, f, &field) || field.off >= FUZZ_FILE_MAX)
    return;
  if (field.is_tar)
    encode_tar (b, bytes, field.width);
  else
    encode (bytes, &field,
            new_value (b, f, &field,
                       fuzz_get (f, field.off, field.width, field.big_endian)));
  patch (b, file, field.off, bytes, field.width);
  repair_checksum (b, file, f, &field, bytes);
}

static void
change_text (struct buffer *b, unsigned file, const struct fuzz_file *f)
{
  static char text[64 << 10];
  uint64_t off;
  size_t len, used, max;

  if (!fuzz_vmdk_text (f, &off, &len))
    return;
  max = off == 0 ? rv_min_u64 (sizeof text, len + 256) : len;
  memset (text, 0, max);
  memcpy (text, f->bytes + off, len);
  used = fuzz_text_mutate (text, strnlen (text, len), max, &b->rng);
  memset (text + used, 0, max - used);
  patch (b, file, off, (uint8_t *) text, off == 0 ? used : len);
  if (off == 0) {
    uint8_t size[6] = { 'S', file };

    rv_put_le32 (size + 2, used);
    append (b, size, sizeof size);
  }
}

/*--- Other changes ------------------------------------------------------*/

static void
change_size (struct buffer *b, unsigned file, const struct fuzz_file *f)
{
  static const int32_t steps[] = { -65536, -512, -1, 1, 512, 65536, 1 << 20 };
  uint8_t size[6] = { 'S', file };
  uint64_t len = f->len + steps[below (b, sizeof steps / sizeof steps[0])];

  rv_put_le32 (size + 2, below (b, 4) ? len : below (b, f->len + 1));
  append (b, size, sizeof size);
}

/* A whole piece of the file comes once more, somewhere else. */
static void
copy_piece (struct buffer *b, unsigned file, const struct fuzz_file *f)
{
  uint64_t len = SECTOR << below (b, 4);
  uint64_t sectors = f->len / SECTOR + 1, from = below (b, sectors) * SECTOR;

  if (rv_range_fits (from, len, f->len))
    patch (b, file, below (b, sectors) * SECTOR, f->bytes + from, len);
}

static void
change_ops (struct buffer *b)
{
  uint8_t op[13] = { 'O' };
  struct fuzz_record r;

  if (below (b, 4) == 0 && choose_record (b, 'O', &r)) {
    cut_out (b, r.at, r.len);
    return;
  }
  op[1] = below (b, 3) ? below (b, 5) : below (b, FUZZ_NR_OPS);
  rv_put_le32 (op + 2, below (b, 1 << 20) << below (b, 6));
  rv_put_le32 (op + 8, below (b, 1ull << (9 + below (b, 11))));
  if (below (b, 2)) {
    op[2] = 0;
    op[3] &= 0xf0;
    rv_put_le32 (op + 8, (512ull << below (b, 10)) - 1);
  }
  op[12] = below (b, 3) ? below (b, 256) : 0;
  if (choose_record (b, 'O', &r) && below (b, 2))
    memcpy (b->data + r.at, op, sizeof op);
  else
    append (b, op, sizeof op);
}

static void
change_payload (struct buffer *b)
{
  struct fuzz_record r;

  if (choose_record (b, 'B', &r) && r.payload_len > 0)
    LLVMFuzzerMutate (r.payload, r.payload_len, r.payload_len);
}

static void
change_record (struct buffer *b)
{
  struct fuzz_record r;

  if (!choose_record (b, 0, &r))
    return;
  if (below (b, 3) == 0)
    append (b, b->data + r.at, r.len);
  else if (r.tag != 'F')
    cut_out (b, r.at, r.len);
}

static void
change (struct buffer *b)
{
  const struct fuzz_input *input = fuzz_input_read (b->data, b->size);
  const struct fuzz_file *f;
  unsigned what = below (b, 32), file;

  if (input->nr_files == 0)
    return;
  file = below (b, 3) ? 0 : below (b, input->nr_files);
  f = &input->files[file];
  if (what < 19)
    change_field (b, file, f);
  else if (what < 21)
    change_text (b, file, f);
  else if (what < 22)
    change_size (b, file, f);
  else if (what < 23)
    copy_piece (b, file, f);
  else if (what < 27)
    change_ops (b);
  else if (what < 29)
    change_payload (b);
  else if (what < 30)
    change_record (b);
  else
    b->size = LLVMFuzzerMutate (b->data, b->size, b->max);
}

size_t
LLVMFuzzerCustomMutator (uint8_t *data, size_t size, size_t max_size,
                         unsigned seed)
{
  struct buffer b = {
    data, size, max_size, { seed * 0x9e3779b97f4a7c15u + 1 }
  };
  unsigned changes = 1 + below (&b, below (&b, 3) ? 2 : 8);

  while (changes-- > 0)
    change (&b);
  return b.size;
}
