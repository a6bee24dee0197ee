/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "probe.h"
#include "util/test.h"

static uint8_t head[RV_PROBE_HEAD];
static struct rv_probe_result probe;

static void
put (size_t off, const char *bytes, size_t len)
{
  memcpy (head + off, bytes, len);
}

#define PUT(off, text) put (off, text, sizeof text - 1)

/* A file that begins so, and has zeros otherwise. */
static void
begin (const char *text, size_t len)
{
  memset (head, 0, sizeof head);
  put (0, text, len);
}

#define BEGIN(text) begin (text, sizeof text - 1)

static void
look (void)
{
  rv_probe_head ((struct rv_view){ head, sizeof head }, &probe);
}

/* One partition, from sector 63 on. */
static void
put_mbr (void)
{
  PUT (446, "\x80\x01\x01\x00\x83\xfe\xff\xff\x3f\x00\x00\x00\x00\x08\x00\x00");
  PUT (510, "\x55\xaa");
}

#define QCOW2 "QFI\xfb\0\0\0\3"
#define VMDK  "KDMV\1\0\0\0"
#define TEXT  "# Disk DescriptorFile\nversion=1\n"

static const struct {
  const char *bytes;
  size_t len;
  const char *name;
} images[] = {
  { QCOW2, sizeof QCOW2 - 1, "qcow2" },
  { VMDK, sizeof VMDK - 1, "vmdk" },
  { TEXT, sizeof TEXT - 1, "vmdk" },
};

#define NR_IMAGES (sizeof images / sizeof images[0])

/*--- One thing ----------------------------------------------------------*/

static void
images_are_called_by_their_name (void)
{
  for (size_t i = 0; i < NR_IMAGES; i++) {
    begin (images[i].bytes, images[i].len);
    look ();
    CHECK_STR_EQ (rv_probe_image_name (&probe), images[i].name);
    CHECK (probe.format && probe.second == NULL && !probe.ova);
  }
}

static void
what_is_not_read_is_called_by_its_name (void)
{
  static const struct {
    size_t off;
    const char *text, *name;
  } foreign[] = {
    { 0, "vhdxfile", "VHDX" },
    { 0, "conectix", "VHD" },
    { 0, "LUKS\xba\xbe", "LUKS" },
    { 0, "WithoutFreeSpace", "Parallels" },
    { 0, "WithouFreSpacExt", "Parallels" },
    { 0, "Bochs Virtual HD Image", "Bochs" },
    { 0, "#!/bin/sh\n#V2.0 Format\n", "cloop" },
    { 64, "\x7f\x10\xda\xbe", "VDI" },
  };

  for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
    memset (head, 0, sizeof head);
    put (foreign[i].off, foreign[i].text, strlen (foreign[i].text));
    look ();
    CHECK_STR_EQ (rv_probe_image_name (&probe), foreign[i].name);
    CHECK (probe.format == NULL && !probe.raw_disk && probe.second == NULL);
  }
}

static void
what_raw_disks_have_is_no_image (void)
{
  memset (head, 0, sizeof head);
  put_mbr ();
  look ();
  CHECK_STR_EQ (probe.foreign, "MBR");
  CHECK (probe.raw_disk && rv_probe_image_name (&probe) == NULL);
  PUT (512, "EFI PART");
  PUT (32769, "CD001");
  look ();
  CHECK (probe.raw_disk && probe.second == NULL);
  CHECK (rv_probe_image_name (&probe) == NULL);
}

static void
a_boot_sector_of_a_file_system_is_no_partition_table (void)
{
  memset (head, 0, sizeof head);
  PUT (510, "\x55\xaa");
  look ();
  CHECK (probe.foreign == NULL); /* no partition */
  put_mbr ();
  head[462] = 'N'; /* of "NTLDR is missing", say */
  look ();
  CHECK (probe.foreign == NULL);
  head[462] = 0;
  head[450] = 0; /* the type: unused */
  look ();
  CHECK (probe.foreign == NULL);
}

/* A fault in the size check would read beyond the view. */
static void
short_files_are_looked_at_as_far_as_they_go (void)
{
  BEGIN (QCOW2);
  put_mbr ();
  PUT (512, "EFI PART");
  for (size_t len = 0; len < 600; len++) {
    uint8_t *copy = malloc (len + 1);

    memcpy (copy, head, len);
    rv_probe_head ((struct rv_view){ copy, len }, &probe);
    CHECK ((probe.second != NULL) == (len >= 512));
    free (copy);
  }
}

/*--- Two things ---------------------------------------------------------*/

static void
an_image_that_is_something_else_too_is_two_things (void)
{
  static const struct {
    size_t off;
    const char *text, *name;
  } also[] = {
    { 257, "ustar", "tar" },
    { 512, "EFI PART", "GPT" },
    { 32769, "CD001", "ISO 9660" },
    { 32769, "BEA01", "UDF" },
  };

  for (size_t i = 0; i < NR_IMAGES; i++) {
    for (size_t j = 0; j < sizeof also / sizeof also[0]; j++) {
      begin (images[i].bytes, images[i].len);
      put (also[j].off, also[j].text, strlen (also[j].text));
      look ();
      CHECK_STR_EQ (probe.format->name, images[i].name);
      CHECK_STR_EQ (probe.second, also[j].name);
      CHECK (!probe.ova);
    }
    begin (images[i].bytes, images[i].len);
    put_mbr ();
    look ();
    CHECK_STR_EQ (probe.format->name, images[i].name);
    CHECK_STR_EQ (probe.second, "MBR");
  }
}

static void
a_vdi_that_begins_like_a_vmdk_is_two_things (void)
{
  BEGIN (VMDK);
  PUT (64, "\x7f\x10\xda\xbe");
  look ();
  CHECK_STR_EQ (probe.second, "VDI");
  BEGIN ("conectix");
  PUT (64, "\x7f\x10\xda\xbe");
  look ();
  CHECK_STR_EQ (probe.second, "VDI");
}

static void
a_qcow2_with_the_descriptor_of_a_vmdk_is_two_things (void)
{
  BEGIN (QCOW2);
  PUT (512, "# Disk DescriptorFile\n");
  look ();
  CHECK_STR_EQ (probe.format->name, "qcow2");
  CHECK_STR_EQ (probe.second, "vmdk");
  BEGIN (VMDK);
  PUT (512, "# Disk DescriptorFile\n");
  look ();
  CHECK (probe.second == NULL);
}

static void
an_archive_that_is_a_disk_too_is_two_things (void)
{
  BEGIN ("vm.ovf");
  PUT (257, "ustar");
  look ();
  CHECK (probe.ova && probe.second == NULL);
  put_mbr ();
  look ();
  CHECK (probe.ova);
  CHECK_STR_EQ (probe.second, "MBR");
}

int
main (void)
{
  TEST (images_are_called_by_their_name);
  TEST (what_is_not_read_is_called_by_its_name);
  TEST (what_raw_disks_have_is_no_image);
  TEST (a_boot_sector_of_a_file_system_is_no_partition_table);
  TEST (short_files_are_looked_at_as_far_as_they_go);
  TEST (an_image_that_is_something_else_too_is_two_things);
  TEST (a_vdi_that_begins_like_a_vmdk_is_two_things);
  TEST (a_qcow2_with_the_descriptor_of_a_vmdk_is_two_things);
  TEST (an_archive_that_is_a_disk_too_is_two_things);
  return test_result ();
}
