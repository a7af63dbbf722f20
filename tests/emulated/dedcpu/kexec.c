// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * kexec KERNEL INITRD ARGUMENTS: into another kernel, without the shutdown of a
 * user space. In an emulated host only.
 */
#include <err.h>
#include <fcntl.h>
#include <linux/reboot.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int kernel, initrd;

	if (argc != 4)
		errx(2, "usage: kexec KERNEL INITRD ARGUMENTS");
	kernel = open(argv[1], O_RDONLY | O_CLOEXEC);
	initrd = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (kernel < 0 || initrd < 0)
		err(1, "%s", kernel < 0 ? argv[1] : argv[2]);
	if (syscall(SYS_kexec_file_load, kernel, initrd, strlen(argv[3]) + 1, argv[3], 0UL))
		err(1, "kexec_file_load");
	printf("into the other kernel\n");
	fflush(stdout);
	reboot((int)LINUX_REBOOT_CMD_KEXEC);
	err(1, "reboot");
}
