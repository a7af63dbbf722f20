/* SPDX-License-Identifier: MIT */
/*
 * The built-in guest (guest.c), from the outside: its image and registers, what
 * its ports mean, and the measured run: wait until it ticks, tune, measure,
 * collect its wake-ups from guest memory. It never waits without a limit.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "image.h"
#include "run.h"

#define BOOT_LIMIT_MS 5000   /* from the first KVM_RUN until the guest is up, */
#define BOOT_LIMIT_TICKS 100 /* and as many ticks (it takes 20) */
#define SETTLE_MS 50         /* between tuning and measuring */
#define GRACE_MS 10000       /* how much longer than planned a run may take */

struct builtin {
	sample_fn *sample;
	void *sample_arg;
};

static size_t builtin_ram_size(const struct config *config)
{
	return GUEST_RAM((size_t)config->vcpus);
}

static int builtin_load(struct run *r)
{
	const struct guest_image *image = (const void *)guest_image;

	if (image->magic != GUEST_MAGIC)
		return fail("the guest's image in this program is damaged");
	memcpy(r->machine.ram + GUEST_IMAGE, guest_image, guest_image_size);
	tables_write_idt(r->machine.ram, image);
	return 0;
}

/* In front of the guest's first instruction. */
static int set_registers(struct vcpu *v)
{
	const struct guest_image *image = (const void *)guest_image;
	struct kvm_mp_state runnable = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct kvm_regs regs = { .rflags = 2 };
	struct kvm_sregs sregs;

	if (ioctl(v->fd, KVM_GET_SREGS, &sregs) < 0)
		return fail("KVM_GET_SREGS: %m");
	tables_set_sregs(&sregs, v->index);
	if (ioctl(v->fd, KVM_SET_SREGS, &sregs) < 0)
		return fail("KVM_SET_SREGS: %m");
	regs.rip = image->entry;
	regs.rsp = GUEST_SYSTEM + (uint64_t)v->index * GUEST_SYSTEM_SIZE + GUEST_STACK0_TOP;
	if (ioctl(v->fd, KVM_SET_REGS, &regs) < 0)
		return fail("KVM_SET_REGS: %m");
	/* no INIT and SIPI: a second vCPU starts where it is */
	if (ioctl(v->fd, KVM_SET_MP_STATE, &runnable) < 0)
		return fail("KVM_SET_MP_STATE: %m");
	return 0;
}

/* Damage the guest so that it ends in that way, to see that it is handled. */
static int break_guest(struct machine *m, struct vcpu *v, const char *how)
{
	static const unsigned char hang[] = { 0xeb, 0xfe };  /* jmp to itself */
	static const unsigned char trap[] = { 0x0f, 0x0b };  /* ud2 */
	const struct guest_image *image = (const void *)guest_image;
	struct kvm_sregs sregs;

	memcpy(m->ram + image->entry, strcmp(how, "hang") == 0 ? hang : trap, sizeof(trap));
	if (!strcmp(how, "hang") || !strcmp(how, "trap"))
		return 0;
	if (strcmp(how, "shutdown") != 0)
		return fail("--break-guest %s: hang, trap or shutdown", how);
	/* without an IDT the exception becomes a triple fault */
	if (ioctl(v->fd, KVM_GET_SREGS, &sregs) < 0)
		return fail("KVM_GET_SREGS: %m");
	sregs.idt.limit = 0;
	return ioctl(v->fd, KVM_SET_SREGS, &sregs) < 0 ? fail("KVM_SET_SREGS: %m") : 0;
}

static int builtin_set_vcpu(struct run *r, unsigned int index)
{
	const struct config *config = r->config;
	struct machine *m = &r->machine;
	struct vcpu *v = &m->vcpu[index];

	v->ctl = (void *)(m->ram + GUEST_DATA + (size_t)index * GUEST_DATA_SIZE);
	v->ring = (void *)((unsigned char *)v->ctl + GUEST_RING - GUEST_DATA);
	tables_write(m->ram, index);
	if (set_registers(v) < 0)
		return -1;
	if (config->break_guest && break_guest(m, v, config->break_guest) < 0)
		return -1;
	v->ctl->interval = (uint64_t)config->interval_us * m->tsc_khz / 1000;
	v->ctl->work = (uint64_t)config->work_us * m->tsc_khz / 1000;
	v->ctl->ticks = config->duration_s * 1000000ULL / config->interval_us;
	r->result->ticks += v->ctl->ticks;
	return 0;
}

static void count(struct vcpu_thread *t)
{
	int stats = t->run->machine.vcpu[t->index].stats_fd;

	t->exits = kvm_stat(stats, "exits") - t->exits;
	t->halts = kvm_stat(stats, "halt_exits") - t->halts;
	t->polls = kvm_stat(stats, "halt_attempted_poll") - t->polls;
}

/* Where an exception hit: on the ring-0 stack, below the error code of those that have one. */
static void say_trap(struct vcpu_thread *t, uint32_t vector)
{
	const uint32_t with_code = 1U << 8 | 1U << 10 | 1U << 11 | 1U << 12 | 1U << 13 | 1U << 14 |
				   1U << 17 | 1U << 21;
	struct machine *m = &t->run->machine;
	struct kvm_regs regs = { 0 };
	uint64_t frame[2] = { 0 };

	ioctl(m->vcpu[t->index].fd, KVM_GET_REGS, &regs);
	if (vector < 32 && with_code >> vector & 1)
		regs.rsp += 8;
	if (regs.rsp <= m->ram_size - sizeof(frame))
		memcpy(frame, m->ram + regs.rsp, sizeof(frame));
	fail("vCPU %u: exception %u in the guest, ring %u, RIP 0x%" PRIx64, t->index, vector,
	     (unsigned int)frame[1] & 3, frame[0]);
}

