/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Dedicated CPUs of vCPUs, on a made-up KVM (ioctl(2) below answers for it) and a
 * made-up machine: what is asked of the kernel and when, what a vCPU gets that is
 * refused, and what the report says. The real ones are in tests/emulated.
 */
#include <errno.h>
#include <linux/dedicated_cpu.h>
#include <linux/kvm.h>
#include <linux/kvm_dedicated.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <rtkvm/rtkvm.h>

#include "cpu/machine.h"
#include "support/test.h"

#define VCPUS 2
#define ONLINE "sys/devices/system/cpu/cpu%u/online"
#define DEDICATED "sys/devices/system/cpu/dedicated"

/* A vCPU's statistics, as KVM_GET_STATS_FD shows them. */
struct stats {
	struct kvm_stats_header header;
	char id[24];
	struct {
		uint32_t flags;
		int16_t exponent;
		uint16_t size;
		uint32_t offset, bucket;
		char name[32];
	} desc[2];
	uint64_t entries, active;
};

/* The made-up KVM. */
static struct {
	int vm, vcpu[VCPUS], stats[VCPUS + 1]; /* the last are the VM's */
	uint64_t features;       /* of the capability */
	int refuse;              /* errno of binding; 0: none */
	int refuse_cpu;          /* of this CPU only; -1: any */
	bool lies;               /* takes it and shows another CPU */
	int bound[VCPUS];
	struct kvm_dedicated_cpu asked; /* the last one */
	unsigned int sets, pmu_off;
	int claim;               /* descriptor of CPU 7 */
	bool privileged;
} kvm;
static struct machine m;
static struct rtkvm_vm *vm;
static struct rtkvm_vcpu *vcpu[VCPUS];

static void show(int i, uint64_t entries)
{
	struct stats s = {
		.header = { .name_size = 32, .num_desc = 2,
			    .id_offset = offsetof(struct stats, id),
			    .desc_offset = offsetof(struct stats, desc),
			    .data_offset = offsetof(struct stats, entries) },
		.desc = { { .size = 1, .offset = 0, .name = "ded_entries" },
			  { .size = 1, .offset = 8, .name = "ded_active" } },
		.entries = entries, .active = i < VCPUS && kvm.bound[i] >= 0,
	};

	if (i < VCPUS)
		snprintf(s.id, sizeof(s.id), "kvm-1/vcpu-%d", i);
	ck_assert_int_eq(pwrite(kvm.stats[i], &s, sizeof(s), 0), sizeof(s));
}

static void show_list(void)
{
	char text[32] = "";

	for (int i = 0; i < VCPUS; i++)
		if (kvm.bound[i] >= 0)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%d",
				 *text ? "," : "", kvm.bound[i]);
	strcat(text, "\n");
	test_write(m.root, DEDICATED, text);
}

static int fail_with(int err)
{
	errno = err;
	return -1;
}

/* By the file that a descriptor is open on: the library makes copies. */
static bool same(int a, int b)
{
	char one[64], two[64], path[32];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", a);
	n = readlink(path, one, sizeof(one));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", b);
	return n > 0 && readlink(path, two, sizeof(two)) == n && !memcmp(one, two, (size_t)n);
}

static int set(int i, struct kvm_dedicated_cpu *d)
{
	kvm.asked = *d;
	kvm.sets++;
	if (d->pad || d->flags || (d->cpu == -1 && d->cpu_fd != -1))
		return fail_with(EINVAL);
	if (d->cpu != -1 && d->cpu_fd == -1 && !kvm.privileged)
		return fail_with(EPERM);
	if (d->cpu_fd != -1 && (!same(d->cpu_fd, kvm.claim) || d->cpu != 7))
		return fail_with(EINVAL);
	if (d->cpu == -1) {
		if (kvm.bound[i] < 0)
			return fail_with(ENOENT);
		kvm.bound[i] = -1;
	} else {
		if (kvm.refuse && (kvm.refuse_cpu < 0 || kvm.refuse_cpu == d->cpu))
			return fail_with(kvm.refuse);
		if (!(d->features & KVM_DEDICATED_CPU_RUN) || (d->features & ~kvm.features))
			return fail_with(EINVAL);
		kvm.bound[i] = d->cpu;
	}
	show_list();
	show(i, 0);
	return 0;
}

