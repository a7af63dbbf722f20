/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whole made-up hosts: what the checks say of each, of an empty tree, of one
 * full of traps, and of trees changed at random (the seed is printed; to have
 * it again: RTKVM_SEED).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <rtkvm/host.h>

#include "host/sim.h"
#include "support/test.h"

static struct rtkvm_host *probe(const char *dir, bool vm)
{
	struct rtkvm_host_options opt;
	struct rtkvm_options options;
	struct rtkvm_host *host;
	struct rtkvm *rt;
	int ret;

	rtkvm_options_init(&options, sizeof(options));
	options.root = dir;
	ck_assert_int_eq(rtkvm_new(&options, &rt), 0);
	rtkvm_host_options_init(&opt, sizeof(opt));
	opt.pid = vm ? SIM_VM : 0;
	ret = rtkvm_host_probe(rt, &opt, &host);
	/* a VM's process that is gone is an error, not a result */
	if (ret == -ESRCH && vm) {
		opt.pid = 0;
		ret = rtkvm_host_probe(rt, &opt, &host);
	}
	ck_assert_msg(ret == 0, "%s", rtkvm_last_error());
	rtkvm_free(rt);
	return host;
}

static int verdict(const struct rtkvm_host *host, const char *id)
{
	const struct rtkvm_check *check = rtkvm_host_find(host, id);

	ck_assert_msg(check != NULL, "no check %s", id);
	return rtkvm_check_verdict(check);
}

/* What holds of any result of any tree. */
static void well_formed(const struct rtkvm_host *host)
{
	const struct rtkvm_check *check = NULL;
	size_t sum = 0;

	while ((check = rtkvm_host_next(host, check))) {
		const char *value = rtkvm_check_value(check), *remedy = rtkvm_check_remedy(check);
		int v = rtkvm_check_verdict(check);

		ck_assert_int_ge(v, 0);
		ck_assert_int_le(v, RTKVM_VERDICT_UNKNOWN);
		ck_assert_msg(value[0], "%s says nothing", rtkvm_check_id(check));
		ck_assert_str_ne(value, "the check said nothing");
		for (const char *p = value; *p; p++)
			ck_assert(*p >= ' ' && *p <= '~');
		for (const char *p = remedy; *p; p++)
			ck_assert(*p >= ' ' && *p <= '~');
		ck_assert((rtkvm_check_remedy_kind(check) == RTKVM_REMEDY_NONE) == !remedy[0]);
		/* nothing is to be done about what is fine or not known */
		if (v != RTKVM_VERDICT_WARN && v != RTKVM_VERDICT_FAIL)
			ck_assert_msg(!remedy[0], "%s: %s", rtkvm_check_id(check), remedy);
	}
	for (int v = 0; v <= RTKVM_VERDICT_UNKNOWN; v++)
		sum += rtkvm_host_count_verdict(host, v);
	ck_assert_uint_eq(sum, rtkvm_host_count(host));
}

static struct rtkvm_host *made(const char *name)
{
	const char *dir = test_fast_tmpdir();
	struct rtkvm_host *host;

	ck_assert_int_eq(sim_make(dir, sim_named(name)), 0);
	host = probe(dir, sim_named(name)->vm);
	well_formed(host);
	return host;
}

static void none_but(const struct rtkvm_host *host, int wanted, const char *const *allowed)
{
	const struct rtkvm_check *check = NULL;

	while ((check = rtkvm_host_next(host, check))) {
		bool may = false;

		for (size_t i = 0; allowed[i]; i++)
			may |= !strcmp(allowed[i], rtkvm_check_id(check));
		ck_assert_msg(rtkvm_check_verdict(check) != wanted || may, "%s: %s: %s",
			      rtkvm_check_id(check), rtkvm_verdict_name(wanted), rtkvm_check_value(check));
	}
}

#define NONE ((const char *const[]){ NULL })