static int builtin_io(struct vcpu_thread *t, struct kvm_run *run)
{
	uint32_t value = 0;

	if (run->io.direction == KVM_EXIT_IO_OUT && run->io.size <= sizeof(value))
		memcpy(&value, (const char *)run + run->io.data_offset, run->io.size);
	switch (run->io.port) {
	case GUEST_PORT_UP:
		vcpu_set_phase(t, PHASE_UP);
		return 0;
	case GUEST_PORT_START:
		t->exits = t->halts = t->polls = 0;
		count(t);
		vcpu_set_phase(t, PHASE_MEASURING);
		return 0;
	case GUEST_PORT_DONE:
		count(t);
		vcpu_set_phase(t, PHASE_DONE);
		return -1;
	case GUEST_PORT_TRAP:
		say_trap(t, value);
		return vcpu_failed(t);
	default:
		fail("vCPU %u: the guest used I/O port 0x%x, which it should not know", t->index,
		     run->io.port);
		return vcpu_failed(t);
	}
}

static uint64_t ticks_to_ns(const struct run *r, uint64_t ticks)
{
	return (uint64_t)((double)ticks * 1e6 / r->machine.tsc_khz);
}

static uint64_t late_ns(struct run *r, uint64_t at, uint64_t deadline)
{
	return at > deadline ? ticks_to_ns(r, at - deadline) : 0;
}

/* Take the new wake-ups of all vCPUs out of guest memory. */
static void builtin_collect(struct run *r)
{
	const struct builtin *b = r->guest_state;

	for (unsigned int i = 0; i < r->machine.vcpus; i++) {
		struct vcpu *v = &r->machine.vcpu[i];
		uint32_t head = __atomic_load_n(&v->ctl->head, __ATOMIC_ACQUIRE);
		uint32_t tail = v->ctl->tail;

		while (tail != head) {
			const struct guest_sample *s = &v->ring[tail++ % GUEST_RING_ENTRIES];

			r->result->wakeups++;
			if (s->isr < s->deadline)
				r->result->early++;
			b->sample(b->sample_arg, late_ns(r, s->isr, s->deadline),
				  late_ns(r, s->task, s->deadline));
		}
		__atomic_store_n(&v->ctl->tail, tail, __ATOMIC_RELEASE);
	}
}

/* True when all vCPUs have come that far. */
static bool builtin_reached(struct run *r, int phase)
{
	for (unsigned int i = 0; i < r->machine.vcpus; i++)
		if (atomic_load(&r->vcpu[i].phase) < phase)
			return false;
	return true;
}

static void sum_up(struct run *r)
{
	struct result *res = r->result;

	builtin_collect(r);
	for (unsigned int i = 0; i < r->machine.vcpus; i++) {
		const struct guest_ctl *ctl = r->machine.vcpu[i].ctl;

		res->lost += ctl->lost;
		res->dropped += ctl->dropped;
		if (r->machine.vcpu[i].stats_fd < 0) {
			res->exits = res->halts = res->polls = -1;
			continue;
		}
		res->exits += r->vcpu[i].exits;
		res->halts += r->vcpu[i].halts;
		res->polls += r->vcpu[i].polls;
	}
	res->complete = true;
}

static int measure(struct run *r)
{
	const struct tuning *t = r->tuning;
	int64_t tick_ms = r->config->interval_us / 1000 + 1;
	int rc;

	rc = run_wait(r, PHASE_UP, r->config->boot_limit_s ? r->config->boot_limit_s * 1000LL :
		      BOOT_LIMIT_MS + BOOT_LIMIT_TICKS * tick_ms, "the guest did not come up");
	if (rc != STATUS_OK)
		return rc;
	if (t->guest_up && t->guest_up(r) < 0)
		return STATUS_ERROR;
	rc = run_apply(r);
	if (rc != STATUS_OK)
		return rc;
	poll(NULL, 0, SETTLE_MS);
	if (t->describe)
		t->describe(r, false);
	readback_time(r, false);
	for (unsigned int i = 0; i < r->machine.vcpus; i++)
		__atomic_store_n(&r->machine.vcpu[i].ctl->go, 1, __ATOMIC_RELEASE);
	rc = run_wait(r, PHASE_DONE, r->config->duration_s * 1000LL + GRACE_MS,
		      "the guest did not finish");
	if (rc != STATUS_OK)
		return rc;
	readback_time(r, true);
	sum_up(r);
	if (t->describe)
		t->describe(r, true);
	return STATUS_OK;
}

static int builtin_lead(struct run *r)
{
	int rc = measure(r);

	return rc == STATUS_LIMIT ? STATUS_ERROR : rc;
}

static const struct guest guest_builtin = {
	.ram_size = builtin_ram_size,
	.load = builtin_load,
	.set_vcpu = builtin_set_vcpu,
	.io = builtin_io,
	.collect = builtin_collect,
	.reached = builtin_reached,
	.lead = builtin_lead,
};

int run_measured(const struct config *config, const struct tuning *tuning, struct result *result,
		 sample_fn *sample, void *sample_arg)
{
	struct builtin builtin = { .sample = sample, .sample_arg = sample_arg };
	struct run *r = calloc(1, sizeof(*r));
	int rc;

	if (!r) {
		fail("no memory");
		return STATUS_ERROR;
	}
	r->config = config;
	r->tuning = tuning;
	r->guest = &guest_builtin;
	r->result = result;
	r->guest_state = &builtin;
	rc = run_guest(r);
	free(r);
	return rc;
}
