/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tree simulator: made-up procfs, sysfs and devices of hosts of a given
 * shape, as text files. tests/host/sim-test.c tests it.
 */
#ifndef RTKVM_SIM_H
#define RTKVM_SIM_H

#include <stdbool.h>
#include <stddef.h>

enum sim_vendor { SIM_INTEL, SIM_AMD };

struct sim_shape {
	enum sim_vendor vendor;
	unsigned int cpus, nodes; /* CPUs in equal parts on nodes */
	unsigned int irqs;	  /* from number 24 on */
	unsigned int rt_from;	  /* CPUs from here on are isolated; cpus: none */
	bool iommu;
	bool tuned;	  /* everything as real-time wants it; false: as a distribution ships it */
	bool preempt_rt;
	bool container;   /* a PID namespace, hybrid cgroups, no debugfs, no MSRs */
	bool vm;	  /* with a running VM, pid SIM_VM */
};

#define SIM_VM 4000

/* Named shapes: "intel", "amd", "laptop", "container", "big"; NULL after the last. */
const struct sim_shape *sim_named(const char *name);
extern const char *const sim_names[];

/* Write a tree below dir, which exists. 0 or -errno. */
int sim_make(const char *dir, const struct sim_shape *shape);

/* Write one file, with its folders; text NULL: remove it. 0 or -errno. */
int sim_write(const char *dir, const char *path, const char *text);
int sim_write_bytes(const char *dir, const char *path, long offset, const void *data, size_t size);

/* The flags line of a CPU, with one left out and one added (NULL: none). */
int sim_cpuinfo(const char *dir, const struct sim_shape *shape, const char *without,
		const char *with);

/* A thread as /proc shows it. policy: 0, 1 (FIFO), 2; kernel threads have kthread. */
int sim_thread(const char *dir, int tgid, int tid, const char *comm, bool kthread, int policy,
	       int priority);

/* The VM of shape->vm; sim_make() calls it. */
int sim_make_vm(const char *dir, const struct sim_shape *shape);

/* Lists: every file of the tree, relative; fn until it returns non-zero. */
int sim_files(const char *dir, int (*fn)(const char *path, void *arg), void *arg);

#endif