static int vcpu_ioctl(int i, unsigned long request, void *arg)
{
	switch (request) {
	case KVM_GET_MP_STATE:
		return 0;
	case KVM_GET_STATS_FD:
		return dup(kvm.stats[i]);
	case KVM_SET_DEDICATED_CPU:
		return set(i, arg);
	case KVM_GET_DEDICATED_CPU:
		memset(arg, 0, sizeof(struct kvm_dedicated_cpu));
		((struct kvm_dedicated_cpu *)arg)->cpu = kvm.lies ? 1 : kvm.bound[i];
		((struct kvm_dedicated_cpu *)arg)->features = kvm.features & kvm.asked.features;
		return 0;
	case KVM_RUN:
		return fail_with(EINTR);
	default:
		return fail_with(EINVAL);
	}
}

static int vm_ioctl(unsigned long request, unsigned long arg)
{
	switch (request) {
	case KVM_CHECK_EXTENSION:
		if (arg == KVM_CAP_X86_DEDICATED_CPU)
			return (int)kvm.features;
		return arg == KVM_CAP_USER_MEMORY || arg == KVM_CAP_IMMEDIATE_EXIT;
	case KVM_ENABLE_CAP:
		if (((struct kvm_enable_cap *)arg)->cap == KVM_CAP_PMU_CAPABILITY)
			kvm.pmu_off++;
		return 0;
	case KVM_GET_STATS_FD:
		return dup(kvm.stats[VCPUS]);
	default:
		return fail_with(ENOTTY);
	}
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (same(fd, kvm.vm))
		return vm_ioctl(request, (unsigned long)arg);
	if (request == DEDICATED_CPU_NUMBER && same(fd, kvm.claim))
		return 7;
	for (int i = 0; i < VCPUS; i++)
		if (same(fd, kvm.vcpu[i]))
			return vcpu_ioctl(i, request, arg);
	return (int)syscall(SYS_ioctl, fd, request, arg);
}

static int file(const char *name, int i)
{
	char text[32];
	int fd;

	snprintf(text, sizeof(text), "%s%d", name, i);
	fd = memfd_create(text, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, 4096), 0);
	return fd;
}

static void setup(void)
{
	machine_make(&m, 8, 2, 1, CGROUP_NONE);
	memset(&kvm, 0, sizeof(kvm));
	kvm.features = KVM_DEDICATED_CPU_RUN;
	kvm.refuse_cpu = -1;
	kvm.privileged = true;
	kvm.vm = file("test-vm", 0);
	kvm.claim = file("test-claim", 0);
	for (int i = 0; i < VCPUS; i++) {
		kvm.bound[i] = -1;
		kvm.vcpu[i] = file("test-vcpu", i);
	}
	for (int i = 0; i <= VCPUS; i++) {
		kvm.stats[i] = file("test-stats", i);
		show(i, 0);
	}
	show_list();
	free(m.before);
	m.before = machine_text(&m);
}

static void teardown(void)
{
	close(kvm.vm);
	close(kvm.claim);
	for (int i = 0; i < VCPUS; i++)
		close(kvm.vcpu[i]);
	for (int i = 0; i <= VCPUS; i++)
		close(kvm.stats[i]);
	machine_free(&m);
}

static struct rtkvm_cpu_lease *lease_of(const char *cpus, int mode)
{
	struct rtkvm_cpu_request r = request_of(1);
	struct rtkvm_cpu_lease *lease;

	r.cpus = cpus;
	r.mode = mode;
	machine_lease(&m, &r, 0, &lease);
	return lease;
}

