#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Several connections, each with many requests at once, read the same disk.

. "$RAWVIEW_SRCDIR/tests/functions.sh"
requires_nbdkit
requires_nbdsh

make_raw "$tmp/disk.raw"
make_image qcow2 "$tmp/disk.raw" "$tmp/disk.qcow2" -c
# Less cache than the image needs, so that clusters are decompressed often.
serve cache=256K workers=4 "export=a:$tmp/disk.qcow2" \
                           "export=b:$tmp/disk.qcow2"

export sock tmp
nbdsh -c - <<'PY'
import os
import random
import threading

raw = open(os.environ["tmp"] + "/disk.raw", "rb").read()
wrong = []


def read(number):
    rng = random.Random(number)
    client = nbd.NBD()
    client.set_export_name("ab"[number % 2])
    client.connect_unix(os.environ["sock"])
    assert client.can_multi_conn()
    waiting = []
    for i in range(500):
        length = rng.randrange(1, 200000)
        offset = rng.randrange(0, len(raw) - length)
        buf = nbd.Buffer(length)
        waiting.append((client.aio_pread(buf, offset), buf, offset, length))
        while len(waiting) > (15 if i < 499 else 0):
            client.poll(-1)
            for w in list(waiting):
                if client.aio_command_completed(w[0]):
                    if w[1].to_bytearray() != raw[w[2]:w[2] + w[3]]:
                        wrong.append(w[2:])
                    waiting.remove(w)
    client.shutdown()


def run(number):
    try:
        read(number)
    except Exception as e:
        wrong.append(e)


threads = [threading.Thread(target=run, args=(n,)) for n in range(6)]
for t in threads:
    t.start()
for t in threads:
    t.join()
assert not wrong, wrong[:3]
PY
line_count "$nbdkit_log" 0
