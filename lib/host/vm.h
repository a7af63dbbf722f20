/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Facts of a running VM: its threads, its command line, and what the caller
 * knows of it (a QMP socket's answers).
 */
#ifndef RTKVM_HOST_VM_H
#define RTKVM_HOST_VM_H

#include "host.h"

#define HOST_VM_THREADS 4096

struct host_vm_thread {
	pid_t tid;
	int policy, priority;
	char comm[64];
	bool vcpu;
	bool io;     /* runs an event loop of its own, for devices */
	bool kernel; /* made by KVM or vhost for this VM: kvm-pit/PID, vhost-PID */
	struct rtkvm_cpus cpus;
	int cpus_err;
};

struct host_vm {
	pid_t pid;
	int threads_err; /* why there are none, negative errno */
	struct host_vm_thread *thread;
	size_t count, vcpus;
	int args_err;
	char *args;	 /* of the command line, each ended by a NUL; another at the end */
	char *facts;	 /* "KEY=VALUE\n..." of the caller, or NULL */
};

/* Reads what the options name. 0 or negative errno with an error. */
int host_vm_read(struct host_facts *facts, const struct rtkvm_host_options *opt);
void host_vm_free(struct host_vm *vm);

/* Value of a fact of the caller's; NULL: not told. Static size, own buffer. */
#define HOST_VM_FACT 256
const char *host_vm_fact(const struct host_vm *vm, const char *key, char value[HOST_VM_FACT]);

/*
 * The index-th argument that follows an option "-name" or "--name", or NULL;
 * *present when the option is there at all.
 */
const char *host_vm_option(const struct host_vm *vm, const char *name, unsigned int index,
			   bool *present);

/* Is it the name of a vCPU's thread: QEMU, cloud-hypervisor, crosvm, Firecracker? */
bool host_vm_is_vcpu(const char *comm);

/* Each line is KEY=VALUE with a plain key. */
bool host_vm_facts_valid(const char *facts);

#endif
