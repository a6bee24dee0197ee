/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Recognising a descriptor by its first bytes, also a sloppy one. */

#include <config.h>

#include "format/vmdk-descriptor.h"

enum looks { LOOKS_LIKE_IT, LOOKS_WRONG, LOOKS_POSSIBLE };

/* One line before the one that decides may be a comment, a key or an extent. */
static enum looks
look_at_line (struct rv_vmdk_span line)
{
  struct rv_vmdk_span key, value;
  uint32_t n;

  if (line.len == 0)
    return LOOKS_POSSIBLE;
  if (line.p[0] == '#') {
    line = rv_vmdk_trim (line.p + 1, line.len - 1);
    return rv_vmdk_span_is (line, "Disk DescriptorFile") ? LOOKS_LIKE_IT
                                                         : LOOKS_POSSIBLE;
  }
  if (rv_vmdk_is_extent_line (line))
    return LOOKS_POSSIBLE;
  if (!rv_vmdk_split_key (line, &key, &value) || !rv_vmdk_unquote (&value))
    return LOOKS_WRONG;
  if (rv_vmdk_span_is (key, "createType") ||
      (rv_vmdk_span_is (key, "CID") && rv_vmdk_parse_hex (value, &n)))
    return LOOKS_LIKE_IT;
  return LOOKS_POSSIBLE;
}

bool
rv_vmdk_descriptor_probe (struct rv_view head)
{
  struct rv_vmdk_span text = rv_vmdk_skip_byte_order_mark (head);
  enum looks looks = LOOKS_POSSIBLE;

  while (text.len > 0 && looks == LOOKS_POSSIBLE)
    looks = look_at_line (rv_vmdk_take_line (&text));
  return looks == LOOKS_LIKE_IT;
}
