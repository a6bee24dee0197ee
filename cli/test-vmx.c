/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "util/test.h"
#include "vmx.h"

static struct machine m;
static rawview_error err;

static int
parse (const char *text)
{
  machine_clear (&m);
  err = (rawview_error){ 0 };
  return vmx_parse ("vm.vmx", text, strlen (text), &m, &err);
}

static void
refused (const char *text, rawview_error_kind kind, const char *pattern)
{
  CHECK_EQ_INT (parse (text), -1);
  CHECK_ERROR (err, kind, pattern);
}

static void
disk_is (size_t i, const char *file, enum machine_bus bus)
{
  REQUIRE (i < m.n_disks);
  CHECK_STR_EQ (m.disks[i].name, file);
  CHECK_EQ_INT (m.disks[i].bus, bus);
}

#define PRESENT(device, file) \
  device ".present = \"TRUE\"\n" device ".fileName = \"" file "\"\n"

static void
a_machine_is_read (void)
{
  CHECK_OK (
      parse (
          ".encoding = \"UTF-8\"\n"
          "config.version = \"8\"\n"
          "displayName = \"web server\"\r\n"
          "memsize = \"2048\"\n"
          "numvcpus = \"4\"\n"
          "firmware = \"efi\"\n"
          "uefi.secureBoot.enabled = \"TRUE\"\n"
          "guestOS = \"debian11-64\"\n" PRESENT (
              "scsi0:0",
              "vm.vmdk") "scsi0.virtualDev = \"pvscsi\"\n"
                         "ethernet0.present = \"TRUE\"\n"
                         "ethernet0.networkName = \"VM Network\"\n"
                         "ethernet0.virtualDev = \"vmxnet3\"\n"
                         "ethernet0.generatedAddress = \"00:0C:29:12:34:56\"\n"
                         "ethernet1.present = \"TRUE\"\n"
                         "ethernet1.connectionType = \"nat\"\n"
                         "ethernet1.address = \"00:50:56:00:00:01\"\n"
                         "ethernet1.generatedAddress = \"00:0c:29:00:00:02\"\n"
                         "ethernet2.present = \"FALSE\"\n"),
      err);
  CHECK_STR_EQ (m.name, "web server");
  CHECK_EQ_U64 (m.memory, UINT64_C (2) << 30);
  CHECK_EQ_INT (m.cpus, 4);
  CHECK_EQ_INT (m.firmware, MACHINE_FIRMWARE_UEFI);
  CHECK (m.secure_boot);
  CHECK_STR_EQ (m.os, "debian11-64");
  CHECK_EQ_U64 (m.n_disks, 1);
  disk_is (0, "vm.vmdk", MACHINE_BUS_SCSI);
  REQUIRE (m.n_nics == 2);
  CHECK_STR_EQ (m.nics[0].network, "VM Network");
  CHECK_STR_EQ (m.nics[0].model, "vmxnet3");
  CHECK_STR_EQ (m.nics[0].mac, "00:0c:29:12:34:56");
  CHECK_STR_EQ (m.nics[1].network, "nat");
  CHECK (m.nics[1].model == NULL);
  CHECK_STR_EQ (m.nics[1].mac, "00:50:56:00:00:01");
}

static void
disks_are_in_order (void)
{
  CHECK_OK (parse (PRESENT ("nvme0:0", "f") PRESENT ("ide1:0", "e")
                       PRESENT ("sata0:1", "d") PRESENT ("scsi1:0", "c")
                           PRESENT ("scsi0:10", "b") PRESENT ("scsi0:9", "a")),
            err);
  CHECK_EQ_U64 (m.n_disks, 6);
  disk_is (0, "a", MACHINE_BUS_SCSI);
  disk_is (1, "b", MACHINE_BUS_SCSI);
  disk_is (2, "c", MACHINE_BUS_SCSI);
  disk_is (3, "d", MACHINE_BUS_SATA);
  disk_is (4, "e", MACHINE_BUS_IDE);
  disk_is (5, "f", MACHINE_BUS_NVME);
}

static void
the_firmwares_order_comes_first (void)
{
  CHECK_OK (parse (PRESENT ("scsi0:0", "a") PRESENT ("sata0:0", "b")
                       PRESENT ("ide0:0", "c") "bios.hddOrder = "
                                               "\"ide0:0, sata0:0\"\n"),
            err);
  CHECK_EQ_U64 (m.n_disks, 3);
  disk_is (0, "c", MACHINE_BUS_IDE);
  disk_is (1, "b", MACHINE_BUS_SATA);
  disk_is (2, "a", MACHINE_BUS_SCSI);
}

