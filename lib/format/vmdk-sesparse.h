/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The headers of a space-efficient sparse extent (createType seSparse), the
 * snapshot format of VMFS 6.  Not documented by VMware; what differs from the
 * one known shape is refused.
 */

#ifndef RV_VMDK_SESPARSE_H
#define RV_VMDK_SESPARSE_H

#include <rawview.h>

#include "format/vmdk-layout.h"
#include "util/bytes.h"

#define RV_VMDK_SESPARSE_LEN 512u

bool rv_vmdk_sesparse_probe (struct rv_view head);

/* head: the first RV_VMDK_SESPARSE_LEN bytes; file: for messages.
 * *volatile_off: where the second header, of the same length, lies.
 */
int rv_vmdk_sesparse_parse (struct rv_view head, uint64_t file_size,
                            const char *file, struct rv_vmdk_layout *layout,
                            uint64_t *volatile_off, rawview_error *err);
int rv_vmdk_sesparse_parse_volatile (struct rv_view head, const char *file,
                                     rawview_error *err);

#endif /* RV_VMDK_SESPARSE_H */