START_TEST(tuned_intel_server)
{
	struct rtkvm_host *host = made("intel");
	char cpus[64];

	none_but(host, RTKVM_VERDICT_FAIL, NONE);
	none_but(host, RTKVM_VERDICT_WARN, NONE);
	/* only QMP tells it */
	none_but(host, RTKVM_VERDICT_UNKNOWN, (const char *const[]){ "vm-dirty-log", NULL });
	ck_assert_int_eq(verdict(host, "virt-posted"), RTKVM_VERDICT_OK);
	ck_assert_int_eq(verdict(host, "kvm-npt"), RTKVM_VERDICT_NOT_APPLICABLE);
	ck_assert_str_eq(rtkvm_check_value(rtkvm_host_find(host, "cpu-cstates")),
			 "C-states of 133 us are held off; cpu_dma_latency: 0 us by latencyd (pid 900)");
	ck_assert_int_eq(rtkvm_host_get_cpus(host, RTKVM_CPUS_REALTIME, cpus, sizeof(cpus)), 3);
	ck_assert_str_eq(cpus, "4-7");
	rtkvm_host_get_cpus(host, RTKVM_CPUS_HOUSEKEEPING, cpus, sizeof(cpus));
	ck_assert_str_eq(cpus, "0-3");
	ck_assert_int_eq(rtkvm_host_get_node(host, 3), 0);
	ck_assert_int_eq(rtkvm_host_get_node(host, 4), 1);
	ck_assert_int_eq(rtkvm_host_get_node(host, 8), -ENODATA);
	rtkvm_host_free(host);
}
END_TEST

START_TEST(tuned_amd_server)
{
	struct rtkvm_host *host = made("amd");

	none_but(host, RTKVM_VERDICT_FAIL, NONE);
	none_but(host, RTKVM_VERDICT_WARN, NONE);
	ck_assert_int_eq(verdict(host, "virt-apicv"), RTKVM_VERDICT_OK);
	ck_assert_int_eq(verdict(host, "virt-posted"), RTKVM_VERDICT_OK);
	ck_assert_int_eq(verdict(host, "kvm-ept"), RTKVM_VERDICT_NOT_APPLICABLE);
	ck_assert_int_eq(verdict(host, "cpu-smi"), RTKVM_VERDICT_NOT_APPLICABLE);
	rtkvm_host_free(host);
}
END_TEST

/* Dedicated CPUs need APICv and AVIC off. */
START_TEST(dedicated_cpus)
{
	const char *dir = test_fast_tmpdir(), *off = "sys/module/kvm_intel/parameters/enable_apicv";
	struct rtkvm_host *host;

	ck_assert_int_eq(sim_make(dir, sim_named("intel")), 0);
	ck_assert_int_eq(sim_write(dir, "sys/devices/system/cpu/dedicated", "6-7\n"), 0);
	host = probe(dir, false);
	ck_assert_int_eq(verdict(host, "virt-apicv"), RTKVM_VERDICT_OK);
	ck_assert_ptr_nonnull(strstr(rtkvm_check_value(rtkvm_host_find(host, "virt-apicv")),
				     "excludes dedicated CPUs"));
	rtkvm_host_free(host);
	ck_assert_int_eq(sim_write(dir, off, "N\n"), 0);
	host = probe(dir, false);
	ck_assert_int_eq(verdict(host, "virt-apicv"), RTKVM_VERDICT_OK);
	ck_assert_ptr_nonnull(strstr(rtkvm_check_value(rtkvm_host_find(host, "virt-apicv")), "(6-7)"));
	rtkvm_host_free(host);
	/* the kernel can, but none is dedicated: off for nothing */
	ck_assert_int_eq(sim_write(dir, "sys/devices/system/cpu/dedicated", "\n"), 0);
	host = probe(dir, false);
	ck_assert_int_eq(verdict(host, "virt-apicv"), RTKVM_VERDICT_WARN);
	rtkvm_host_free(host);
}
END_TEST

