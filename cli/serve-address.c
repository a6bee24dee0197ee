/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How clients name an export: as an NBD URI, or in libvirt's XML. */

#include <config.h>

#include <ctype.h>
#include <string.h>

#include "serve.h"

/* keep: what may stay besides letters and digits. */
static void
print_percent_encoded (const char *text, const char *keep)
{
  for (; *text != '\0'; text++) {
    unsigned char c = (unsigned char) *text;

    if ((isascii (c) && isalnum (c)) || strchr (keep, c) != NULL)
      putchar (c);
    else
      printf ("%%%02X", c);
  }
}

void
serve_print_uri (const struct serve_address *a, const char *name)
{
  printf ("nbd%s%s://", a->tls ? "s" : "", a->socket != NULL ? "+unix" : "");
  if (a->socket == NULL)
    printf (strchr (a->host, ':') != NULL ? "[%s]:%u" : "%s:%u", a->host,
            a->port);
  putchar ('/');
  print_percent_encoded (name, "-._~");
  if (a->socket != NULL) {
    fputs ("?socket=", stdout);
    print_percent_encoded (a->socket, "-._~/");
  }
  putchar ('\n');
}

/* vda, ..., vdz, vdaa, ... */
static void
print_target (size_t i)
{
  char letters[16], *p = letters + sizeof letters - 1;

  *p = '\0';
  for (i++; i > 0; i = (i - 1) / 26)
    *--p = (char) ('a' + (i - 1) % 26);
  printf ("  <target dev='vd%s' bus='virtio'/>\n", p);
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
