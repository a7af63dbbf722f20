// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A meter outside of the machine that it measures: a plugin of QEMU's TCG that
 * counts, per CPU, the VMRUN instructions executed (entries into a guest), the
 * instructions executed, and how many of these were a guest's. It knows nothing
 * of KVM and nothing in the machine can change what it counts.
 *
 * Whoever executes the marker of ../marker.h, in the machine or in a guest of it,
 * has the counts of all CPUs written down with the label that it gives. Only
 * counting belongs here; what the counts should be is for the tests to say.
 *
 * Options: out=FILE, where the lines go; single=on, one thread runs all CPUs;
 * miscount=N, leave out every Nth entry (to see that wrong counts are noticed).
 */
#include <glib.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <qemu-plugin.h>

#include "../marker.h"

/*
 * Which CPU runs. A thread that runs one CPU tells its number. One thread that runs
 * several gives, in QEMU 10.0, the number of the CPU that translated the code (see
 * gen_cpu_index() in QEMU's accel/tcg/plugin-gen.c), and inline code, which scales
 * that number in place, writes anywhere. What does differ there is the CPU's state,
 * whose address translated code keeps in RBP and hands over unchanged to what it
 * calls. Wrong use would show as more states than CPUs.
 */
#ifndef __x86_64__
#error "QEMU's translated code keeps the CPU in another register here"
#endif
register void *state __asm__("rbp");

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

#define MAX_CPUS 64
#define MAX_VMRUNS 256

/* Each CPU writes its own. */
static struct cpu {
	void *state;
	uint64_t instructions;	/* executed, a guest's included; unless 'inlined' */
	uint64_t entries;	/* VMRUNs executed */
	uint64_t guest;		/* instructions of guests, up to the last exit */
	uint64_t entered;	/* instructions when the guest was entered */
	bool in_guest;		/* between a VMRUN and the return to the host */
	struct qemu_plugin_register *label;
} __attribute__((aligned(64))) cpu[MAX_CPUS];
static unsigned int cpus, states;
static bool single;
static uint64_t miscount, all_entries;

/* Instructions are counted by inline code where that is possible. */
static bool inlined;
static qemu_plugin_u64 board;

static FILE *out;
static uint64_t marks;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/*
 * Where hosts go on after a VMRUN, as addresses of the machine's memory in QEMU: a
 * guest may have other code at the same virtual address. Where that is the next page,
 * which may be anywhere, it is the virtual one: those of kernels are no such address.
 */
static uint64_t after_vmrun[MAX_VMRUNS];
static unsigned int after_vmruns;

static void __attribute__((noreturn)) fail(const char *what)
{
	fprintf(stderr, "meter: %s\n", what);
	abort();
}

/*
 * CPUs are numbered as they first run: the first, then, on one signal to all, the
 * others in the order in which the thread takes turns, which is that of QEMU.
 */
static struct cpu *find_state(void)
{
	unsigned int i;

	for (i = 0; i < states; i++)
		if (cpu[i].state == state)
			return &cpu[i];
	if (states == cpus)
		fail("more states of CPUs than CPUs");
	cpu[states].state = state;
	return &cpu[states++];
}

static struct cpu *running(unsigned int index)
{
	static struct cpu *last;

	if (single) {
		if (!last || last->state != state)
			last = find_state();
		return last;
	}
	if (index >= cpus || (cpu[index].state && cpu[index].state != state))
		fail("a CPU with another's state");
	cpu[index].state = state;
	return &cpu[index];
}

static uint64_t instructions_of(const struct cpu *c)
{
	return inlined ? qemu_plugin_u64_get(board, c - cpu) : c->instructions;
}

static void write_counts(uint64_t label, unsigned int by)
{
	unsigned int i;

	pthread_mutex_lock(&lock);
	fprintf(out, "mark=%" PRIu64 " label=%" PRIu64 " by=%u cpus=%u", marks++, label, by, cpus);
	for (i = 0; i < cpus; i++) {
		const struct cpu *c = &cpu[i];
		uint64_t guest = c->guest;

		if (c->in_guest)
			guest += instructions_of(c) - c->entered;
		fprintf(out, " cpu%u.instructions=%" PRIu64 " cpu%u.guest=%" PRIu64
			" cpu%u.entries=%" PRIu64, i, instructions_of(c), i, guest, i, c->entries);
	}
	fputc('\n', out);
	if (fflush(out))
		fail("cannot write the counts");
	pthread_mutex_unlock(&lock);
}

/* Called before each instruction, where inline code cannot be. */
static void on_instruction(unsigned int index, void *unused)
{
	(void)unused;
	running(index)->instructions++;
}

/*
 * Called before the VMRUN, which is counted already. That of a guest is none: SVM
 * lets nobody enter a guest whose VMRUN is not intercepted.
 */
static void on_vmrun(unsigned int index, void *unused)
{
	struct cpu *c = running(index);

	(void)unused;
	if (c->in_guest)
		return;
	if (!miscount || __atomic_add_fetch(&all_entries, 1, __ATOMIC_RELAXED) % miscount)
		c->entries++;
	c->entered = instructions_of(c);
	c->in_guest = true;
}

