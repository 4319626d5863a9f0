/*
 * map_fuzz.c - the source text of a table and a key: the first byte chooses the type, the first line is the key (for
 * the types without a file the whole name is the input).
 */
#include "base/base.h"

#include <sys/mman.h>

#include "maps/map.h"
#include "maps/match_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_up(struct map_store *s, const char *spec, unsigned flags, struct sv key)
{
	struct buf value = BUF_INIT(65536);
	struct map *m = map_store_get(s, sv_str(spec), flags, NULL);
	if (m)
		(void)map_lookup(m, key, &value, NULL);
	buf_free(&value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const types[] = {"texthash", "regexp", "pcre", "cidr", "hash"};
	static const char *const inner[] = {
	    "inline:%s", "unionmap:%s", "pipemap:%s", "static:%s", "randmap:%s", "proxy:%s"};
	if (size < 2 || size > 20000)
		return 0;
	struct sv rest = sv_of((const char *)data + 1, size - 1);
	struct map_store *s = map_store_new(NULL, NULL);
	unsigned kind = data[0] % 13;
	if (kind < 6) {
		int fd = memfd_create("table", MFD_CLOEXEC);
		struct sv key = sv_cut(&rest, "\n");
		char spec[64];
		(void)snprintf(spec, sizeof(spec), "%s:/proc/self/fd/%d", types[kind % 5], fd);
		if (fd >= 0 && rest.n > 0 && write(fd, rest.p, rest.n) == (ssize_t)rest.n)
			look_up(s, spec, kind == 5 ? MAP_ALIAS : 0, key);
		(void)close(fd);
	} else if (kind < 12) {
		CLEANUP(freep) char *text = sv_dup(rest);
		CLEANUP(freep) char *spec = xasprintf("%s:%s", inner[kind - 6], text);
		/* No files of the machine. */
		if (!strchr(text, '/') && !strstr(text, "lmdb:") && !strstr(text, "hash:"))
			look_up(s, spec, 0, SV("key"));
	} else if (sv_chr(rest, '/') < 0) {
		struct match_list *l = NULL;
		struct err err;
		if (match_list_new(&l, s, rest, true, 0, &err) == 0)
			(void)match_list_host(l, SV("a.example.org"), SV("10.1.2.3"), &err);
		match_list_free(&l);
	}
	map_store_free(&s);
	return 0;
}
