/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <config.h>

#include "ovf-item.h"
#include "ovf.h"
#include "util/test.h"

static struct machine m;
static rawview_error err;

static int
parse (const char *text)
{
  machine_clear (&m);
  err = (rawview_error){ 0 };
  return ovf_parse ("vm.ovf", text, strlen (text), &m, &err);
}

static void
refused (const char *text, rawview_error_kind kind, const char *pattern)
{
  CHECK_EQ_INT (parse (text), -1);
  CHECK_ERROR (err, kind, pattern);
}

#define NAMESPACES \
  " xmlns='http://schemas.dmtf.org/ovf/envelope/1'" \
  " xmlns:ovf='http://schemas.dmtf.org/ovf/envelope/1'" \
  " xmlns:rasd='http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/" \
  "CIM_ResourceAllocationSettingData'" \
  " xmlns:vssd='http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/" \
  "CIM_VirtualSystemSettingData'" \
  " xmlns:vmw='http://www.vmware.com/schema/ovf'"
#define BEGIN "<?xml version='1.0' encoding='UTF-8'?><Envelope" NAMESPACES ">"
#define END   "</Envelope>"

/* Files f1..., and disks d1... in them. */
#define TWO_FILES \
  "<References><File ovf:href='one.vmdk' ovf:id='f1' ovf:size='1'/>" \
  "<File ovf:href='two.vmdk' ovf:id='f2'/></References>" \
  "<DiskSection><Info>disks</Info>" \
  "<Disk ovf:capacity='20' ovf:diskId='d1' ovf:fileRef='f1'/>" \
  "<Disk ovf:capacity='1' ovf:diskId='d2' ovf:fileRef='f2'/></DiskSection>"

#define ITEM(id, type, more) \
  "<Item><rasd:InstanceID>" id "</rasd:InstanceID><rasd:ResourceType>" type \
  "</rasd:ResourceType>" more "</Item>"
#define RASD(name, value) "<rasd:" name ">" value "</rasd:" name ">"
#define CONTROLLER(id, type, address, subtype) \
  ITEM (id, type, RASD ("Address", address) RASD ("ResourceSubType", subtype))
#define DISK(id, parent, unit, resource) \
  ITEM (id, "17", \
        RASD ("AddressOnParent", unit) RASD ("HostResource", resource) \
            RASD ("Parent", parent))

#define SYSTEM(hardware) \
  "<VirtualSystem ovf:id='vm'><Info>one</Info><VirtualHardwareSection>" \
  "<Info>hardware</Info>" hardware "</VirtualHardwareSection></VirtualSystem>"

/* The i-th disk. */
static void
disk_is (size_t i, const char *href, enum machine_bus bus)
{
  REQUIRE (i < m.n_disks);
  CHECK_STR_EQ (m.disks[i].name, href);
  CHECK_EQ_INT (m.disks[i].bus, bus);
}

/*--- As exporters write it ----------------------------------------------*/

