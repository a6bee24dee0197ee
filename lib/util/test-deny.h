/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Unit tests on a kernel that lacks something: a child process in which one
 * system call fails.
 */

#ifndef RV_TEST_DENY_H
#define RV_TEST_DENY_H

#include <stddef.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "util/test.h"

/* From now on the call nr fails with errnum in this process; with which >= 0
 * only where argument number which is value.  False if seccomp is missing.
 */
static TEST_UNUSED bool
test_deny (int nr, int which, uint32_t value, int errnum)
{
  /* Without an argument to look at, the number is compared twice. */
  uint32_t at = which >= 0 ? offsetof (struct seccomp_data, args) + 8 * which
                           : offsetof (struct seccomp_data, nr);
  struct sock_filter code[] = {
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, nr)),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 3),
    BPF_STMT (
        BPF_LD | BPF_W | BPF_ABS,
        at + (which >= 0 && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0)),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, which >= 0 ? value : (uint32_t) nr, 0,
              1),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ERRNO | errnum),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog prog = { .len = sizeof code / sizeof code[0],
                             .filter = code };

  return prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0;
}

/* Runs fn in a child; its failed checks are this test's. */
static TEST_UNUSED void
test_in_child (void (*fn) (void))
{
  int status = -1;
  pid_t pid;

  fflush (NULL);
  pid = fork ();
  if (pid == 0) {
    fn ();
    _exit (test_failures > 0);
  }
  CHECK (pid > 0 && waitpid (pid, &status, 0) == pid);
  CHECK (WIFEXITED (status) && WEXITSTATUS (status) == 0);
}

#endif /* RV_TEST_DENY_H */
