/* keys.c - key rings: load, notice changes, keep the generation before. */
#include "keyd/keys.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fsutil.h"
#include "crypto/digest.h"

#define KEY_FILE_MAX (1u << 20) /* bytes of a PEM file */
#define KEY_FILES_MAX 32	/* files of one ring */

struct key_file {
	char *path;
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime;
};

struct key_ring {
	char *chain_files, *cert_file[2], *key_file[2];
	struct key_file files[KEY_FILES_MAX];
	size_t nfiles;
	struct key_set *now, *before;
};

static void set_free(struct key_set **s)
{
	if (*s) {
		for (size_t i = 0; i < (*s)->n; i++)
			sign_pair_clear(&(*s)->pairs[i]);
	}
	free(*s);
	*s = NULL;
}

static void stamp(struct key_file *f, const struct stat *st)
{
	f->dev = st->st_dev;
	f->ino = st->st_ino;
	f->size = st->st_size;
	f->mtime = st->st_mtim;
}

static bool same(const struct key_file *f, const struct stat *st)
{
	return f->dev == st->st_dev && f->ino == st->st_ino && f->size == st->st_size &&
	       f->mtime.tv_sec == st->st_mtim.tv_sec && f->mtime.tv_nsec == st->st_mtim.tv_nsec;
}

static struct key_file *file_of(struct key_ring *r, const char *path)
{
	for (size_t i = 0; i < r->nfiles; i++) {
		if (!strcmp(r->files[i].path, path))
			return &r->files[i];
	}
	if (r->nfiles == KEY_FILES_MAX)
		return NULL;
	r->files[r->nfiles] = (struct key_file){.path = xstrdup(path)};
	return &r->files[r->nfiles++];
}

/* Reads a file and notes what it looked like, for key_ring_refresh. */
static int read_file(struct key_ring *r, const char *path, struct buf *out, struct err *err)
{
	struct key_file *f = file_of(r, path);
	CLEANUP(fd_closep) int fd = -1;
	struct stat st;
	int code;

	if (!f)
		return err_set(err, ERR_LIMIT, "more than %d key files", KEY_FILES_MAX);
	if (!stat(path, &st))
		stamp(f, &st); /* a file that cannot be read is not tried again before it changes */
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return err_sys(err, "%s", path);
	stamp(f, &st);
	code = fs_read_fd(fd, out, err);
	return code ? err_prefix(err, "%s", path) : 0;
}

static int load_pair(struct key_ring *r, const char *cert, const char *key, struct key_set *set, struct err *err)
{
	struct buf c = BUF_INIT(KEY_FILE_MAX), k = BUF_INIT(KEY_FILE_MAX);
	int code;

	if (!*cert || !strcasecmp(cert, "none"))
		return 0;
	code = read_file(r, cert, &c, err);
	if (!code)
		code = read_file(r, *key ? key : cert, &k, err);
	if (!code && set->n < SIGN_MAX_PAIRS) {
		code = sign_pair_load(buf_sv(&c), buf_sv(&k), &set->pairs[set->n], err);
		if (code)
			err_prefix(err, "%s", cert);
		else
			set->n++;
	}
	buf_wipe(&c);
	buf_wipe(&k);
	return code;
}

static int load_chains(struct key_ring *r, struct key_set *set, struct err *err)
{
	struct sv rest = sv_str(r->chain_files), name;

	while (sv_token(&rest, " \t\r\n,", &name)) {
		struct buf text = BUF_INIT(KEY_FILE_MAX);
		char *path = sv_dup(name);
		int code = read_file(r, path, &text, err);

		if (!code && sign_pairs_load(buf_sv(&text), set->pairs, &set->n, err))
			code = err_prefix(err, "%s", path);
		buf_wipe(&text);
		free(path);
		if (code)
			return code;
	}
	return 0;
}

static uint64_t generation_of(const struct key_set *set)
{
	unsigned char all[DIGEST_MAX] = {0}, one[2 * DIGEST_MAX];
	uint64_t g;

	for (size_t i = 0; i < set->n; i++) {
		memcpy(one, all, 32);
		digest(DIGEST_SHA256, sv_str(set->pairs[i].chain), one + 32);
		digest(DIGEST_SHA256, sv_of((const char *)one, 64), all);
	}
	memcpy(&g, all, sizeof(g));
	return g | 1; /* 0 means none */
}

static int load(struct key_ring *r, struct key_set **out, struct err *err)
{
	struct key_set *set = xcalloc(1, sizeof(*set));
	int code = 0;

	if (*r->chain_files)
		code = load_chains(r, set, err);
	else
		for (int i = 0; i < 2 && !code; i++)
			code = load_pair(r, r->cert_file[i], r->key_file[i], set, err);
	if (code) {
		set_free(&set);
		return code;
	}
	set->generation = generation_of(set);
	*out = set;
	return 0;
}

int key_ring_open(const struct key_sources *src, struct key_ring **out, struct err *err)
{
	struct key_ring *r = xcalloc(1, sizeof(*r));
	int code;

	r->chain_files = xstrdup(src->chain_files);
	for (int i = 0; i < 2; i++) {
		r->cert_file[i] = xstrdup(src->cert_file[i]);
		r->key_file[i] = xstrdup(src->key_file[i]);
	}
	code = load(r, &r->now, err);
	if (code) {
		key_ring_free(&r);
		return code;
	}
	*out = r;
	return 0;
}

void key_ring_free(struct key_ring **pr)
{
	struct key_ring *r = *pr;

	*pr = NULL;
	if (!r)
		return;
	set_free(&r->now);
	set_free(&r->before);
	for (size_t i = 0; i < r->nfiles; i++)
		free(r->files[i].path);
	for (int i = 0; i < 2; i++) {
		free(r->cert_file[i]);
		free(r->key_file[i]);
	}
	free(r->chain_files);
	free(r);
}

int key_ring_refresh(struct key_ring *r, struct err *err)
{
	struct key_set *set = NULL;
	bool changed = false;
	struct stat st;
	int code;

	for (size_t i = 0; i < r->nfiles && !changed; i++)
		changed = !stat(r->files[i].path, &st) && !same(&r->files[i], &st);
	if (!changed)
		return 0;
	code = load(r, &set, err);
	if (code)
		return code;
	if (set->generation == r->now->generation) {
		set_free(&set);
		return 0;
	}
	set_free(&r->before);
	r->before = r->now;
	r->now = set;
	return 1;
}

const struct key_set *key_ring_now(const struct key_ring *r)
{
	return r->now;
}

const struct key_set *key_ring_find(const struct key_ring *r, uint64_t generation)
{
	if (r->now->generation == generation)
		return r->now;
	return r->before && r->before->generation == generation ? r->before : NULL;
}