/* In the manner of vSphere. */
static void
a_machine_of_vsphere (void)
{
  CHECK_OK (
      parse (
          BEGIN TWO_FILES
          "<NetworkSection><Info>n</Info><Network ovf:name='VM Network'/>"
          "</NetworkSection>"
          "<VirtualSystem ovf:id='id-of-it'><Info>A machine</Info>"
          "<Name>web server</Name>"
          "<OperatingSystemSection ovf:id='96' vmw:osType='debian11_64Guest'>"
          "<Info>os</Info><Description>Debian GNU/Linux 11 (64-bit)"
          "</Description></OperatingSystemSection>"
          "<VirtualHardwareSection><Info>hardware</Info><System>"
          "<vssd:VirtualSystemIdentifier>other</vssd:VirtualSystemIdentifier>"
          "<vssd:VirtualSystemType>vmx-19</vssd:VirtualSystemType></"
          "System>" ITEM (
              "1", "3",
              RASD ("AllocationUnits", "hertz * 10^6")
                  RASD ("VirtualQuantity",
                        "4")) ITEM ("2", "4",
                                    RASD ("AllocationUnits", "byte * 2^20")
                                        RASD ("VirtualQuantity", "2048"))
              CONTROLLER ("3", "6", "0", "VirtualSCSI") CONTROLLER (
                  "4", "20", "0",
                  "vmware.sata.ahci") ITEM ("5", "15", RASD ("Parent", "4"))
                  ITEM ("6", "14", RASD ("AddressOnParent", "0")) DISK (
                      "7", "3", "1", "ovf:/disk/d2") DISK ("8", "3", "0",
                                                           "ovf:/disk/d1")
                      ITEM ("9", "10",
                            RASD ("Connection", "VM Network") RASD (
                                "ResourceSubType",
                                "VmxNet3")) "<vmw:Config ovf:required='false' "
                                            "vmw:key='firmware' "
                                            "vmw:value='efi'/><vmw:Config "
                                            "vmw:value='true' "
                                            "vmw:key='bootOptions."
                                            "efiSecureBootEnabled'/>"
                                            "</VirtualHardwareSection></"
                                            "VirtualSystem>" END),
      err);
  CHECK_STR_EQ (m.name, "web server");
  CHECK_STR_EQ (m.os, "Debian GNU/Linux 11 (64-bit)");
  CHECK_EQ_U64 (m.memory, UINT64_C (2) << 30);
  CHECK_EQ_INT (m.cpus, 4);
  CHECK_EQ_INT (m.firmware, MACHINE_FIRMWARE_UEFI);
  CHECK (m.secure_boot);
  CHECK_EQ_U64 (m.n_disks, 2);
  disk_is (0, "one.vmdk", MACHINE_BUS_SCSI);
  disk_is (1, "two.vmdk", MACHINE_BUS_SCSI);
  REQUIRE (m.n_nics == 1);
  CHECK_STR_EQ (m.nics[0].network, "VM Network");
  CHECK_STR_EQ (m.nics[0].model, "VmxNet3");
  CHECK (m.nics[0].mac == NULL);
}

/* In the manner of VirtualBox: its own namespace says what OVF does not. */
static void
a_machine_of_virtualbox (void)
{
  CHECK_OK (
      parse (
          BEGIN TWO_FILES
          "<VirtualSystem ovf:id='box'><Info>A machine</Info>"
          "<VirtualHardwareSection><Info>hardware</Info>" ITEM (
              "2", "4",
              RASD ("AllocationUnits", "MegaBytes") RASD (
                  "VirtualQuantity", "512")) CONTROLLER ("3", "5", "0", "PIIX4")
              CONTROLLER ("4", "20", "0", "AHCI")
                  DISK ("5", "4", "0", "/disk/d1") ITEM (
                      "6", "10",
                      RASD ("Connection", "NAT")
                          RASD ("ResourceSubType", "E1000") RASD (
                              "Address",
                              "08:00:27:AA:bb:01")) "</VirtualHardwareSection>"
                                                    "<vbox:Machine "
                                                    "xmlns:vbox='http://"
                                                    "www.virtualbox.org/ovf/"
                                                    "machine'"
                                                    " name='box'><Hardware><"
                                                    "Firmware "
                                                    "type='EFI'/></Hardware>"
                                                    "</vbox:Machine></"
                                                    "VirtualSystem>" END),
      err);
  CHECK_STR_EQ (m.name, "box");
  CHECK_EQ_U64 (m.memory, UINT64_C (512) << 20);
  CHECK_EQ_INT (m.firmware, MACHINE_FIRMWARE_UEFI);
  CHECK (!m.secure_boot);
  CHECK_EQ_U64 (m.n_disks, 1);
  disk_is (0, "one.vmdk", MACHINE_BUS_SATA);
  REQUIRE (m.n_nics == 1);
  CHECK_STR_EQ (m.nics[0].mac, "08:00:27:aa:bb:01");
}