static void make_vm(uint32_t features)
{
	struct rtkvm_vm_options opt;

	rtkvm_vm_options_init(&opt, sizeof(opt));
	opt.features = features;
	ck_assert_int_eq(rtkvm_vm_new(m.rt, kvm.vm, NULL, &opt, &vm), 0);
	for (unsigned int i = 0; i < VCPUS; i++)
		ck_assert_int_eq(rtkvm_vcpu_new(vm, i, kvm.vcpu[i], &vcpu[i]), 0);
}

static char reason[512];

static int state(const char *feature)
{
	const struct rtkvm_report_item *item;
	struct rtkvm_report *report;
	int s;

	ck_assert_int_eq(rtkvm_vm_report(vm, &report), 0);
	item = rtkvm_report_find(report, feature);
	ck_assert_msg(item != NULL, "no item %s", feature);
	s = rtkvm_report_item_state(item);
	snprintf(reason, sizeof(reason), "%s%s", rtkvm_report_item_problem(item) ? "problem: " : "",
		 rtkvm_report_item_reason(item));
	rtkvm_report_free(report);
	return s;
}

#define ASSERT_STATE(feature, expected, text)                                            \
	do {                                                                             \
		int s_ = state(feature);                                                 \
		ck_assert_msg(s_ == (expected) && strstr(reason, text), "%s is %s: %s", feature, \
			      rtkvm_report_state_name(s_), reason);                      \
	} while (0)

static int cpu_online(unsigned int cpu)
{
	char path[64];

	snprintf(path, sizeof(path), ONLINE, cpu);
	return atoi(test_read(m.root, path));
}

/* One thread is that of both vCPUs here: they take turns. */
START_TEST(through_all_phases)
{
	struct rtkvm_cpu_lease *lease = lease_of("6-7", RTKVM_CPU_OFFLINE);
	struct rtkvm_dedicate_options opt;

	make_vm(RTKVM_VM_DEDICATED_CPU);
	ck_assert_uint_eq(kvm.pmu_off, 1);
	rtkvm_dedicate_options_init(&opt, sizeof(opt));
	ck_assert_uint_gt(opt.poll_ns, 0);
	opt.poll_ns = 777;
	opt.features = KVM_DEDICATED_CPU_FEATURES;
	ck_assert_int_eq(rtkvm_vcpu_dedicate(vcpu[0], lease, 1, &opt), 0);
	ck_assert_uint_eq(kvm.sets, 0);
	ASSERT_STATE("dedicated-cpu 0", RTKVM_STATE_ACCEPTED, "CPU 7: bound when");
	ck_assert_int_eq(rtkvm_vcpu_enter(vcpu[0]), 0);
	ck_assert_uint_eq(kvm.sets, 2); /* tried, and given back */
	ck_assert_int_eq(kvm.bound[0], -1);
	ASSERT_STATE("dedicated-cpu 0", RTKVM_STATE_ACCEPTED, "trial went well");
	ck_assert_int_eq(rtkvm_vm_go_realtime(vm, RTKVM_STRICT), 0);
	ck_assert_uint_eq(kvm.sets, 2); /* not by another thread: it could be in KVM_RUN */
	ck_assert_int_eq(rtkvm_vcpu_sync(vcpu[0]), 0);
	ck_assert_int_eq(kvm.bound[0], 7);
	ck_assert_uint_eq(kvm.asked.poll_ns, 777);
	ck_assert_uint_eq(kvm.asked.features, KVM_DEDICATED_CPU_RUN); /* what there is */
	ASSERT_STATE("dedicated-cpu 0", RTKVM_STATE_ACCEPTED, "not entered there yet");
	show(0, 5);
	ASSERT_STATE("dedicated-cpu 0", RTKVM_STATE_VERIFIED, "entered 5 times");
	ck_assert_ptr_nonnull(strstr(reason, "no more of those wanted"));
	ASSERT_STATE("dedicated-cpu", RTKVM_STATE_VERIFIED, "1");
	ck_assert_int_eq(rtkvm_vcpu_sync(vcpu[0]), 0);
	ck_assert_uint_eq(kvm.sets, 3);
	/* somebody else gives it back */
	kvm.bound[0] = -1;
	show(0, 5);
	ASSERT_STATE("dedicated-cpu 0", RTKVM_STATE_OFF, "problem: ");
	kvm.bound[0] = 7;
	show(0, 5);
	ck_assert_int_eq(rtkvm_vm_leave_realtime(vm), 0);
	ck_assert_int_eq(kvm.bound[0], 7);
	ck_assert_int_eq(rtkvm_vcpu_sync(vcpu[0]), 0);
	ck_assert_int_eq(kvm.bound[0], -1);
	ck_assert_int_eq(rtkvm_vm_go_realtime(vm, 0), 0);
	ck_assert_int_eq(rtkvm_vcpu_sync(vcpu[0]), 0);
	ck_assert_int_eq(kvm.bound[0], 7);
	if (_i)
		ck_assert_int_eq(rtkvm_vcpu_leave(vcpu[0]), 0);
	else
		rtkvm_vcpu_free(vcpu[0]);
	ck_assert_int_eq(kvm.bound[0], -1);
	ck_assert_int_eq(cpu_online(7), 0); /* the lease's until it ends */
	rtkvm_vm_free(vm);
	ck_assert_int_eq(rtkvm_cpu_lease_release(lease, NULL), 0);
	ck_assert_int_eq(cpu_online(7), 1);
}
END_TEST

