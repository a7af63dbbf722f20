/* SPDX-License-Identifier: MIT */
/* rt-vmm linux: boot a bzImage and bring back the guest's exit status. */
#ifndef LINUX_H
#define LINUX_H

#include "config.h"

/* Exit statuses of the command; what else there is, is the guest's. */
enum {
	LINUX_LIMIT = 124,  /* a time limit has passed */
	LINUX_ERROR = 125,  /* this program's: it could not be started, or not go on */
	LINUX_RESET = 126   /* the guest was reset (reboot, panic, triple fault) */
};

/* What was asked for; a NULL is "not". */
struct linux_config {
	const char *kernel;
	const char *initrd;
	const char *append;         /* to the kernel's command line */
	const char *marker;         /* the guest is up when it prints a line with it */
	const char *data;           /* file for what the second serial port sends */
	unsigned int memory_mib;
	unsigned int boot_limit_s;  /* until the marker */
	unsigned int limit_s;       /* all in all; 0: none */
	bool any_kvm;               /* also on a KVM that is known not to do it */
	bool report;                /* print settings and features */
};

int linux_main(const struct config *config);

#endif