/* In the manner of Workstation: extra settings, one machine in a collection. */
static void
a_machine_of_workstation (void)
{
  CHECK_OK (
      parse (BEGIN TWO_FILES "<VirtualSystemCollection ovf:id='all'>" SYSTEM (
          CONTROLLER ("3", "5", "1", "") CONTROLLER ("4", "5", "0", "")
              CONTROLLER ("5", "20", "0", "vmware.nvme.controller")
                  DISK ("6", "5", "0", "ovf:/disk/d2") DISK (
                      "7", "3", "0",
                      "ovf:/file/f1") "<vmw:ExtraConfig vmw:key='firmware' "
                                      "vmw:value='bios'/>") "</"
                                                            "VirtualSystemColle"
                                                            "ction>" END),
      err);
  CHECK_STR_EQ (m.name, "vm");
  CHECK_EQ_INT (m.firmware, MACHINE_FIRMWARE_BIOS);
  CHECK_EQ_U64 (m.n_disks, 2);
  disk_is (0, "one.vmdk", MACHINE_BUS_IDE);
  disk_is (1, "two.vmdk", MACHINE_BUS_NVME);
}

static void
nothing_is_known_where_nothing_is_said (void)
{
  CHECK_OK (parse (BEGIN TWO_FILES SYSTEM ("") END), err);
  CHECK_EQ_U64 (m.memory, 0);
  CHECK_EQ_INT (m.cpus, 0);
  CHECK_EQ_INT (m.firmware, MACHINE_FIRMWARE_UNKNOWN);
  CHECK_EQ_U64 (m.n_disks, 0);
  CHECK (m.os == NULL);
}

static void
without_hardware_the_disk_section_counts (void)
{
  CHECK_OK (parse (BEGIN TWO_FILES END), err);
  CHECK (m.name == NULL);
  CHECK_EQ_U64 (m.n_disks, 2);
  disk_is (0, "one.vmdk", MACHINE_BUS_UNKNOWN);
  disk_is (1, "two.vmdk", MACHINE_BUS_UNKNOWN);
}

/*--- Details ------------------------------------------------------------*/

static void
disks_are_in_the_order_of_controllers_and_units (void)
{
  CHECK_OK (
      parse (BEGIN
             "<References><File ovf:href='a' ovf:id='a'/>"
             "<File ovf:href='b' ovf:id='b'/><File ovf:href='c' "
             "ovf:id='c'/><File ovf:href='d' ovf:id='d'/></References>" SYSTEM (
                 DISK ("1", "11", "0", "ovf:/file/d")
                     DISK ("2", "10", "10", "ovf:/file/b") DISK ("3", "10", "9",
                                                                 "ovf:/file/a")
                         DISK ("4", "12", "0", "ovf:/file/c")
                             CONTROLLER ("12", "6", "1", "lsilogic")
                                 CONTROLLER ("10", "6", "0", "lsilogic")
                                     CONTROLLER ("11", "20", "0", "AHCI")) END),
      err);
  CHECK_EQ_U64 (m.n_disks, 4);
  disk_is (0, "a", MACHINE_BUS_SCSI);
  disk_is (1, "b", MACHINE_BUS_SCSI);
  disk_is (2, "c", MACHINE_BUS_SCSI);
  disk_is (3, "d", MACHINE_BUS_SATA);
}

static void
the_default_configuration_counts (void)
{
  CHECK_OK (
      parse (BEGIN
             "<DeploymentOptionSection><Info>i</Info>"
             "<Configuration ovf:id='small'/>"
             "<Configuration ovf:id='big' ovf:default='true'/>"
             "</DeploymentOptionSection>" SYSTEM (
                 ITEM ("1", "3",
                       RASD ("VirtualQuantity",
                             "1")) "<Item ovf:configuration='small "
                                   "tiny'>" RASD ("ResourceType", "3") RASD (
                                       "VirtualQuantity",
                                       "2") "</Item><Item "
                                            "ovf:configuration='huge "
                                            "big'>" RASD ("ResourceType", "3")
                                                RASD ("VirtualQuantity",
                                                      "8") "</Item><Item "
                                                           "ovf:bound='max'"
                                                           ">" RASD ("Resourc"
                                                                     "eType",
                                                                     "3")
                                                               RASD ("VirtualQu"
                                                                     "antity",
                                                                     "64") "</"
                                                                           "Ite"
                                                                           "m>")
                 END),
      err);
  CHECK_EQ_INT (m.cpus, 8);
}