/* What the CPU lacks no parameter gives. */
START_TEST(parameters_that_the_cpu_lacks)
{
	const char *dir = test_fast_tmpdir();
	struct rtkvm_host *host;

	ck_assert_int_eq(sim_make(dir, sim_named("amd")), 0);
	ck_assert_int_eq(sim_write(dir, "sys/module/kvm_amd/parameters/vgif", "0\n"), 0);
	host = probe(dir, false);
	ck_assert_int_eq(rtkvm_check_remedy_kind(rtkvm_host_find(host, "kvm-vgif")), RTKVM_REMEDY_COMMAND);
	rtkvm_host_free(host);
	ck_assert_int_eq(sim_write(dir, "proc/cpuinfo", "processor\t: 0\nvendor_id\t: AuthenticAMD\n"
				   "flags\t\t: svm npt vgif_not\n"), 0);
	host = probe(dir, false);
	ck_assert_int_eq(verdict(host, "kvm-vgif"), RTKVM_VERDICT_WARN);
	ck_assert_int_eq(rtkvm_check_remedy_kind(rtkvm_host_find(host, "kvm-vgif")), RTKVM_REMEDY_MANUAL);
	rtkvm_host_free(host);
}
END_TEST

START_TEST(laptop_without_iommu)
{
	struct rtkvm_host *host = made("laptop");

	ck_assert_int_eq(verdict(host, "cpu-isolated"), RTKVM_VERDICT_FAIL);
	ck_assert_int_eq(verdict(host, "cpu-nohz-full"), RTKVM_VERDICT_NOT_APPLICABLE);
	ck_assert_int_eq(verdict(host, "sched-preempt"), RTKVM_VERDICT_FAIL);
	ck_assert_int_eq(verdict(host, "sched-rt-group"), RTKVM_VERDICT_FAIL);
	ck_assert_int_eq(verdict(host, "cpu-cstates"), RTKVM_VERDICT_FAIL);
	ck_assert_int_eq(verdict(host, "cpu-governor"), RTKVM_VERDICT_WARN);
	ck_assert_int_eq(verdict(host, "virt-iommu"), RTKVM_VERDICT_WARN);
	ck_assert_int_eq(verdict(host, "virt-posted"), RTKVM_VERDICT_NOT_APPLICABLE);
	ck_assert_int_eq(verdict(host, "mem-ksm"), RTKVM_VERDICT_FAIL);
	ck_assert_int_eq(verdict(host, "mem-swap"), RTKVM_VERDICT_WARN);
	ck_assert_int_eq(verdict(host, "kvm-nx-huge-pages"), RTKVM_VERDICT_FAIL);
	rtkvm_host_free(host);
}
END_TEST

START_TEST(container_with_hybrid_cgroups)
{
	struct rtkvm_host *host = made("container");

	ck_assert_int_eq(verdict(host, "sched-rt-group"), RTKVM_VERDICT_FAIL);
	ck_assert_int_eq(verdict(host, "virt-kvm"), RTKVM_VERDICT_FAIL);
	ck_assert_int_eq(verdict(host, "kvm-cap-irqfd"), RTKVM_VERDICT_NOT_APPLICABLE);
	ck_assert_int_eq(verdict(host, "virt-iommu"), RTKVM_VERDICT_WARN);
	ck_assert_int_eq(verdict(host, "virt-x2apic"), RTKVM_VERDICT_UNKNOWN);
	ck_assert_int_eq(verdict(host, "sched-tracer"), RTKVM_VERDICT_UNKNOWN);
	ck_assert_int_eq(verdict(host, "sched-ksoftirqd"), RTKVM_VERDICT_NOT_APPLICABLE);
	rtkvm_host_free(host);
}
END_TEST

START_TEST(big_host)
{
	struct rtkvm_host *host = made("big");
	const struct rtkvm_check *check;
	char cpus[64];

	none_but(host, RTKVM_VERDICT_FAIL, NONE);
	/* 224 real-time CPUs of 8 nodes are those of many VMs */
	none_but(host, RTKVM_VERDICT_WARN, (const char *const[]){ "cpu-numa", NULL });
	ck_assert_int_eq(verdict(host, "cpu-numa"), RTKVM_VERDICT_WARN);
	ck_assert_int_eq(rtkvm_host_get_node(host, 255), 7);
	rtkvm_host_get_cpus(host, RTKVM_CPUS_REALTIME, cpus, sizeof(cpus));
	ck_assert_str_eq(cpus, "32-255");
	check = rtkvm_host_find(host, "irq-affinity");
	ck_assert_ptr_nonnull(strstr(rtkvm_check_value(check), "none of 4000 IRQs"));
	rtkvm_host_free(host);
}
END_TEST