/* What becomes of a vCPU that is refused: nothing, or strictly, an error. */
static const struct {
	uint64_t features;
	int refuse;
	const char *file, *text;
} refusals[] = {
	{ 0, 0, NULL, "enable_apicv=0" },
	{ 0, 0, "kvm_amd/parameters/avic", "avic=0" },
	{ KVM_DEDICATED_CPU_RUN, EPERM, NULL, "CAP_SYS_ADMIN" },
	{ KVM_DEDICATED_CPU_RUN, EBUSY, NULL, "another vCPU has it" },
	{ KVM_DEDICATED_CPU_RUN, EOPNOTSUPP, NULL, "rtkvm_vm_edit_cpuid" },
	{ KVM_DEDICATED_CPU_RUN, EINVAL, NULL, "online" },
};

START_TEST(refused)
{
	struct rtkvm_cpu_lease *lease = lease_of("6-7", RTKVM_CPU_OFFLINE);
	struct rtkvm_report *report;

	test_write(m.root, refusals[_i].file ? "sys/module/kvm_amd/parameters/avic" :
					       "sys/module/kvm_intel/parameters/enable_apicv", "Y\n");
	kvm.features = refusals[_i].features;
	kvm.refuse = refusals[_i].refuse;
	make_vm(RTKVM_VM_DEDICATED_CPU);
	ck_assert_int_eq(rtkvm_vcpu_dedicate(vcpu[0], lease, 0, NULL), 0);
	ck_assert_int_eq(rtkvm_vcpu_dedicate(vcpu[1], lease, 1, NULL), 0);
	ck_assert_int_eq(rtkvm_vcpu_enter(vcpu[0]), 0);
	ck_assert_int_eq(rtkvm_vm_go_realtime(vm, RTKVM_STRICT), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(rtkvm_last_error(), refusals[_i].text));
	ck_assert_str_eq(rtkvm_last_error_where(), "dedicated-cpu");
	ck_assert_int_eq(cpu_online(6), 0); /* a failed call leaves everything as it was */
	ck_assert_int_eq(rtkvm_vm_go_realtime(vm, 0), 0);
	ck_assert_int_eq(cpu_online(6), 1);
	ck_assert_int_eq(cpu_online(7), 0); /* of the other vCPU, which has not entered */
	ck_assert_int_eq(rtkvm_cpu_lease_get_mode(lease), RTKVM_CPU_OFFLINE);
	ck_assert_int_eq(rtkvm_vcpu_sync(vcpu[0]), 0);
	ck_assert_int_eq(kvm.bound[0], -1);
	/* threads cannot be put anywhere in a made-up tree */
	ASSERT_STATE("dedicated-cpu 0", RTKVM_STATE_OFF, refusals[_i].text);
	ck_assert_ptr_nonnull(strstr(reason, "problem: "));
	ASSERT_STATE("dedicated-cpu", RTKVM_STATE_OFF, refusals[_i].text);
	test_write(m.root, "sys/devices/system/cpu/online", "0-6\n");
	ck_assert_int_eq(rtkvm_cpu_lease_report(lease, &report), 0);
	ck_assert_ptr_nonnull(strstr(rtkvm_report_item_reason(rtkvm_report_find(report, "mode")),
				     "but for 6"));
	rtkvm_report_free(report);
	test_write(m.root, "sys/devices/system/cpu/online", "0-7\n");
	/* entered late: then nothing is offline any more, and the lease is an ordinary one */
	ck_assert_int_eq(rtkvm_vcpu_leave(vcpu[0]), 0);
	ck_assert_int_eq(rtkvm_vcpu_enter(vcpu[1]), 0);
	ck_assert_int_eq(cpu_online(7), 1);
	ck_assert_int_eq(rtkvm_cpu_lease_get_mode(lease), RTKVM_CPU_AFFINITY);
	rtkvm_vm_free(vm);
	ck_assert_int_eq(rtkvm_cpu_lease_release(lease, NULL), 0);
	ck_assert_uint_eq(machine_journals(&m), 0);
}
END_TEST

