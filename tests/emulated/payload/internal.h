/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the parts of the kit say to each other; payloads have kit.h.
 */
#ifndef RTKVM_PAYLOAD_INTERNAL_H
#define RTKVM_PAYLOAD_INTERNAL_H

#include "kit.h"

#define KIT_LINE 128
#define KIT_PATIENCE 20000000000ULL /* TSC ticks: some seconds */

/* head.S */
extern volatile u32 kit_go;      /* CPUs that wait in front of the image may run */
extern volatile u32 kit_started; /* number of the next CPU */

/* called by head.S */
_Noreturn void kit_main(void);
_Noreturn void kit_cpu_main(u32 cpu);
void kit_interrupt(u64 tsc, u32 vector);
_Noreturn void kit_exception(u32 vector, const u64 *stack, u64 cr2);

/* apic.c */
void kit_interrupts_init(void); /* once */
void kit_interrupts_load(void); /* on each CPU */
void kit_apic_on(void);
void kit_apic_init_sipi(u32 apic);

/* what the compiler may call */
void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);

#endif
