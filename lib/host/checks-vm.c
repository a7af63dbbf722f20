/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checks of a running VM: its threads, their CPUs, its memory, its exits. Its
 * configuration is in checks-vm-config.c.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rtkvm/plan.h>

#include "parse.h"
#include "read.h"
#include "vm.h"

/* kvm_exit and friends are counted here, by debugfs. */
#define EXITS_PER_SECOND 20000

static bool need_threads(struct host_facts *facts, struct host_finding *f)
{
	const struct host_vm *vm = facts->vm;
	char path[64];

	if (!vm) {
		host_say(f, HOST_NA, "no VM was named (--pid, --qmp)");
	} else if (vm->threads_err) {
		snprintf(path, sizeof(path), "/proc/%d/task", vm->pid);
		host_unreadable(facts, f, path, vm->threads_err);
	} else if (!vm->vcpus) {
		host_say(f, HOST_UNKNOWN, "none of the %zu threads of process %d is known for a vCPU",
			 vm->count, vm->pid);
	} else {
		return true;
	}
	return false;
}

static bool realtime(int policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

static int role_priority(const struct host_facts *facts, int role, int *policy)
{
	struct rtkvm_role_sched sched = { .size = sizeof(sched) };

	if (!facts->plan || rtkvm_plan_get_role(facts->plan, role, &sched) < 0)
		return -1;
	*policy = sched.policy == RTKVM_POLICY_FF ? SCHED_FIFO :
		  sched.policy == RTKVM_POLICY_RR ? SCHED_RR : SCHED_OTHER;
	return sched.priority;
}

static void check_vcpu_sched(struct host_facts *facts, const struct host_check *check,
			     struct host_finding *f)
{
	const struct host_vm_thread *first = NULL;
	int policy = SCHED_FIFO, priority = role_priority(facts, RTKVM_ROLE_VCPU, &policy);
	unsigned int wrong = 0;

	(void)check;
	if (!need_threads(facts, f))
		return;
	for (size_t i = 0; i < facts->vm->count; i++) {
		const struct host_vm_thread *t = &facts->vm->thread[i];

		if (!t->vcpu || (priority < 0 ? realtime(t->policy) :
						t->policy == policy && t->priority == priority))
			continue;
		if (!wrong++)
			first = t;
	}
	if (!wrong) {
		host_say(f, HOST_OK, "%zu vCPU threads are %s", facts->vm->vcpus,
			 priority < 0 ? "real-time" : "as planned");
		return;
	}
	host_say(f, HOST_FAIL, "%.20s (tid %d) is %s %d; %u of %zu vCPU threads are not %s",
		 first->comm, first->tid, realtime(first->policy) ? "real-time" : "SCHED_OTHER",
		 first->priority, wrong, facts->vm->vcpus, priority < 0 ? "real-time" : "as planned");
	host_remedy(f, RTKVM_REMEDY_COMMAND,
		    "for t in /proc/%d/task/*; do grep -qE '^(CPU [0-9]+/KVM|(crosvm_|fc_)?vcpu ?[0-9]+)$' "
		    "$t/comm && chrt %s -p %d ${t##*/}; done", facts->vm->pid,
		    policy == SCHED_RR ? "-r" : policy == SCHED_OTHER ? "-o" : "-f",
		    priority < 0 ? 1 : priority);
}

static void check_pinned(struct host_facts *facts, const struct host_check *check,
			 struct host_finding *f)
{
	const struct host_vm *vm = facts->vm;
	struct rtkvm_cpus used;
	char a[HOST_LIST];

	(void)check;
	if (!need_threads(facts, f))
		return;
	rtkvm_cpus_clear(&used);
	for (size_t i = 0; i < vm->count; i++) {
		const struct host_vm_thread *t = &vm->thread[i];
		int cpu;

		if (!t->vcpu)
			continue;
		if (t->cpus_err) {
			host_say(f, HOST_UNKNOWN, "CPUs of thread %d: %s", t->tid, strerror(-t->cpus_err));
			return;
		}
		cpu = rtkvm_cpus_next(&t->cpus, 0);
		if (rtkvm_cpus_count(&t->cpus) != 1)
			host_say(f, HOST_FAIL, "%.20s (tid %d) may run on CPUs %s", t->comm, t->tid,
				 host_list(&t->cpus, a));
		else if (rtkvm_cpus_has(&used, (unsigned int)cpu))
			host_say(f, HOST_FAIL, "%.20s (tid %d) shares CPU %d with another vCPU", t->comm,
				 t->tid, cpu);
		else {
			rtkvm_cpus_add(&used, (unsigned int)cpu);
			continue;
		}
		if (facts->realtime.err || host_empty(&facts->realtime.set))
			host_remedy(f, RTKVM_REMEDY_MANUAL, "pin each vCPU thread to an isolated CPU of "
							    "its own (taskset -pc CPU TID)");
		else
			host_remedy(f, RTKVM_REMEDY_COMMAND,
				    "set -- $(printf '%%s\\n' %s | tr , '\\n' | sed 's/-/ /' | while read a b; "
				    "do seq $a ${b:-$a}; done); for t in /proc/%d/task/*; do grep -qE "
				    "'^(CPU [0-9]+/KVM|(crosvm_|fc_)?vcpu ?[0-9]+)$' $t/comm && { taskset -pc $1 "
				    "${t##*/}; shift; }; done", host_list(&facts->realtime.set, a), vm->pid);
		return;
	}
	host_say(f, HOST_OK, "%zu vCPUs, each alone on one of CPUs %s", vm->vcpus, host_list(&used, a));
}

/* CPUs of all vCPU threads. */
static struct rtkvm_cpus vcpu_cpus(const struct host_vm *vm)
{
	struct rtkvm_cpus all;

	rtkvm_cpus_clear(&all);
	for (size_t i = 0; i < vm->count; i++)
		for (size_t w = 0; vm->thread[i].vcpu && w < RTKVM_CPULIST_WORDS; w++)
			all.bits[w] |= vm->thread[i].cpus.bits[w];
	return all;
}

static void check_isolated(struct host_facts *facts, const struct host_check *check,
			   struct host_finding *f)
{
	struct rtkvm_cpus cpus, outside;
	char a[HOST_LIST];

	(void)check;
	if (!need_threads(facts, f) || !host_need_realtime(facts, f))
		return;
	for (size_t i = 0; i < facts->vm->count; i++) {
		const struct host_vm_thread *t = &facts->vm->thread[i];

		if (t->vcpu && t->cpus_err) {
			host_say(f, HOST_UNKNOWN, "CPUs of thread %d: %s", t->tid, strerror(-t->cpus_err));
			return;
		}
	}
	cpus = vcpu_cpus(facts->vm);
	outside = host_minus(&cpus, &facts->realtime.set);
	if (host_empty(&outside)) {
		host_say(f, HOST_OK, "vCPUs run on real-time CPUs only");
		return;
	}
	host_say(f, HOST_FAIL, "vCPUs may run on CPUs %s, which are not isolated", host_list(&outside, a));
	host_remedy(f, RTKVM_REMEDY_MANUAL, "pin the vCPU threads to isolated CPUs (rtkvm doctor "
					    "--check vm-vcpu-pinned)");
}

/* Threads that are not vCPUs, of one kind, on vCPU CPUs. */
static void beside(struct host_facts *facts, struct host_finding *f, bool kernel, int bad)
{
	const struct host_vm *vm = facts->vm;
	const struct host_vm_thread *first = NULL;
	struct rtkvm_cpus cpus;
	unsigned int wrong = 0, seen = 0;
	char list[RTKVM_CPULIST_TEXT];

	if (!need_threads(facts, f))
		return;
	cpus = vcpu_cpus(vm);
	for (size_t i = 0; i < vm->count; i++) {
		const struct host_vm_thread *t = &vm->thread[i];
		struct rtkvm_cpus both;

		if (t->vcpu || t->kernel != kernel)
			continue;
		if (t->cpus_err) {
			host_say(f, HOST_UNKNOWN, "CPUs of thread %d: %s", t->tid, strerror(-t->cpus_err));
			return;
		}
		seen++;
		both = host_common(&t->cpus, &cpus);
		if (!host_empty(&both) && !wrong++)
			first = t;
	}
	if (!seen) {
		host_say(f, HOST_NA, kernel ? "no thread of the kernel belongs to this VM" :
					      "no other thread");
	} else if (!wrong) {
		host_say(f, HOST_OK, "%u threads keep off the vCPUs' CPUs", seen);
	} else {
		host_say(f, bad, "%.24s (tid %d) and %u more of %u may run on the vCPUs' CPUs",
			 first->comm, first->tid, wrong - 1, seen);
		if (host_empty(&facts->housekeeping) ||
		    rtkvm_cpus_print_list(&facts->housekeeping, list, sizeof(list)) < 0)
			return;
		if (kernel)
			host_remedy(f, RTKVM_REMEDY_COMMAND,
				    "for p in $(grep -lE '^(kvm-pit/|vhost-|kvm-nx-lpage-recovery-)%d$' "
				    "/proc/[0-9]*/comm); do p=${p%%/comm}; taskset -pc %s ${p##*/}; done",
				    vm->pid, list);
		else
			host_remedy(f, RTKVM_REMEDY_COMMAND,
				    "for t in /proc/%d/task/*; do grep -qE '^(CPU [0-9]+/KVM|(crosvm_|fc_)?vcpu "
				    "?[0-9]+)$' $t/comm || taskset -pc %s ${t##*/}; done", vm->pid, list);
	}
}

static void check_other_threads(struct host_facts *facts, const struct host_check *check,
				struct host_finding *f)
{
	(void)check;
	beside(facts, f, false, HOST_FAIL);
}

static void check_kernel_threads(struct host_facts *facts, const struct host_check *check,
				 struct host_finding *f)
{
	(void)check;
	beside(facts, f, true, HOST_WARN);
}

/* A text of the VM's process. false: said why not. */
static bool vm_text(struct host_facts *facts, struct host_finding *f, const char *name, char *text,
		    size_t size)
{
	char path[64];
	int ret;

	if (!facts->vm || !facts->vm->pid) {
		host_say(f, HOST_NA, "no VM was named (--pid, --qmp)");
		return false;
	}
	snprintf(path, sizeof(path), "/proc/%d/%s", facts->vm->pid, name);
	ret = host_text(facts, path, text, size);
	if (ret < 0)
		host_unreadable(facts, f, path, ret);
	return ret == 0;
}

static void check_locked(struct host_facts *facts, const struct host_check *check,
			 struct host_finding *f)
{
	uint64_t locked, size, swapped, huge = 0;
	char text[8192];

	(void)check;
	if (!vm_text(facts, f, "status", text, sizeof(text)))
		return;
	if (host_key_number(text, "VmLck", &locked) < 0 || host_key_number(text, "VmRSS", &size) < 0 ||
	    host_key_number(text, "VmSwap", &swapped) < 0) {
		host_say(f, HOST_UNKNOWN, "/proc/%d/status lacks VmLck, VmRSS or VmSwap", facts->vm->pid);
		return;
	}
	(void)host_key_number(text, "HugetlbPages", &huge);
	if (swapped) {
		host_say(f, HOST_FAIL, "%llu kB are swapped out", (unsigned long long)swapped);
		host_remedy(f, RTKVM_REMEDY_COMMAND, "swapoff -a");
	} else if (locked < size) {
		host_say(f, HOST_FAIL, "%llu of %llu kB are locked", (unsigned long long)locked,
			 (unsigned long long)size);
		host_remedy(f, RTKVM_REMEDY_MANUAL, "QEMU: -overcommit mem-lock=on; libvirt: "
			    "<memoryBacking><locked/>; with librtkvm: rtkvm_plan_go_realtime()");
	} else {
		host_say(f, HOST_OK, "%llu kB are locked, none is swapped out",
			 (unsigned long long)locked);
	}
}

static void check_hugepages(struct host_facts *facts, const struct host_check *check,
			    struct host_finding *f)
{
	uint64_t rss, priv = 0, shared = 0, anon = 0, huge;
	char text[8192];

	(void)check;
	if (!vm_text(facts, f, "smaps_rollup", text, sizeof(text)))
		return;
	if (host_key_number(text, "Rss", &rss) < 0 ||
	    host_key_number(text, "Private_Hugetlb", &priv) < 0 ||
	    host_key_number(text, "Shared_Hugetlb", &shared) < 0 ||
	    host_key_number(text, "AnonHugePages", &anon) < 0) {
		host_say(f, HOST_UNKNOWN, "/proc/%d/smaps_rollup lacks Rss or its hugepages", facts->vm->pid);
		return;
	}
	huge = priv + shared + anon;
	if (huge / 4 >= rss / 4 / 2 && huge) {
		host_say(f, HOST_OK, "%llu kB in hugepages, %llu kB resident",
			 (unsigned long long)huge, (unsigned long long)rss);
		return;
	}
	host_say(f, HOST_WARN, "%llu kB in hugepages, %llu kB resident", (unsigned long long)huge,
		 (unsigned long long)rss);
	host_remedy(f, RTKVM_REMEDY_MANUAL, "QEMU: -object memory-backend-file,mem-path=/dev/hugepages,"
		    "prealloc=on; libvirt: <memoryBacking><hugepages/>");
}

/* Fields 10 and 12 of stat, counted from 1, after the name. */
static bool faults_of(const char *stat, uint64_t *minor, uint64_t *major)
{
	const char *p = strrchr(stat, ')');
	unsigned long long a, b;

	if (!p || sscanf(p, ") %*c %*d %*d %*d %*d %*d %*u %llu %*u %llu", &a, &b) != 2)
		return false;
	*minor = a;
	*major = b;
	return true;
}

static void check_faults(struct host_facts *facts, const struct host_check *check,
			 struct host_finding *f)
{
	uint64_t minor, major;
	char text[2048];

	(void)check;
	if (!vm_text(facts, f, "stat", text, sizeof(text)))
		return;
	if (!faults_of(text, &minor, &major)) {
		host_say(f, HOST_UNKNOWN, "/proc/%d/stat is not understood", facts->vm->pid);
	} else if (major) {
		host_say(f, HOST_WARN, "%llu major faults since its start (%llu minor)",
			 (unsigned long long)major, (unsigned long long)minor);
		host_remedy(f, RTKVM_REMEDY_MANUAL, "lock its memory and fault it in before it is "
			    "real-time (QEMU: -overcommit mem-lock=on, prealloc=on)");
	} else {
		host_say(f, HOST_OK, "no major fault since its start (%llu minor)",
			 (unsigned long long)minor);
	}
}

/* Folder of the VM in debugfs: "PID-FD". */
static int one_debug(struct host_facts *facts, const char *name, void *arg)
{
	char *found = arg;
	char pid[16];
	size_t len;

	snprintf(pid, sizeof(pid), "%d-", facts->vm->pid);
	len = strlen(pid);
	if (strncmp(name, pid, len))
		return 0;
	snprintf(found, 64, "%.63s", name);
	return 1;
}

static void check_exits(struct host_facts *facts, const struct host_check *check,
			struct host_finding *f)
{
	static const char *const reasons[] = { "io_exits", "mmio_exits", "halt_exits",
					       "irq_window_exits", "irq_exits", "signal_exits",
					       "nmi_window_exits", "request_irq_exits" };
	static const char folder[] = "/sys/kernel/debug/kvm";
	char name[64] = "", path[128], stat[2048], up_text[64], worst[32] = "";
	unsigned long long start = 0, ticks = 100;
	int64_t exits, most = -1, value;
	double up;
	int ret;

	(void)check;
	if (!facts->vm || !facts->vm->pid) {
		host_say(f, HOST_NA, "no VM was named (--pid, --qmp)");
		return;
	}
	ret = host_each(facts, folder, one_debug, name);
	if (ret < 0 || !name[0]) {
		host_unreadable(facts, f, folder, ret < 0 ? ret : -ENOENT);
		f->needs_root = !facts->root;
		return;
	}
	snprintf(path, sizeof(path), "%s/%s/exits", folder, name);
	ret = host_number(facts, path, &exits);
	if (ret < 0) {
		host_unreadable(facts, f, path, ret);
		return;
	}
	if (!vm_text(facts, f, "stat", stat, sizeof(stat)))
		return;
	if (host_text(facts, "/proc/uptime", up_text, sizeof(up_text)) < 0 ||
	    sscanf(up_text, "%15lf", &up) != 1 || !strrchr(stat, ')') ||
	    sscanf(strrchr(stat, ')'), ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d "
		   "%*d %*d %*d %*d %llu", &start) != 1) {
		host_say(f, HOST_UNKNOWN, "/proc/uptime or /proc/%d/stat is not understood",
			 facts->vm->pid);
		return;
	}
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s/%s", folder, name, reasons[i]);
		if (host_number(facts, path, &value) == 0 && value > most) {
			most = value;
			snprintf(worst, sizeof(worst), "%s", reasons[i]);
		}
	}
	up -= (double)start / (double)ticks;
	if (up < 1)
		up = 1;
	if ((double)exits / up <= EXITS_PER_SECOND * (double)(facts->vm->vcpus ? facts->vm->vcpus : 1)) {
		host_say(f, HOST_OK, "%.0f exits a second on average, most of them %s", (double)exits / up,
			 worst[0] ? worst : "not told");
		return;
	}
	host_say(f, HOST_WARN, "%.0f exits a second on average, most of them %s", (double)exits / up,
		 worst[0] ? worst : "not told");
	host_remedy(f, RTKVM_REMEDY_MANUAL, "see why: perf kvm stat live -p %d", facts->vm->pid);
}