/* A kernel without any of it says so. */
START_TEST(ordinary_kernel)
{
	char path[4400];

	snprintf(path, sizeof(path), "%s/" DEDICATED, m.root);
	ck_assert_int_eq(unlink(path), 0);
	kvm.features = 0;
	make_vm(RTKVM_VM_DEDICATED_CPU);
	ck_assert_uint_eq(kvm.pmu_off, 0);
	ASSERT_STATE("dedicated-cpu", RTKVM_STATE_OFF, "CONFIG_X86_DEDICATED_CPU");
	rtkvm_vm_free(vm);
}
END_TEST

/* One gets its CPU, one does not. */
START_TEST(one_of_two)
{
	struct rtkvm_cpu_lease *lease = lease_of("6-7", RTKVM_CPU_OFFLINE);

	kvm.refuse = EBUSY;
	kvm.refuse_cpu = 7;
	make_vm(RTKVM_VM_DEDICATED_CPU);
	ck_assert_int_eq(rtkvm_vcpu_dedicate(vcpu[0], lease, 0, NULL), 0);
	ck_assert_int_eq(rtkvm_vcpu_dedicate(vcpu[1], lease, 1, NULL), 0);
	ck_assert_int_eq(rtkvm_vcpu_enter(vcpu[1]), 0);
	ck_assert_int_eq(rtkvm_vcpu_enter(vcpu[0]), 0);
	ck_assert_int_eq(rtkvm_vm_go_realtime(vm, 0), 0);
	ck_assert_int_eq(rtkvm_vcpu_sync(vcpu[0]), 0);
	ck_assert_int_eq(rtkvm_vcpu_sync(vcpu[1]), 0);
	ck_assert_int_eq(kvm.bound[0], 6);
	ck_assert_int_eq(cpu_online(6), 0);
	ck_assert_int_eq(cpu_online(7), 1);
	show(0, 1);
	ASSERT_STATE("dedicated-cpu 0", RTKVM_STATE_VERIFIED, "CPU 6");
	ASSERT_STATE("dedicated-cpu 1", RTKVM_STATE_OFF, "CPU 7");
	ASSERT_STATE("dedicated-cpu", RTKVM_STATE_OFF, "vCPU 1");
	ck_assert_int_eq(rtkvm_vcpu_leave(vcpu[0]), 0);
	rtkvm_vm_free(vm);
	ck_assert_int_eq(rtkvm_cpu_lease_release(lease, NULL), 0);
	machine_assert_as_before(&m);
}
END_TEST