/* It tells nothing, so nothing is said of it. */
START_TEST(empty_tree)
{
	struct rtkvm_host *host = probe(test_fast_tmpdir(), false);

	well_formed(host);
	none_but(host, RTKVM_VERDICT_OK, NONE);
	none_but(host, RTKVM_VERDICT_WARN, NONE);
	none_but(host, RTKVM_VERDICT_FAIL, NONE);
	none_but(host, RTKVM_VERDICT_NOT_APPLICABLE, NONE);
	rtkvm_host_free(host);
}
END_TEST

/* ---- trees changed at random -------------------------------------------------- */

static unsigned long long state;

static unsigned int dice(unsigned int n)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned int)(state >> 33) % n;
}

static void seed(void)
{
	const char *given = getenv("RTKVM_SEED");

	state = given ? strtoull(given, NULL, 0) : (unsigned long long)time(NULL) * 1000003 +
							   (unsigned long long)getpid();
	printf("# seed: RTKVM_SEED=%llu\n", state);
	fflush(stdout);
}

/* A trap in place of a file. */
static void trap(const char *dir, const char *path)
{
	static char huge[1 << 18];
	char full[1024];

	snprintf(full, sizeof(full), "%s/%s", dir, path);
	if (unlink(full) < 0)
		return;
	switch (dice(7)) {
	case 0:
		mkfifo(full, 0644);
		break;
	case 1:
		mkdir(full, 0755);
		break;
	case 2:
		ck_assert_int_eq(symlink(strrchr(full, '/') + 1, full), 0);
		break;
	case 3:
		memset(huge, "7f, "[dice(4)], sizeof(huge) - 1);
		sim_write(dir, path, huge);
		break;
	case 4:
		sim_write_bytes(dir, path, 0, "\0\xff\x80%n%s", 7);
		break;
	case 5:
		ck_assert_int_eq(symlink("/../../../../../../etc/passwd", full), 0);
		break;
	default:
		sim_write(dir, path, "");
		chmod(full, 0);
		break;
	}
}

/* Other content, near what it was. */
static void change(const char *dir, const char *path)
{
	char full[1024], text[8192];
	size_t len;
	FILE *f;

	snprintf(full, sizeof(full), "%s/%s", dir, path);
	f = fopen(full, "re");
	if (!f)
		return;
	len = fread(text, 1, sizeof(text) - 64, f);
	fclose(f);
	for (unsigned int n = 1 + dice(3); n; n--) {
		size_t at = len ? dice((unsigned int)len) : 0;

		switch (dice(5)) {
		case 0: /* cut */
			len = at;
			break;
		case 1: /* another digit */
			if (len)
				text[at] = (char)('0' + dice(10));
			break;
		case 2: /* any byte */
			if (len)
				text[at] = (char)dice(256);
			break;
		case 3: /* a long number */
			len += (size_t)sprintf(text + len, "%u%u%u", dice(1u << 30), dice(1u << 30), dice(9));
			break;
		default: /* a separator */
			if (len)
				text[at] = ",- \n\t:()[]="[dice(11)];
			break;
		}
	}
	unlink(full);
	sim_write_bytes(dir, path, 0, text, len);
}

struct spoiling {
	const char *dir;
	void (*how)(const char *dir, const char *path);
	unsigned int one_in, done;
};

static int spoil(const char *path, void *arg)
{
	struct spoiling *s = arg;

	if (dice(s->one_in) == 0) {
		s->how(s->dir, path);
		s->done++;
	}
	return 0;
}

