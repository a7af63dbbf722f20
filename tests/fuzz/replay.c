/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * main() that runs a fuzzer over the files of its corpus, for compilers
 * without libFuzzer: what once was found is looked for in every check. A
 * finding ends the program with a signal, as under libFuzzer.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = NULL;
	size_t size = 0, room = 0, n;

	if (!f) {
		perror(path);
		return -1;
	}
	do {
		room += 65536;
		data = realloc(data, room);
		if (!data)
			abort();
		n = fread(data + size, 1, room - size, f);
		size += n;
	} while (n && size == room);
	if (ferror(f)) {
		perror(path);
		fclose(f);
		free(data);
		return -1;
	}
	fclose(f);
	/* exactly as long as the input, so that a sanitizer sees every step beyond */
	if (size) {
		uint8_t *exact = realloc(data, size);

		data = exact ? exact : data;
	}
	printf("%s: %zu bytes\n", path, size);
	fflush(stdout);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 0;
}

int main(int argc, char **argv)
{
	int status = 0;

	LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++)
		if (replay(argv[i]) < 0)
			status = 1;
	return status;
}