/*
 * Called before the first instruction of the host after an exit, which is counted
 * already and is not the guest's.
 */
static void on_return(unsigned int index, void *unused)
{
	struct cpu *c = running(index);

	(void)unused;
	if (!c->in_guest)
		return;
	c->guest += instructions_of(c) - 1 - c->entered;
	c->in_guest = false;
}

/* RAX of the CPU that calls this: only it can ask. */
static struct qemu_plugin_register *find_label(void)
{
	GArray *registers = qemu_plugin_get_registers();
	struct qemu_plugin_register *rax = NULL;
	guint i;

	for (i = 0; i < registers->len; i++) {
		qemu_plugin_reg_descriptor *r =
			&g_array_index(registers, qemu_plugin_reg_descriptor, i);

		if (!strcmp(r->name, "rax"))
			rax = r->handle;
	}
	g_array_free(registers, TRUE);
	if (!rax)
		fail("no register RAX");
	return rax;
}

static void on_marker(unsigned int index, void *unused)
{
	struct cpu *c = running(index);
	GByteArray *bytes = g_byte_array_new();
	uint64_t label = 0;

	(void)unused;
	if (!c->label)
		c->label = find_label();
	if (qemu_plugin_read_register(c->label, bytes) < 8)
		fail("cannot read RAX");
	memcpy(&label, bytes->data, sizeof(label));
	g_byte_array_unref(bytes);
	write_counts(label, c - cpu);
}

/* Several CPUs may translate at the same time. */
static void add_vmrun(uint64_t address)
{
	unsigned int i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < after_vmruns; i++)
		if (after_vmrun[i] == address)
			break;
	if (i == after_vmruns) {
		if (i == MAX_VMRUNS)
			fail("too many places with a VMRUN");
		after_vmrun[i] = address;
		__atomic_store_n(&after_vmruns, i + 1, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&lock);
}

static bool is_after_vmrun(uint64_t address)
{
	unsigned int i, n = __atomic_load_n(&after_vmruns, __ATOMIC_ACQUIRE);

	for (i = 0; i < n; i++)
		if (after_vmrun[i] == address)
			return true;
	return false;
}

static void call(struct qemu_plugin_insn *insn, qemu_plugin_vcpu_udata_cb_t what)
{
	qemu_plugin_register_vcpu_insn_exec_cb(insn, what, QEMU_PLUGIN_CB_NO_REGS, NULL);
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	static const uint8_t vmrun[] = { 0x0f, 0x01, 0xd8 };
	static const uint8_t marker[] = RTKVM_MARKER_BYTES;
	size_t i, n = qemu_plugin_tb_n_insns(tb);

	(void)id;
	for (i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint64_t at = (uintptr_t)qemu_plugin_insn_haddr(insn);
		uint64_t address = qemu_plugin_insn_vaddr(insn);
		uint8_t code[16];
		size_t size = qemu_plugin_insn_data(insn, code, sizeof(code));

		/* first, so that what is called below sees its own instruction counted */
		if (inlined)
			qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
				insn, QEMU_PLUGIN_INLINE_ADD_U64, board, 1);
		else
			call(insn, on_instruction);
		if (is_after_vmrun(address & 0xfff ? at : address))
			call(insn, on_return);
		if (size == sizeof(vmrun) && !memcmp(code, vmrun, size)) {
			if (!at)
				fail("a VMRUN outside of memory");
			add_vmrun((address + size) & 0xfff ? at + size : address + size);
			call(insn, on_vmrun);
		}
		if (size == sizeof(marker) && !memcmp(code, marker, size))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_marker,
							       QEMU_PLUGIN_CB_R_REGS, NULL);
	}
}

static void on_end(qemu_plugin_id_t id, void *unused)
{
	(void)id;
	(void)unused;
	write_counts(0, 0);
	fputs("end\n", out);
	if (fclose(out))
		fail("cannot write the counts");
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc,
					   char **argv)
{
	const char *path = NULL;
	int i;

	for (i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "out=", 4)) {
			path = argv[i] + 4;
		} else if (!strcmp(argv[i], "single=on")) {
			single = true;
		} else if (!strncmp(argv[i], "miscount=", 9)) {
			miscount = strtoull(argv[i] + 9, NULL, 10);
		} else {
			fprintf(stderr, "meter: unknown option %s\n", argv[i]);
			return -1;
		}
	}
	if (!info->system_emulation || strcmp(info->target_name, "x86_64") ||
	    info->system.max_vcpus > MAX_CPUS) {
		fprintf(stderr, "meter: for whole x86-64 machines of up to %d CPUs\n", MAX_CPUS);
		return -1;
	}
	cpus = info->system.max_vcpus;
	inlined = !single || cpus == 1;
	out = path ? fopen(path, "w") : NULL;
	if (!out) {
		fprintf(stderr, "meter: cannot write %s\n", path ? path : "(no out=FILE)");
		return -1;
	}
	if (inlined)
		board = qemu_plugin_scoreboard_u64(
			qemu_plugin_scoreboard_new(sizeof(uint64_t)));
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	qemu_plugin_register_atexit_cb(id, on_end, NULL);
	return 0;
}
