/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The capabilities of KVM that matter, and what they should say.
 */
#ifndef RTKVM_HOST_CAPS_H
#define RTKVM_HOST_CAPS_H

#include <stdint.h>

struct host_cap_rule {
	const char *name;  /* as in linux/kvm.h, for people */
	int64_t cap;
	int64_t bits;	   /* that must be set; 0: any value but 0 */
	int bad;	   /* verdict when they are not */
	const char *means; /* without it */
};

/* Ended by an entry without name. */
extern const struct host_cap_rule host_cap_rules[];

#endif
