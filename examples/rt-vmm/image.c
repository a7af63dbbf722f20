/* SPDX-License-Identifier: MIT */
/* The guest's flat binary, built from guest.c and guest-entry.S, as bytes of the VMM. */
#include "image.h"

__asm__(".section .rodata\n"
	".balign 16\n"
	".globl guest_image_start, guest_image_end\n"
	"guest_image_start: .incbin \"" GUEST_BIN "\"\n"
	"guest_image_end: .byte 0\n"
	".previous\n");
