/* fuzz_replay.c - runs the files of a corpus folder through a fuzz target without libFuzzer, as a regression test. */
#include "base/base.h"

#include <dirent.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *dir, const char *name)
{
	CLEANUP(freep) char *path = xasprintf("%s/%s", dir, name);
	CLEANUP(file_closep) FILE *f = fopen(path, "rbe");
	CLEANUP(freep) uint8_t *data = xmalloc(1 << 20);

	if (f == NULL) {
		perror(path);
		return 1;
	}
	size_t n = fread(data, 1, 1 << 20, f);
	CLEANUP(freep) uint8_t *exact = xmalloc(n); /* exact size, so that asan sees one byte too many */
	memcpy(exact, data, n);
	LLVMFuzzerTestOneInput(exact, n);
	/* cppcheck-suppress resourceLeak ; CLEANUP closes f */
	return 0;
}

int main(int argc, char **argv)
{
	int failed = 0, count = 0;
	DIR *d = argc == 2 ? opendir(argv[1]) : NULL;
	if (d == NULL) {
		fprintf(stderr, "usage: %s CORPUS_DIR (which must exist)\n", argv[0]);
		return 2;
	}
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		if (e->d_name[0] == '.')
			continue;
		failed |= replay(argv[1], e->d_name);
		count++;
	}
	closedir(d);
	printf("%d seeds replayed\n", count);
	return failed || count == 0;
}