static void
only_disks_that_are_there_count (void)
{
  CHECK_OK (
      parse (PRESENT (
          "ide1:0",
          "cd.iso") "ide1:0.deviceType = "
                    "\"cdrom-image\"\n" PRESENT (
                        "sata0:1",
                        "auto detect") "sata0:1.deviceType "
                                       "= "
                                       "\"atapi-cdrom\"\n"
                                       "scsi0:0.fileName = "
                                       "\"unsaid.vmdk\"\n"
                                       "scsi0:1.present = "
                                       "\"FALSE\"\n"
                                       "scsi0:1.fileName = "
                                       "\"absent."
                                       "vmdk\"\n" PRESENT (
                                           "scsi0:2",
                                           "here.vmdk") "scs"
                                                        "i0:"
                                                        "2."
                                                        "dev"
                                                        "ice"
                                                        "Typ"
                                                        "e "
                                                        "= "
                                                        "\"s"
                                                        "csi"
                                                        "-ha"
                                                        "rdD"
                                                        "isk"
                                                        "\""
                                                        "\n" PRESENT (
                                                            "floppy0",
                                                            "floppy.img")),
      err);
  CHECK_EQ_U64 (m.n_disks, 1);
  disk_is (0, "here.vmdk", MACHINE_BUS_SCSI);
}

static void
keys_have_no_case_and_the_last_one_counts (void)
{
  CHECK_OK (parse ("DISPLAYNAME = \"a\"\ndisplayname = \"b\"\n"
                   "SCSI0:0.PRESENT = \"true\"\nScsi0:0.FileName=\"x\"\n"
                   "scsi0:0.filename = \"y\"\n"),
            err);
  CHECK_STR_EQ (m.name, "b");
  CHECK_EQ_U64 (m.n_disks, 1);
  disk_is (0, "y", MACHINE_BUS_SCSI);
}

static void
lines_may_be_written_oddly (void)
{
  CHECK_OK (parse ("\xef\xbb\xbf  # a comment = \"1\"\n\n"
                   "#!/usr/bin/vmware\n"
                   "  displayName=\"a |22b|22 |7C\" # c\r\n"
                   "memSize = 64\n"
                   "no setting\n"
                   "guestOS = \"cut"),
            err);
  CHECK_STR_EQ (m.name, "a \"b\" |");
  CHECK_EQ_U64 (m.memory, 64 << 20);
  CHECK_STR_EQ (m.os, "cut");
}

static void
other_encodings_are_windows_1252 (void)
{
  CHECK_OK (parse ("displayName = \"B\xfcro \x80\"\n"), err);
  CHECK_STR_EQ (m.name, "B\xc3\xbcro \xe2\x82\xac");
  CHECK_OK (parse ("displayName = \"B\xc3\xbcro\"\n"), err);
  CHECK_STR_EQ (m.name, "B\xc3\xbcro");
}

static void
without_a_word_it_is_bios (void)
{
  CHECK_OK (parse ("displayName = \"vm\"\n"), err);
  CHECK_EQ_INT (m.firmware, MACHINE_FIRMWARE_BIOS);
  CHECK (!m.secure_boot);
  CHECK_EQ_U64 (m.memory, 0);
}

static void
what_is_no_vmx_is_refused (void)
{
  err = (rawview_error){ 0 };
  CHECK_EQ_INT (vmx_parse ("vm.vmx", "a\0b", 3, &m, &err), -1);
  CHECK_ERROR (err, RAWVIEW_ERROR_FORMAT, "vm.vmx: there are NUL bytes*");
  refused ("", RAWVIEW_ERROR_FORMAT, "vm.vmx: there is no setting*");
  refused ("memsize = \"much\"\n", RAWVIEW_ERROR_CORRUPT,
           "vm.vmx: memSize is not a number");
  refused ("memsize = \"-1\"\n", RAWVIEW_ERROR_CORRUPT, "*not a number");
  refused ("memsize = \"1073741825\"\n", RAWVIEW_ERROR_LIMIT, "*more than*");
  refused ("numvcpus = \"99999999999999999999\"\n", RAWVIEW_ERROR_LIMIT,
           "*numvcpus is more than 4096");
}

static void
counts_have_limits (void)
{
  size_t len;
  char *text;
  FILE *out = open_memstream (&text, &len);

  REQUIRE (out != NULL);
  for (unsigned i = 0; i < 2000; i++)
    fprintf (out, "scsi%u:%u.present = \"TRUE\"\nscsi%u:%u.fileName = \"a\"\n",
             i / 100, i % 100, i / 100, i % 100);
  fflush (out);
  refused (text, RAWVIEW_ERROR_LIMIT, "*more than 256 disks");
  fputs ("x = \"1\"\n", out);
  fclose (out);
  refused (text, RAWVIEW_ERROR_LIMIT, "*more than 4000 settings");
  free (text);
}

int
main (void)
{
  TEST (a_machine_is_read);
  TEST (disks_are_in_order);
  TEST (the_firmwares_order_comes_first);
  TEST (only_disks_that_are_there_count);
  TEST (keys_have_no_case_and_the_last_one_counts);
  TEST (lines_may_be_written_oddly);
  TEST (other_encodings_are_windows_1252);
  TEST (without_a_word_it_is_bios);
  TEST (what_is_no_vmx_is_refused);
  TEST (counts_have_limits);
  machine_clear (&m);
  return test_result ();
}
