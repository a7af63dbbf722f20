/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of this folder call of each other; Bochs sees instrument.h alone. */
#ifndef RTKVM_BOCHS_H
#define RTKVM_BOCHS_H

#define RTKVM_PORT_LOAD		0xb6	/* one byte, any: the boot stage wants the images */
#define RTKVM_PORT_TEXT		0xe9	/* one byte: a character of a bare payload's text */
#define RTKVM_PORT_STATUS	0xf4	/* 32 bits: the exit status of a bare payload */

/* Puts kernel, initrd and command line into memory. */
void rtkvm_load(void);

#endif
