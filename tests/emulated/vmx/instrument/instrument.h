/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What Bochs calls of the meter and of the loader: VM entries, VM exits and
 * interrupts, the marker (../../marker.h), output ports (rtkvm.h). Bochs includes this file everywhere; a
 * hook that is not used here costs nothing, above all none per instruction.
 */
#ifndef RTKVM_BOCHS_INSTRUMENT_H
#define RTKVM_BOCHS_INSTRUMENT_H

#define BX_INSTR_INIT_ENV()
#define BX_INSTR_EXIT_ENV()
#define BX_INSTR_INITIALIZE(cpu_id)
#define BX_INSTR_EXIT(cpu_id)
#define BX_INSTR_HLT(cpu_id)
#define BX_INSTR_MWAIT(cpu_id, addr, len, flags)
#define BX_INSTR_DEBUG_PROMPT()
#define BX_INSTR_DEBUG_CMD(cmd)
#define BX_INSTR_CNEAR_BRANCH_TAKEN(cpu_id, branch_eip, new_eip)
#define BX_INSTR_CNEAR_BRANCH_NOT_TAKEN(cpu_id, branch_eip)
#define BX_INSTR_UCNEAR_BRANCH(cpu_id, what, branch_eip, new_eip)
#define BX_INSTR_FAR_BRANCH(cpu_id, what, prev_cs, prev_eip, new_cs, new_eip)
#define BX_INSTR_EXCEPTION(cpu_id, vector, error_code)
#define BX_INSTR_INTERRUPT(cpu_id, vector)
#define BX_INSTR_CLFLUSH(cpu_id, laddr, paddr)
#define BX_INSTR_CACHE_CNTRL(cpu_id, what)
#define BX_INSTR_BEFORE_EXECUTION(cpu_id, i)
#define BX_INSTR_AFTER_EXECUTION(cpu_id, i)
#define BX_INSTR_REPEAT_ITERATION(cpu_id, i)
#define BX_INSTR_LIN_ACCESS(cpu_id, lin, phy, len, memtype, rw)
#define BX_INSTR_PHY_ACCESS(cpu_id, phy, len, memtype, rw)
#define BX_INSTR_INP(addr, len)
#define BX_INSTR_INP2(addr, len, val)
#define BX_INSTR_WRMSR(cpu_id, addr, value)

#if BX_INSTRUMENTATION

void rtkvm_meter_context(unsigned cpu, unsigned what);
void rtkvm_meter_exit(unsigned cpu, Bit32u reason);
void rtkvm_meter_interrupt(unsigned cpu, unsigned vector);
void rtkvm_meter_decode(class bxInstruction_c *i, const Bit8u *opcode, unsigned len);
void rtkvm_meter_hint(unsigned cpu, unsigned what, Bit64u offset);
void rtkvm_port(unsigned port, unsigned len, unsigned value);
void rtkvm_reset(void);

/* a VM entry that passed all checks of the guest's state is such a switch */
#define BX_INSTR_TLB_CNTRL(cpu_id, what, new_cr3)		rtkvm_meter_context(cpu_id, what)
#define BX_INSTR_VMEXIT(cpu_id, reason, qualification)		rtkvm_meter_exit(cpu_id, reason)
#define BX_INSTR_HWINTERRUPT(cpu_id, vector, cs, eip)		rtkvm_meter_interrupt(cpu_id, vector)
#define BX_INSTR_OUTP(addr, len, val)				rtkvm_port(addr, len, val)
#define BX_INSTR_RESET(cpu_id, type)				rtkvm_reset()
/* the marker is found when it is decoded, and executed as a prefetch that is none */
#define BX_INSTR_OPCODE(cpu_id, i, opcode, len, is32, is64)	rtkvm_meter_decode(i, opcode, len)
#define BX_INSTR_PREFETCH_HINT(cpu_id, what, seg, offset)	rtkvm_meter_hint(cpu_id, what, offset)

#else

#define BX_INSTR_OPCODE(cpu_id, i, opcode, len, is32, is64)
#define BX_INSTR_PREFETCH_HINT(cpu_id, what, seg, offset)

#define BX_INSTR_TLB_CNTRL(cpu_id, what, new_cr3)
#define BX_INSTR_VMEXIT(cpu_id, reason, qualification)
#define BX_INSTR_HWINTERRUPT(cpu_id, vector, cs, eip)
#define BX_INSTR_OUTP(addr, len, val)
#define BX_INSTR_RESET(cpu_id, type)

#endif

#endif
