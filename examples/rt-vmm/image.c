/* SPDX-License-Identifier: MIT */
/* The guest's flat binary, built from guest.c and guest-entry.S, as bytes of the VMM. */
#include "image.h"

#ifndef GUEST_BIN
#define GUEST_BIN "guest.bin"
#endif

__asm__(".section .rodata\n"
	".balign 16\n"
	".globl guest_image, guest_image_size\n"
	"guest_image_size: .quad 2f - 1f\n"
	".balign 16\n"
	"guest_image:\n"
	"1: .incbin \"" GUEST_BIN "\"\n"
	"2: .byte 0\n"
	".previous\n");
