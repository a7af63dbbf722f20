/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Extensible structs that carry their size first, in both directions: how an
 * old program and a new library, or the reverse, understand each other.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "core.h"

/* Nobody compiled a struct larger than this: the size field is garbage. */
#define SIZE_LIMIT 4096

int rtkvm_options_take(struct rtkvm *rt, void *to, size_t known, size_t min, const void *from,
		       const char *name)
{
	size_t size;

	memcpy(&size, from, sizeof(size));
	if (size < min || size > SIZE_LIMIT)
		return rtkvm_fail(rt, EINVAL, name, "initialise it with its _init function",
				  "the struct says it is %zu bytes long", size);
	for (size_t i = known; i < size; i++)
		if (((const uint8_t *)from)[i])
			return rtkvm_fail(rt, E2BIG, name, "use a newer librtkvm",
					  "byte %zu is set, which version %s does not know", i,
					  RTKVM_VERSION_STRING);
	memcpy(to, from, size < known ? size : known);
	memcpy(to, &known, sizeof(known));
	return 0;
}

int rtkvm_struct_give(struct rtkvm *rt, void *to, const void *from, size_t known, size_t min,
		      const char *name)
{
	size_t size;

	memcpy(&size, to, sizeof(size));
	if (size < min || size > SIZE_LIMIT)
		return rtkvm_fail(rt, EINVAL, name, "set its size field to its sizeof",
				  "the struct says it is %zu bytes long", size);
	memcpy((uint8_t *)to + sizeof(size), (const uint8_t *)from + sizeof(size),
	       (size < known ? size : known) - sizeof(size));
	if (size > known)
		memset((uint8_t *)to + known, 0, size - known);
	return 0;
}