const struct host_check host_checks_vm[] = {
	{ "vm-vcpu-sched", "vm", "vCPU threads are real-time", check_vcpu_sched,
	  "A vCPU without real-time policy shares its CPU with every other thread by time slices.",
	  "sched(7); Kiszka, Towards Linux as a Real-Time Hypervisor (2009), section 4", NULL },
	{ "vm-vcpu-pinned", "vm", "one CPU for each vCPU", check_pinned,
	  "A vCPU that migrates loses its caches; two real-time vCPUs on one CPU starve each other, "
	  "and a guest that spins for the other one livelocks.",
	  "Documentation/virt/kvm/x86/; sched_setaffinity(2)", NULL },
	{ "vm-vcpu-isolated", "vm", "vCPUs on real-time CPUs", check_isolated,
	  "Outside of the isolated CPUs, everything else of the host runs too.",
	  "Documentation/admin-guide/kernel-parameters.txt, isolcpus", NULL },
	{ "vm-other-threads", "vm", "other threads keep off the vCPUs", check_other_threads,
	  "An I/O thread on a vCPU's CPU waits for it for ever, or delays it; the guest then waits for "
	  "its own disk.",
	  "Kiszka (2009), section 4: roles of QEMU's threads", NULL },
	{ "vm-kernel-threads", "vm", "its kernel threads keep off the vCPUs", check_kernel_threads,
	  "kvm-pit and vhost threads are made in the VM's name and inherit or lose its CPUs.",
	  "arch/x86/kvm/i8254.c; drivers/vhost/; kubevirt issue 9613", NULL },
	{ "vm-locked", "vm", "its memory is locked", check_locked,
	  "A page that is not locked can be reclaimed; the next access of the guest faults.", "mlock(2)",
	  NULL },
	{ "vm-hugepages", "vm", "its memory is in hugepages", check_hugepages,
	  "Each TLB miss walks two page tables; hugepages make both short.",
	  "Documentation/admin-guide/mm/hugetlbpage.rst; proc_pid_smaps(5)", NULL },
	{ "vm-faults", "vm", "no major page fault", check_faults,
	  "A major fault waits for a disk.", "proc_pid_stat(5), majflt", NULL },
	{ "vm-exits", "vm", "few exits", check_exits,
	  "Each exit costs 1 to 2 us, more when the VMM has to act.",
	  "Documentation/virt/kvm/api.rst, 4.133; /sys/kernel/debug/kvm", NULL },
	{ .id = NULL },
};