/* The trial went well, and then somebody was faster; or the kernel shows another CPU. */
START_TEST(lost_later)
{
	struct rtkvm_cpu_lease *lease = lease_of("7", RTKVM_CPU_OFFLINE);

	make_vm(RTKVM_VM_DEDICATED_CPU);
	ck_assert_int_eq(rtkvm_vcpu_dedicate(vcpu[0], lease, 0, NULL), 0);
	ck_assert_int_eq(rtkvm_vcpu_enter(vcpu[0]), 0);
	if (_i)
		kvm.lies = true;
	else
		kvm.refuse = EBUSY;
	ck_assert_int_eq(rtkvm_vm_go_realtime(vm, 0), 0);
	ck_assert_int_eq(rtkvm_vcpu_sync(vcpu[0]), -EIO);
	ck_assert_int_eq(kvm.bound[0], -1);
	ck_assert_int_eq(rtkvm_vcpu_sync(vcpu[0]), 0);
	ASSERT_STATE("dedicated-cpu 0", RTKVM_STATE_OFF, "problem: CPU 7 was to be had");
	rtkvm_vm_free(vm);
	ck_assert_int_eq(rtkvm_cpu_lease_release(lease, NULL), 0);
}
END_TEST

/* Not strict, but this vCPU is to have its CPU or nothing. */
START_TEST(no_fallback)
{
	struct rtkvm_cpu_lease *lease = lease_of("6-7", RTKVM_CPU_OFFLINE);
	struct rtkvm_dedicate_options opt;

	make_vm(RTKVM_VM_DEDICATED_CPU | RTKVM_VM_TSC); /* which is off here */
	rtkvm_dedicate_options_init(&opt, sizeof(opt));
	opt.flags = RTKVM_DEDICATE_NO_FALLBACK;
	kvm.refuse = _i ? EPERM : 0;
	ck_assert_int_eq(rtkvm_vcpu_dedicate(vcpu[1], lease, 0, &opt), 0);
	ck_assert_int_eq(rtkvm_vcpu_enter(vcpu[1]), 0);
	ck_assert_int_eq(rtkvm_vm_go_realtime(vm, 0), _i ? -EOPNOTSUPP : 0);
	if (_i) {
		ck_assert_str_eq(rtkvm_last_error_where(), "dedicated-cpu 1");
		ck_assert_ptr_nonnull(strstr(rtkvm_last_error(), "CAP_SYS_ADMIN"));
		ck_assert_int_eq(cpu_online(6), 0);
	}
	rtkvm_vm_free(vm);
	ck_assert_int_eq(rtkvm_cpu_lease_release(lease, NULL), 0);
	machine_assert_as_before(&m);
}
END_TEST

