/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The header of an ESX copy-on-write extent ("COWD", createType vmfsSparse). */

#ifndef RV_VMDK_COWD_H
#define RV_VMDK_COWD_H

#include <rawview.h>

#include "format/vmdk-layout.h"
#include "util/bytes.h"

#define RV_VMDK_COWD_LEN 2048u

bool rv_vmdk_cowd_probe (struct rv_view head);

/* head: the first RV_VMDK_COWD_LEN bytes; file: for messages. */
int rv_vmdk_cowd_parse (struct rv_view head, uint64_t file_size,
                        const char *file, struct rv_vmdk_layout *layout,
                        rawview_error *err);

#endif /* RV_VMDK_COWD_H */
