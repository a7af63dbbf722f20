/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What /dev/kvm says: capabilities on the descriptor of a VM (on /dev/kvm
 * itself some read differently), and the paravirtual CPUID bits.
 */
#ifndef RTKVM_HOST_KVM_H
#define RTKVM_HOST_KVM_H

#include "host.h"

struct host_kvm {
	int err;	/* why nothing is known, negative errno */
	char step[48];	/* what gave it */
	unsigned int count;
	struct host_cap {
		int64_t cap; /* KVM_CAP_* */
		int64_t value;
	} cap[96];
	bool has_pv;
	uint32_t pv_eax; /* of leaf 0x40000001, KVM_GET_SUPPORTED_CPUID */
};

/* Looked at once. NULL without memory. */
const struct host_kvm *host_kvm(struct host_facts *facts);
void host_kvm_free(struct host_kvm *kvm);

/* Value of a capability, or -ENODATA if it was not asked. */
int64_t host_kvm_cap(const struct host_kvm *kvm, int64_t cap);

/*
 * In a made-up tree /dev/kvm is a text: lines "CAP VALUE" in decimal, and
 * "pv HEX". 0 or -EILSEQ.
 */
int host_kvm_parse(const char *text, struct host_kvm *kvm);

#endif