START_TEST(asked_wrongly)
{
	struct rtkvm_cpu_lease *lease = lease_of("6-7", RTKVM_CPU_OFFLINE);
	struct rtkvm_dedicate_options opt;

	make_vm(0);
	ck_assert_int_eq(rtkvm_vcpu_dedicate(vcpu[0], lease, 0, NULL), -EINVAL);
	rtkvm_vm_free(vm);
	make_vm(RTKVM_VM_DEDICATED_CPU);
#define WRONG(change, err)                                                         \
	do {                                                                       \
		rtkvm_dedicate_options_init(&opt, sizeof(opt));                    \
		opt.change;                                                        \
		ck_assert_int_eq(rtkvm_vcpu_dedicate(vcpu[0], lease, 0, &opt), err); \
	} while (0)
	WRONG(features = 0, -EINVAL);
	WRONG(features = KVM_DEDICATED_CPU_IRQ, -EINVAL);
	WRONG(features |= 1ULL << 40, -EINVAL);
	WRONG(poll_ns = 1000000001, -EINVAL);
	WRONG(flags = 2, -EINVAL);
	WRONG(reserved[4] = 1, -E2BIG);
	WRONG(size = 0, -EINVAL);
	ck_assert_int_eq(rtkvm_vcpu_dedicate(NULL, lease, 0, NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_vcpu_dedicate(vcpu[0], NULL, 0, NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_vcpu_dedicate(vcpu[0], lease, 2, NULL), -EINVAL);
	ck_assert_int_eq(rtkvm_vcpu_dedicate(vcpu[0], lease, 0, NULL), 0);
	ck_assert_int_eq(rtkvm_vcpu_dedicate(vcpu[1], lease, 0, NULL), -EBUSY);
	ck_assert_int_eq(rtkvm_vcpu_enter(vcpu[0]), 0);
	ck_assert_int_eq(rtkvm_vcpu_dedicate(vcpu[0], lease, 1, NULL), -EBUSY);
	rtkvm_vm_free(vm);
	ck_assert_int_eq(rtkvm_cpu_lease_release(lease, NULL), 0);
}
END_TEST

/* Without privilege: refused, and with the descriptor of the CPU not. */
START_TEST(passed)
{
	struct rtkvm_cpu_lease *lease = lease_of("6-7", RTKVM_CPU_OFFLINE), *mine;
	struct rtkvm_report *report;

	ck_assert_int_eq(rtkvm_cpu_lease_claim(lease, 0), -EOPNOTSUPP); /* made up */
	ck_assert_int_eq(rtkvm_cpu_lease_claim(lease, 2), -EINVAL);
	ck_assert_int_eq(rtkvm_cpu_lease_claim(NULL, 0), -EINVAL);
	kvm.privileged = false;
	ck_assert_int_eq(rtkvm_cpu_lease_from_fd(m.rt, rtkvm_cpu_lease_fd(lease), &mine), 0);
	ck_assert_int_eq(rtkvm_cpu_lease_add_claim(NULL, kvm.claim), -EINVAL);
	ck_assert_int_eq(rtkvm_cpu_lease_add_claim(mine, -1), -EBADF);
	ck_assert_int_eq(rtkvm_cpu_lease_add_claim(mine, rtkvm_cpu_lease_fd(lease)), -EBADMSG);
	for (int with = 0; with < 2; with++) {
		make_vm(RTKVM_VM_DEDICATED_CPU);
		if (with) {
			ck_assert_int_eq(rtkvm_cpu_lease_add_claim(mine, kvm.claim), 7);
			ck_assert_int_eq(rtkvm_cpu_lease_add_claim(mine, kvm.claim), -EEXIST);
		}
		ck_assert_int_eq(rtkvm_vcpu_dedicate(vcpu[0], mine, 1, NULL), 0);
		ck_assert_int_eq(rtkvm_vcpu_enter(vcpu[0]), 0);
		ck_assert_int_eq(rtkvm_vm_go_realtime(vm, RTKVM_STRICT), with ? 0 : -EOPNOTSUPP);
		if (with) {
			ck_assert_int_eq(rtkvm_vcpu_sync(vcpu[0]), 0);
			ck_assert_int_eq(kvm.bound[0], 7);
			ck_assert_int_eq(rtkvm_cpu_lease_report(mine, &report), 0);
			ck_assert_ptr_nonnull(strstr(rtkvm_report_item_reason(
				rtkvm_report_find(report, "claims")), "CPUs 7"));
			rtkvm_report_free(report);
		} else {
			ck_assert_ptr_nonnull(strstr(rtkvm_last_error(), "rtkvm_cpu_lease_claim()"));
			/* who has it by a descriptor cannot take it online */
			ck_assert_int_eq(rtkvm_vm_go_realtime(vm, 0), 0);
			ck_assert_int_eq(cpu_online(7), 0);
			ASSERT_STATE("dedicated-cpu 0", RTKVM_STATE_OFF, "rtkvm_cpu_lease_claim()");
		}
		rtkvm_vm_free(vm);
		ck_assert_int_eq(kvm.bound[0], -1);
	}
	ck_assert_int_eq(rtkvm_cpu_lease_release(mine, NULL), 0);
	/* one that has not got that CPU */
	ck_assert_int_eq(rtkvm_cpu_lease_release(lease, NULL), 0);
	lease = lease_of("6", RTKVM_CPU_OFFLINE);
	ck_assert_int_eq(rtkvm_cpu_lease_add_claim(lease, kvm.claim), -EXDEV);
	ck_assert_int_eq(rtkvm_cpu_lease_release(lease, NULL), 0);
	machine_assert_as_before(&m);
}
END_TEST

/* An affinity lease: an ordinary vCPU, and nothing is asked of KVM. */
START_TEST(other_leases)
{
	struct rtkvm_cpu_lease *lease = lease_of("7", RTKVM_CPU_AFFINITY);

	make_vm(RTKVM_VM_DEDICATED_CPU);
	ck_assert_int_eq(rtkvm_vcpu_dedicate(vcpu[0], lease, 0, NULL), 0);
	ck_assert_int_eq(rtkvm_vcpu_enter(vcpu[0]), 0);
	ck_assert_int_eq(rtkvm_vm_go_realtime(vm, 0), 0);
	ck_assert_int_eq(rtkvm_vcpu_sync(vcpu[0]), 0);
	ck_assert_uint_eq(kvm.sets, 0);
	ASSERT_STATE("dedicated-cpu 0", RTKVM_STATE_OFF, "not in offline mode");
	rtkvm_vm_free(vm);
	ck_assert_int_eq(rtkvm_cpu_lease_release(lease, NULL), 0);
	machine_assert_as_before(&m);
}
END_TEST

static const char *status_of(const char *feature)
{
	const struct rtkvm_report_item *item;
	struct rtkvm_report *report;

	ck_assert_int_eq(rtkvm_status(m.rt, &report), 0);
	item = rtkvm_report_find(report, feature);
	snprintf(reason, sizeof(reason), "%s", item ? rtkvm_report_item_reason(item) : "no item");
	rtkvm_report_free(report);
	return reason;
}

START_TEST(status)
{
	struct rtkvm_cpu_lease *lease;

	test_write(m.root, DEDICATED, "5-6\n");
	ck_assert_ptr_nonnull(strstr(status_of("dedicated-cpu 6"), "of no lease"));
	lease = lease_of("6-7", RTKVM_CPU_OFFLINE);
	ck_assert_ptr_nonnull(strstr(status_of("dedicated-cpu 6"), "of lease \"cpus\""));
	ck_assert_ptr_nonnull(strstr(status_of("dedicated-cpu 5"), "of no lease"));
	ck_assert_str_eq(status_of("dedicated-cpu 7"), "no item");
	ck_assert_int_eq(rtkvm_cpu_lease_release(lease, NULL), 0);
	test_write(m.root, DEDICATED, "\n");
	ck_assert_str_eq(status_of("dedicated-cpu 6"), "no item");
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *s = suite_create("kvm-dedicated");
	TCase *tc = tcase_create("dedicated");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, through_all_phases, 0, 2);
	tcase_add_loop_test(tc, refused, 0, sizeof(refusals) / sizeof(refusals[0]));
	tcase_add_test(tc, ordinary_kernel);
	tcase_add_test(tc, one_of_two);
	tcase_add_loop_test(tc, lost_later, 0, 2);
	tcase_add_loop_test(tc, no_fallback, 0, 2);
	tcase_add_test(tc, asked_wrongly);
	tcase_add_test(tc, other_leases);
	tcase_add_test(tc, passed);
	tcase_add_test(tc, status);
	suite_add_tcase(s, tc);
	return s;
}
