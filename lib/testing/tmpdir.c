/* tmpdir.c - private folders for tests; see tmpdir.h. */
#include "testing/tmpdir.h"

#include <ftw.h>

char *tmpdir_new(void)
{
	const char *base = getenv("TMPDIR");
	char *path = xasprintf("%s/merpati-test-XXXXXX", base ? base : "/tmp");
	if (mkdtemp(path) == NULL) {
		perror("mkdtemp");
		exit(1);
	}
	return path;
}

static int remove_one(
    const char *path, const struct stat *st ATTR_UNUSED, int type ATTR_UNUSED, struct FTW *ftw ATTR_UNUSED)
{
	return remove(path);
}

void tmpdir_remove(char **dir)
{
	if (*dir == NULL)
		return;
	nftw(*dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(*dir);
	*dir = NULL;
}
