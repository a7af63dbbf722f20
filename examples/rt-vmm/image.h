/* SPDX-License-Identifier: MIT */
/* The guest's flat binary; it starts with struct guest_image. */
#ifndef IMAGE_H
#define IMAGE_H

extern const unsigned char guest_image[];
extern const unsigned long guest_image_size;

#endif
