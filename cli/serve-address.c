/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How clients name an export: as an NBD URI, or in libvirt's XML. */

#include <config.h>

#include <string.h>

#include "serve.h"

void
serve_print_uri (const struct serve_address *a, const char *name)
{
  CLEANUP_FREE char *uri =
      a->socket != NULL ? cli_nbd_unix_uri (a->socket, name) : NULL;
  CLEANUP_FREE char *export = cli_percent_encode (name, "-._~");

  if (uri != NULL)
    printf ("%s%s\n", a->tls ? "nbds" : "nbd", uri + strlen ("nbd"));
  else
    printf (strchr (a->host, ':') != NULL ? "nbd%s://[%s]:%u/%s\n"
                                          : "nbd%s://%s:%u/%s\n",
            a->tls ? "s" : "", a->host, a->port, export);
}

static void
print_target (size_t i)
{
  char letters[CLI_DISK_LETTERS_MAX];

  printf ("  <target dev='vd%s' bus='virtio'/>\n",
          cli_disk_letters (i, letters));
}

static void
print_host (const struct serve_address *a)
{
  if (a->socket != NULL) {
    fputs ("    <host transport='unix' socket='", stdout);
    cli_print_xml (a->socket);
    puts ("'/>");
  }
  else {
    fputs ("    <host name='", stdout);
    cli_print_xml (a->host);
    printf ("' port='%u'/>\n", a->port);
  }
}

void
serve_print_disk (const struct serve_address *a, const char *name,
                  bool readonly, size_t i)
{
  puts ("<disk type='network' device='disk'>\n"
        "  <driver name='qemu' type='raw'/>");
  fputs ("  <source protocol='nbd' name='", stdout);
  cli_print_xml (name);
  printf ("'%s>\n", a->tls ? " tls='yes'" : "");
  print_host (a);
  /* A running guest survives that the server is restarted. */
  puts ("    <reconnect delay='10'/>\n"
        "  </source>");
  print_target (i);
  /* QEMU opens a disk for writing unless it is told, and would fail. */
  if (readonly)
    puts ("  <readonly/>");
  puts ("</disk>");
}