static void spoiled_trees(void (*how)(const char *, const char *), unsigned int rounds)
{
	seed();
	for (unsigned int i = 0; i < rounds; i++) {
		struct spoiling s = { .how = how, .one_in = 1 + dice(20) };
		struct sim_shape shape = *sim_named(sim_names[dice(4)]);
		struct rtkvm_host *host;

		s.dir = test_fast_tmpdir();
		ck_assert_int_eq(sim_make(s.dir, &shape), 0);
		ck_assert_int_eq(sim_files(s.dir, spoil, &s), 0);
		ck_assert_uint_gt(s.done, 0);
		host = probe(s.dir, shape.vm);
		well_formed(host);
		rtkvm_host_free(host);
	}
}

START_TEST(hostile_trees)
{
	spoiled_trees(trap, 40);
}
END_TEST

START_TEST(random_trees)
{
	spoiled_trees(change, 60);
}
END_TEST

/* All traps at once: nothing can be read. */
START_TEST(tree_of_traps)
{
	const char *dir = test_fast_tmpdir();
	struct spoiling s = { .dir = dir, .how = trap, .one_in = 1 };
	struct rtkvm_host *host;

	seed();
	ck_assert_int_eq(sim_make(dir, sim_named("intel")), 0);
	ck_assert_int_eq(sim_files(dir, spoil, &s), 0);
	host = probe(dir, false);
	well_formed(host);
	ck_assert_uint_gt(rtkvm_host_count_verdict(host, RTKVM_VERDICT_UNKNOWN), 60);
	rtkvm_host_free(host);
}
END_TEST

START_TEST(wrong_options)
{
	struct rtkvm_host_options opt;
	struct rtkvm_host *host = NULL;
	struct rtkvm *rt;

	ck_assert_int_eq(rtkvm_new(NULL, &rt), 0);
	ck_assert_int_eq(rtkvm_host_probe(NULL, NULL, &host), -EINVAL);
	ck_assert_int_eq(rtkvm_host_probe(rt, NULL, NULL), -EINVAL);
#define TRY(field, bad, err)                                                 \
	rtkvm_host_options_init(&opt, sizeof(opt));                          \
	opt.field = bad;                                                     \
	ck_assert_int_eq(rtkvm_host_probe(rt, &opt, &host), err);            \
	ck_assert_ptr_null(host);
	TRY(flags, 1, -EINVAL)
	TRY(pid, -1, -EINVAL)
	TRY(pid, INT32_MAX, -ESRCH)
	TRY(cpus, "1-", -EINVAL)
	TRY(cpus, "", -EINVAL)
	TRY(only, "no-such-check", -ENOENT)
	TRY(vm_facts, "no value", -EINVAL)
	TRY(size, 4, -EINVAL)
	TRY(reserved[3], 1, -E2BIG)
#undef TRY
	ck_assert_uint_eq(rtkvm_host_count(NULL), 0);
	ck_assert_ptr_null(rtkvm_host_next(NULL, NULL));
	ck_assert_str_eq(rtkvm_check_id(NULL), "");
	ck_assert_int_eq(rtkvm_check_verdict(NULL), RTKVM_VERDICT_UNKNOWN);
	ck_assert_int_eq(rtkvm_host_get_cpus(NULL, 0, NULL, 0), -EINVAL);
	rtkvm_free(rt);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("host-trees");
	TCase *tcase = tcase_create("trees");

	tcase_set_timeout(tcase, 180);
	tcase_add_test(tcase, tuned_intel_server);
	tcase_add_test(tcase, tuned_amd_server);
	tcase_add_test(tcase, dedicated_cpus);
	tcase_add_test(tcase, parameters_that_the_cpu_lacks);
	tcase_add_test(tcase, laptop_without_iommu);
	tcase_add_test(tcase, container_with_hybrid_cgroups);
	tcase_add_test(tcase, big_host);
	tcase_add_test(tcase, empty_tree);
	tcase_add_test(tcase, hostile_trees);
	tcase_add_test(tcase, random_trees);
	tcase_add_test(tcase, tree_of_traps);
	tcase_add_test(tcase, wrong_options);
	suite_add_tcase(suite, tcase);
	return suite;
}