static void
memory_has_units (void)
{
  static const struct {
    const char *units;
    uint64_t bytes;
  } known[] = {
    { "byte * 2^20", 1 << 20 },
    { "byte*2^30", 1 << 30 },
    { "bytes * 1024", 1024 },
    { "byte * 10^6", 1000000 },
    { "byte * 2^10 * 4", 4096 },
    { "MegaBytes", 1 << 20 },
    { "megabytes", 1 << 20 },
    { " GigaBytes ", 1 << 30 },
    { "KB", 1024 },
    { "byte", 1 },
  };
  static const char *const unknown[] = {
    "",          "hertz * 10^6",  "byte *",  "byte * 2^", "byte * 2^65",
    "byte * -1", "byte * 2^20 x", "byte * 0"
  };
  uint64_t bytes;

  for (size_t i = 0; i < CLI_COUNT (known); i++) {
    CHECK (ovf_parse_units (known[i].units, &bytes));
    CHECK_EQ_U64 (bytes, known[i].bytes);
  }
  for (size_t i = 0; i < CLI_COUNT (unknown); i++)
    CHECK (!ovf_parse_units (unknown[i], &bytes));
}

static void
references_are_decoded (void)
{
  CLEANUP_FREE char *a = ovf_decode_reference ("my%20disk%2Dx.vmdk");
  CLEANUP_FREE char *b = ovf_decode_reference ("100%.vmdk%00%4");

  CHECK_STR_EQ (a, "my disk-x.vmdk");
  CHECK_STR_EQ (b, "100%.vmdk%00%4");
}

/*--- Refused ------------------------------------------------------------*/

static void
other_xml_is_refused (void)
{
  refused ("<domain/>", RAWVIEW_ERROR_FORMAT, "*no OVF envelope*");
  refused ("<Envelope/>", RAWVIEW_ERROR_FORMAT, "*no OVF envelope*");
  refused ("no XML", RAWVIEW_ERROR_CORRUPT, "*well-formed*");
  refused ("<!DOCTYPE E [<!ENTITY a 'b'>]><E>&a;</E>", RAWVIEW_ERROR_REFUSED,
           "*document type*");
}

static void
several_machines_are_refused (void)
{
  refused (BEGIN "<VirtualSystemCollection ovf:id='c'>" SYSTEM ("")
               SYSTEM ("") "</VirtualSystemCollection>" END,
           RAWVIEW_ERROR_UNSUPPORTED, "vm.ovf: it describes 2 machines;*");
}

static void
disks_without_a_file_are_refused (void)
{
#define DISK_SECTION(disk) "<DiskSection>" disk "</DiskSection>"
  refused (BEGIN DISK_SECTION ("<Disk ovf:diskId='d' ovf:capacity='1'/>")
               SYSTEM (DISK ("1", "2", "0", "ovf:/disk/d")) END,
           RAWVIEW_ERROR_UNSUPPORTED, "*\"d\" has no file*");
  refused (BEGIN DISK_SECTION ("<Disk ovf:diskId='d' ovf:fileRef='x'/>")
               SYSTEM (DISK ("1", "2", "0", "ovf:/disk/d")) END,
           RAWVIEW_ERROR_CORRUPT, "*\"x\"*not among its references");
  refused (BEGIN SYSTEM (DISK ("1", "2", "0", "ovf:/disk/d")) END,
           RAWVIEW_ERROR_CORRUPT, "*\"d\" is not in its disk section");
  refused (BEGIN SYSTEM (DISK ("1", "2", "0", "http://host/disk")) END,
           RAWVIEW_ERROR_UNSUPPORTED, "*neither a disk nor a file*");
  refused (BEGIN SYSTEM (ITEM ("1", "17", "")) END, RAWVIEW_ERROR_UNSUPPORTED,
           "*neither a disk nor a file*");
}

static void
chunks_are_refused (void)
{
  refused (BEGIN "<References><File ovf:href='a' ovf:id='f' "
                 "ovf:chunkSize='2147483648'/></References>" SYSTEM (
                     DISK ("1", "2", "0", "ovf:/file/f")) END,
           RAWVIEW_ERROR_UNSUPPORTED, "*cut in chunks*");
}

