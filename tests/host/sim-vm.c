/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tree simulator's running VM: a QEMU of two vCPUs, well set up.
 */
#include <stdio.h>
#include <string.h>

#include "sim.h"

static int thread(const char *dir, int tgid, int tid, const char *comm, bool kthread, int policy,
		  int priority, const char *cpus)
{
	char path[96], text[128];

	sim_thread(dir, tgid, tid, comm, kthread, policy, priority);
	snprintf(path, sizeof(path), "proc/%d/task/%d/status", tgid, tid);
	snprintf(text, sizeof(text), "Name:\t%s\nCpus_allowed_list:\t%s\n", comm, cpus);
	return sim_write(dir, path, text);
}

int sim_make_vm(const char *dir, const struct sim_shape *s)
{
	static const char args[] = "/usr/bin/qemu-system-x86_64\0-machine\0q35,hpet=off\0-overcommit\0"
				   "mem-lock=on\0-drive\0file=/dev/vg/guest,format=raw,aio=native\0"
				   "-display\0none\0-serial\0none\0-device\0virtio-net-pci";
	char hk[32], v0[16], v1[16];
	int ret;

	snprintf(hk, sizeof(hk), "0-%u", s->rt_from - 1);
	snprintf(v0, sizeof(v0), "%u", s->rt_from);
	snprintf(v1, sizeof(v1), "%u", s->rt_from + 1);
	ret = thread(dir, SIM_VM, SIM_VM, "qemu-system-x86", false, 1, 2, hk);
	ret |= thread(dir, SIM_VM, SIM_VM + 1, "CPU 0/KVM", false, 1, 1, v0);
	ret |= thread(dir, SIM_VM, SIM_VM + 2, "CPU 1/KVM", false, 1, 1, v1);
	ret |= thread(dir, SIM_VM, SIM_VM + 3, "IO iothread1", false, 1, 2, hk);
	ret |= thread(dir, SIM_VM + 10, SIM_VM + 10, "kvm-pit/4000", true, 0, 0, hk);
	ret |= sim_write(dir, "proc/4000/status", "Name:\tqemu-system-x86\nVmLck:\t 2200000 kB\n"
			 "VmRSS:\t 2100000 kB\nVmSwap:\t       0 kB\nHugetlbPages:\t 2097152 kB\n");
	ret |= sim_write(dir, "proc/4000/stat", "4000 (qemu-system-x86) S 1 0 0 0 -1 4194560 90000 0 0 0 "
			 "10 20 0 0 20 0 5 0 60025 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 0 2 1 0 0 0 0 0 0 0 0 "
			 "0 0 0\n");
	ret |= sim_write(dir, "proc/4000/smaps_rollup", "00400000-7fff [rollup]\nRss:             2200000 "
			 "kB\nAnonHugePages:         0 kB\nShared_Hugetlb:  2097152 kB\nPrivate_Hugetlb:       "
			 "0 kB\n");
	ret |= sim_write_bytes(dir, "proc/4000/cmdline", 0, args, sizeof(args));
	ret |= sim_write(dir, "sys/kernel/debug/kvm/4000-14/exits", "600000\n");
	ret |= sim_write(dir, "sys/kernel/debug/kvm/4000-14/io_exits", "100000\n");
	ret |= sim_write(dir, "sys/kernel/debug/kvm/4000-14/halt_exits", "400000\n");
	return ret;
}