static void
absurd_numbers_are_refused (void)
{
  refused (BEGIN SYSTEM (ITEM ("1", "3", RASD ("VirtualQuantity", "4097"))) END,
           RAWVIEW_ERROR_LIMIT, "*4097 processors*");
  refused (BEGIN SYSTEM (
               ITEM ("1", "4",
                     RASD ("AllocationUnits", "byte * 2^40")
                         RASD ("VirtualQuantity", "18446744073709551615"))) END,
           RAWVIEW_ERROR_LIMIT, "*memory*more than 1 PiB");
  CHECK_OK (parse (BEGIN SYSTEM (
                ITEM ("1", "3", RASD ("VirtualQuantity", "-1"))
                    ITEM ("2", "3",
                          RASD ("VirtualQuantity", "99999999999999999999999"))
                        ITEM ("99999999999999999999", "4",
                              RASD ("AllocationUnits", "parsec")
                                  RASD ("VirtualQuantity", "7"))) END),
            err);
  CHECK_EQ_INT (m.cpus, 0);
  CHECK_EQ_U64 (m.memory, 0);
}

/* n times what, with a %u in it, between begin and end. */
static char *
many (const char *begin, const char *before, const char *after, unsigned n,
      const char *end)
{
  size_t len;
  char *text;
  FILE *out = open_memstream (&text, &len);

  if (out == NULL)
    abort ();
  fputs (begin, out);
  for (unsigned i = 0; i < n; i++)
    fprintf (out, "%s%u%s", before, i, after);
  fputs (end, out);
  fclose (out);
  return text;
}

static void
counts_have_limits (void)
{
  CLEANUP_FREE char *items =
      many (BEGIN "<VirtualSystem ovf:id='v'><VirtualHardwareSection>",
            "<Item><rasd:InstanceID>", "</rasd:InstanceID></Item>", 10000,
            "</VirtualHardwareSection></VirtualSystem>" END);
  CLEANUP_FREE char *disks =
      many (BEGIN "<References><File ovf:id='f' ovf:href='a'/></References>"
                  "<VirtualSystem ovf:id='v'><VirtualHardwareSection>",
            "<Item><rasd:InstanceID>",
            "</rasd:InstanceID><rasd:ResourceType>17</rasd:ResourceType>"
            "<rasd:HostResource>/file/f</rasd:HostResource></Item>",
            257, "</VirtualHardwareSection></VirtualSystem>" END);
  CLEANUP_FREE char *listed =
      many (BEGIN "<DiskSection>", "<Disk ovf:fileRef='f' ovf:diskId='d", "'/>",
            10000, "</DiskSection>" END);
  CLEANUP_FREE char *files =
      many (BEGIN "<References>", "<File ovf:href='f' ovf:id='", "'/>", 10000,
            "</References>" END);

  refused (items, RAWVIEW_ERROR_LIMIT, "*more than 4096 items*");
  refused (disks, RAWVIEW_ERROR_LIMIT, "*more than 256 disks");
  refused (listed, RAWVIEW_ERROR_LIMIT, "*more than 1024 of Disk*");
  refused (files, RAWVIEW_ERROR_LIMIT, "*more than 1024 of File*");
}

static void
strangers_words_are_made_printable (void)
{
  CHECK_OK (parse (BEGIN
                   "<VirtualSystem ovf:id='../../&#x202e;x'><Name>"
                   "../evil&#10;name</Name><OperatingSystemSection ovf:id='1'>"
                   "<Description>a&#9;b&#x9b;</Description>"
                   "</OperatingSystemSection></VirtualSystem>" END),
            err);
  CHECK_STR_EQ (m.name, "_._evil name");
  CHECK_STR_EQ (m.os, "a b?");
}

int
main (void)
{
  TEST (a_machine_of_vsphere);
  TEST (a_machine_of_virtualbox);
  TEST (a_machine_of_workstation);
  TEST (nothing_is_known_where_nothing_is_said);
  TEST (without_hardware_the_disk_section_counts);
  TEST (disks_are_in_the_order_of_controllers_and_units);
  TEST (the_default_configuration_counts);
  TEST (memory_has_units);
  TEST (references_are_decoded);
  TEST (other_xml_is_refused);
  TEST (several_machines_are_refused);
  TEST (disks_without_a_file_are_refused);
  TEST (chunks_are_refused);
  TEST (absurd_numbers_are_refused);
  TEST (counts_have_limits);
  TEST (strangers_words_are_made_printable);
  machine_clear (&m);
  return test_result ();
}
