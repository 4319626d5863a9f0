/* merpati_user.c - merpati user add|passwd|del|list: accounts in LMDB, and the tables that rewrite reads. */
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "auth/account.h"
#include "auth/pwhash.h"
#include "auth/user_table.h"
#include "base/fsutil.h"
#include "base/num.h"
#include "conf/maincf_host.h"
#include "crypto/rng.h"
#include "crypto/secret.h"
#include "tools/merpati.h"
#include "tools/password_prompt.h"

#define FROM_MAX (64u << 20) /* bytes of a --from file */
#define ACCOUNTS_MAX 1000000 /* lines of it */
#define HASH_THREADS_MAX 16
#define DEFAULT_ITERATIONS 4096 /* RFC 7677 section 4 */

struct user_tool {
	struct maincf *maincf;
	char *users, *mailboxes, *domains, *mail, *realm; /* three files, the base folder, the domain of bare names */
	uint32_t uid, gid, iterations;
	const char *folder; /* --folder, or NULL */
	bool no_scram;
};

/* One account that is being made or changed. */
struct entry {
	char *address, *password, *folder;
	struct buf record; /* what will stand in users.lmdb */
	uint32_t uid, gid;
	struct err err;
};

static int complain(const struct err *err)
{
	fprintf(stderr, "merpati user: %s\n", err->text);
	switch (err->code) {
	case ERR_NOT_FOUND: return EX_NOUSER;
	case ERR_EXISTS: return EX_CANTCREAT;
	case ERR_SYNTAX: return EX_DATAERR;
	case ERR_SYS: return err->sys == EACCES || err->sys == EPERM ? EX_NOPERM : EX_OSERR;
	default: return EX_UNAVAILABLE;
	}
}

static int usage(void)
{
	fputs("usage: merpati user add [--uid N] [--gid N] [--folder F] [--iterations N] [--no-scram] address\n"
	      "       merpati user add [options] --from file      (lines of address:password)\n"
	      "       merpati user passwd [--iterations N] [--no-scram] address\n"
	      "       merpati user del address...\n"
	      "       merpati user list [address...]\n"
	      "The password is read from the terminal, or the first line of standard input.\n",
	    stderr);
	return EX_USAGE;
}

static char *value(const struct user_tool *t, const char *name)
{
	struct buf b = BUF_INIT(CONF_VALUE_MAX);

	maincf_value(t->maincf, name, NULL, 0, &b, NULL);
	return buf_steal(&b);
}

/* virtual_uid_maps and virtual_gid_maps: the number of "static:N", the default for new accounts. */
static uint32_t static_id(const struct user_tool *t, const char *name)
{
	CLEANUP(freep) char *maps = value(t, name);
	uint32_t id = 5000;

	if (sv_starts(sv_str(maps), SV("static:")))
		num_u32(sv_trim(sv_skip(sv_str(maps), 7)), &id);
	return id;
}

static int open_tool(struct user_tool *t)
{
	const char *dir = getenv("MAIL_CONFIG");
	CLEANUP(freep) char *path = xasprintf("%s/main.cf", dir ? dir : "/etc/merpati");
	struct maincf_args args = {.path = path, .config_directory = dir, .host = maincf_host_default};
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	struct err err;
	int r = maincf_load(&args, &t->maincf, &problems, &err);
	char *data;

	conf_problems_clear(&problems);
	if (r) {
		fprintf(stderr, "merpati user: %s\n", err.text);
		return EX_CONFIG;
	}
	data = value(t, "data_directory");
	t->users = xasprintf("%s/auth/users.lmdb", data);
	t->mailboxes = xasprintf("%s/tables/mailboxes.lmdb", data);
	t->domains = xasprintf("%s/tables/domains.lmdb", data);
	t->mail = value(t, "virtual_mailbox_base");
	t->realm = value(t, "auth_default_realm");
	t->uid = static_id(t, "virtual_uid_maps");
	t->gid = static_id(t, "virtual_gid_maps");
	t->iterations = DEFAULT_ITERATIONS;
	free(data);
	return 0;
}

static void close_tool(struct user_tool *t)
{
	maincf_free(&t->maincf);
	free(t->users);
	free(t->mailboxes);
	free(t->domains);
	free(t->mail);
	free(t->realm);
}

/* The owner of auth's table: the user that auth runs as, where the system has it. */
static struct user_owner auth_owner(void)
{
	struct passwd *pw = geteuid() == 0 ? getpwnam("merpati-auth") : NULL;

	return (struct user_owner){
	    .mode = 0600, .uid = pw ? pw->pw_uid : (uid_t)-1, .gid = pw ? pw->pw_gid : (gid_t)-1};
}

static const struct user_owner table_owner = {.mode = 0644, .uid = (uid_t)-1, .gid = (gid_t)-1};

static int make_data_folders(const struct user_tool *t, struct err *err)
{
	struct user_owner auth = auth_owner();
	const char *const files[] = {t->users, t->mailboxes};

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		CLEANUP(freep) char *dir = xstrndup(files[i], (size_t)(strrchr(files[i], '/') - files[i]));
		bool is_new = access(dir, F_OK) != 0;
		int r = fs_mkdirs(dir, 0755, err);

		if (r)
			return r;
		if (is_new && i == 0 && (chmod(dir, 0700) || (auth.uid != (uid_t)-1 && chown(dir, auth.uid, auth.gid))))
			return err_sys(err, "%s", dir);
	}
	return 0;
}

/* --- records --- */

/* Fills e->record: slow, runs in threads. */
static int make_record(const struct user_tool *t, struct entry *e)
{
	struct buf crypt = BUF_INIT(ACCOUNT_MAX_CRYPT), scram = BUF_INIT(512);
	struct scram_verifier v = {.iterations = t->iterations, .salt_len = 16};
	struct account a = {.uid = e->uid, .gid = e->gid, .folder = sv_str(e->folder)};
	int r = pwhash_make(sv_str(e->password), &crypt, &e->err);

	if (!r && !t->no_scram) {
		rng_bytes(v.salt, v.salt_len);
		scram_derive(sv_str(e->password), &v);
		scram_format(&v, &scram);
	}
	if (!r) {
		a.crypt = buf_sv(&crypt);
		a.scram = buf_sv(&scram);
		r = account_format(&a, &e->record);
	}
	buf_wipe(&crypt);
	buf_wipe(&scram);
	return r;
}

struct hashing {
	const struct user_tool *t;
	struct entry *entries;
	size_t n;
	size_t next; /* atomic */
	int failed;
};

static void *hash_thread(void *arg)
{
	struct hashing *h = arg;

	for (;;) {
		size_t i = __atomic_fetch_add(&h->next, 1, __ATOMIC_RELAXED);

		if (i >= h->n)
			return NULL;
		if (make_record(h->t, &h->entries[i]))
			__atomic_store_n(&h->failed, 1, __ATOMIC_RELAXED);
	}
}

static int make_records(const struct user_tool *t, struct entry *entries, size_t n, struct err *err)
{
	struct hashing h = {.t = t, .entries = entries, .n = n};
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t threads[HASH_THREADS_MAX];
	size_t running = 0;

	while (running + 1 < (size_t)cpus && running < HASH_THREADS_MAX && running + 1 < n) {
		if (pthread_create(&threads[running], NULL, hash_thread, &h))
			break;
		running++;
	}
	hash_thread(&h);
	while (running)
		pthread_join(threads[--running], NULL);
	for (size_t i = 0; h.failed && i < n; i++) {
		if (entries[i].err.code) {
			*err = entries[i].err;
			return err_prefix(err, "%s", entries[i].address);
		}
	}
	return 0;
}

/* --- entries --- */

static void entry_clear(struct entry *e)
{
	free(e->address);
	free(e->folder);
	secret_free(&e->password);
	buf_wipe(&e->record);
}

static int entry_init(
    const struct user_tool *t, struct entry *e, struct sv address, struct sv password, struct err *err)
{
	struct buf name = BUF_INIT(ACCOUNT_MAX_NAME + 1);
	const char *at;

	*e = (struct entry){.uid = t->uid, .gid = t->gid};
	buf_init(&e->record, ACCOUNT_MAX_RECORD);
	if (account_normalize(address, sv_str(t->realm), &name) || sv_chr(buf_sv(&name), '@') < 0) {
		buf_free(&name);
		return err_set(err, ERR_SYNTAX, "\"" SV_FMT "\" is not an address", SV_ARG(sv_head(address, 100)));
	}
	e->address = buf_steal(&name);
	e->password = sv_dup(password);
	at = strrchr(e->address, '@');
	e->folder = t->folder ? xasprintf("%s%s", t->folder, sv_ends(sv_str(t->folder), SV("/")) ? "" : "/")
			      : xasprintf("%s/%.*s/", at + 1, (int)(at - e->address), e->address);
	if (!account_folder_ok(sv_str(e->folder)))
		return err_set(err, ERR_SYNTAX, "\"%.100s\" cannot be the folder of an account", e->folder);
	if (!e->password[0])
		return err_set(err, ERR_SYNTAX, "%s: empty password", e->address);
	return 0;
}

/* Makes each folder below the base as its account, never through a link that a user may have put there. */
static int make_mail_folder(const struct user_tool *t, const struct entry *e, struct err *err)
{
	struct sv rest = sv_of(e->folder, strlen(e->folder) - 1);
	int r = fs_mkdirs(t->mail, 0755, err);
	CLEANUP(fd_closep) int at = r ? -1 : open(t->mail, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (at < 0)
		return r ? r : err_sys(err, "%s", t->mail);
	while (rest.p) {
		CLEANUP(freep) char *part = sv_dup(sv_cut(&rest, "/"));
		bool made = mkdirat(at, part, rest.p ? 0771 : 0700) == 0;
		int fd = openat(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (fd < 0)
			return err_sys(err, "%s/%s", t->mail, e->folder);
		fd_close(&at);
		at = fd;
		if (made && geteuid() == 0 && fchown(fd, e->uid, e->gid))
			return err_sys(err, "%s/%s", t->mail, e->folder);
		if (made && fchmod(fd, rest.p ? 0771 : 0700))
			return err_sys(err, "%s/%s", t->mail, e->folder);
	}
	return 0;
}

/* Writes the three tables: an account is found by rewrite only when auth knows it. */
static int store_new(const struct user_tool *t, struct entry *entries, size_t n, struct err *err)
{
	struct user_change *users = xcalloc(n, sizeof(*users)), *boxes = xcalloc(n, sizeof(*boxes));
	struct user_change *domains = xcalloc(n, sizeof(*domains));
	struct user_owner auth = auth_owner();
	int r = make_data_folders(t, err);

	for (size_t i = 0; i < n; i++) {
		struct sv address = sv_str(entries[i].address);
		ssize_t at = sv_rchr(address, '@');

		users[i] =
		    (struct user_change){.key = address, .value = buf_sv(&entries[i].record), .must_be_new = true};
		boxes[i] = (struct user_change){.key = address, .value = sv_str(entries[i].folder)};
		domains[i] = (struct user_change){.key = sv_skip(address, (size_t)at + 1), .value = SV("accounts")};
	}
	for (size_t i = 0; i < n && !r; i++)
		r = make_mail_folder(t, &entries[i], err);
	if (!r)
		r = user_table_change(t->users, &auth, users, n, err);
	if (!r)
		r = user_table_change(t->mailboxes, &table_owner, boxes, n, err);
	if (!r)
		r = user_table_change(t->domains, &table_owner, domains, n, err);
	free(users);
	free(boxes);
	free(domains);
	return r;
}

static int add_entries(const struct user_tool *t, struct entry *entries, size_t n)
{
	struct err err = {0};
	int r = make_records(t, entries, n, &err);

	if (!r)
		r = store_new(t, entries, n, &err);
	return r ? complain(&err) : 0;
}

static int add_from(const struct user_tool *t, const char *file)
{
	struct buf text = BUF_INIT(FROM_MAX);
	struct entry *entries = NULL;
	struct sv rest, line;
	struct err err = {0};
	size_t n = 0;
	int r = fs_read_file(AT_FDCWD, file, &text, &err);

	rest = buf_sv(&text);
	while (!r && rest.p) {
		ssize_t colon;

		line = sv_trim(sv_cut(&rest, "\n"));
		colon = sv_chr(line, ':');
		if (!line.n || line.p[0] == '#')
			continue;
		if (colon <= 0 || n == ACCOUNTS_MAX) {
			r = err_set(&err, ERR_SYNTAX, "%s: not address:password", file);
			break;
		}
		entries = xreallocarray(entries, n + 1, sizeof(*entries));
		r = entry_init(t, &entries[n++], sv_head(line, (size_t)colon), sv_skip(line, (size_t)colon + 1), &err);
	}
	r = r ? complain(&err) : add_entries(t, entries, n);
	for (size_t i = 0; i < n; i++)
		entry_clear(&entries[i]);
	free(entries);
	buf_wipe(&text);
	return r;
}

static int add_one(const struct user_tool *t, const char *address)
{
	char *password = password_prompt();
	struct err err = {0};
	struct entry e;
	int r;

	if (!password)
		return EX_NOINPUT;
	r = entry_init(t, &e, sv_str(address), sv_str(password), &err);
	r = r ? complain(&err) : add_entries(t, &e, 1);
	entry_clear(&e);
	secret_free(&password);
	return r;
}

/* The account as it is, in e (with a copy of its folder); ERR_NOT_FOUND. */
static int load_entry(const struct user_tool *t, struct entry *e, struct err *err)
{
	struct user_table *table = NULL;
	struct account a = {0};
	struct sv text;
	int r = user_table_open(t->users, &table, err);

	if (!r)
		r = user_table_get(table, sv_str(e->address), &text, err);
	if (r == ERR_NOT_FOUND)
		err_set(err, ERR_NOT_FOUND, "no account %s", e->address);
	if (!r)
		r = account_parse(text, &a, err);
	if (!r) {
		free(e->folder);
		e->folder = sv_dup(a.folder);
		e->uid = a.uid;
		e->gid = a.gid;
	}
	user_table_close(&table);
	return r;
}

static int change_password(const struct user_tool *t, const char *address)
{
	struct user_owner auth = auth_owner();
	char *password = NULL;
	struct err err = {0};
	struct entry e;
	int r = entry_init(t, &e, sv_str(address), SV("-"), &err);

	if (!r)
		r = load_entry(t, &e, &err);
	if (!r && !(password = password_prompt()))
		r = err_set(&err, ERR_SYNTAX, "no password");
	if (!r) {
		secret_free(&e.password);
		e.password = password;
		if (!*password)
			r = err_set(&err, ERR_SYNTAX, "empty password");
	}
	if (!r)
		r = make_records(t, &e, 1, &err);
	if (!r) {
		struct user_change c = {.key = sv_str(e.address), .value = buf_sv(&e.record)};

		r = user_table_change(t->users, &auth, &c, 1, &err);
	}
	entry_clear(&e);
	return r ? complain(&err) : 0;
}

struct search {
	struct sv domain;
	bool found;
};

static bool in_domain(void *arg, struct sv key, struct sv value)
{
	struct search *s = arg;

	(void)value;
	s->found =
	    s->found || (key.n > s->domain.n && sv_ends(key, s->domain) && key.p[key.n - s->domain.n - 1] == '@');
	return !s->found;
}

static int drop_empty_domain(const struct user_tool *t, struct sv domain, struct err *err)
{
	struct user_change c = {.key = domain};
	struct search s = {.domain = domain};
	struct user_table *table = NULL;
	int r = user_table_open(t->mailboxes, &table, err);

	if (!r)
		r = user_table_each(table, in_domain, &s, err);
	user_table_close(&table);
	if (!r && !s.found)
		r = user_table_change(t->domains, &table_owner, &c, 1, err);
	return r == ERR_NOT_FOUND ? 0 : r;
}

/* Mail stays: only the postmaster decides about it. */
static int del_one(const struct user_tool *t, const char *address)
{
	struct user_owner auth = auth_owner();
	struct err err = {0};
	struct entry e;
	int r = entry_init(t, &e, sv_str(address), SV("-"), &err);

	if (!r) {
		struct user_change c = {.key = sv_str(e.address)};
		ssize_t at = sv_rchr(c.key, '@');

		r = user_table_change(t->users, &auth, &c, 1, &err);
		if (!r) {
			r = user_table_change(t->mailboxes, &table_owner, &c, 1, &err);
			r = r == ERR_NOT_FOUND ? 0 : r;
		}
		if (!r)
			r = drop_empty_domain(t, sv_skip(c.key, (size_t)at + 1), &err);
	}
	entry_clear(&e);
	return r ? complain(&err) : 0;
}

static bool print_row(void *arg, struct sv key, struct sv text)
{
	struct account a = {0};

	(void)arg;
	if (account_parse(text, &a, NULL)) {
		printf(SV_FMT "\tdamaged\n", SV_ARG(key));
		return true;
	}
	printf(SV_FMT "\t%u:%u\t" SV_FMT "\t%s%s%s\n", SV_ARG(key), a.uid, a.gid, SV_ARG(a.folder),
	    a.crypt.n ? "crypt" : "", a.scram.n ? " scram" : "", a.disabled ? " disabled" : "");
	return true;
}

static int list(const struct user_tool *t, int n, char **addresses)
{
	struct user_table *table = NULL;
	struct err err = {0};
	int r = user_table_open(t->users, &table, &err);

	if (!r && !n)
		r = user_table_each(table, print_row, NULL, &err);
	for (int i = 0; i < n && !r; i++) {
		struct buf name = BUF_INIT(ACCOUNT_MAX_NAME + 1);
		struct sv text = SV_NONE;

		r = account_normalize(sv_str(addresses[i]), sv_str(t->realm), &name);
		r = r ? err_set(&err, r, "not an address") : user_table_get(table, buf_sv(&name), &text, &err);
		if (r == ERR_NOT_FOUND)
			err_set(&err, ERR_NOT_FOUND, "no account %s", addresses[i]);
		else if (!r)
			print_row(NULL, buf_sv(&name), text);
		buf_free(&name);
	}
	user_table_close(&table);
	return r ? complain(&err) : 0;
}

static bool number(const char *text, uint64_t min, uint64_t max, uint32_t *out)
{
	uint64_t n;

	if (num_range(sv_str(text), min, max, &n))
		return false;
	*out = (uint32_t)n;
	return true;
}

static int run(struct user_tool *t, const char *verb, const char *from, int n, char **args)
{
	int r = 0;

	if (!strcmp(verb, "list"))
		return list(t, n, args);
	if (!strcmp(verb, "add") && from)
		return n ? usage() : add_from(t, from);
	if (n < 1 || (n > 1 && strcmp(verb, "del") != 0) || from)
		return usage();
	if (!strcmp(verb, "add"))
		return add_one(t, args[0]);
	if (!strcmp(verb, "passwd"))
		return change_password(t, args[0]);
	if (strcmp(verb, "del") != 0)
		return usage();
	for (int i = 0; i < n && !r; i++)
		r = del_one(t, args[i]);
	return r;
}

int merpati_user(int argc, char **argv)
{
	static const struct option options[] = {{"uid", required_argument, NULL, 'u'},
	    {"gid", required_argument, NULL, 'g'}, {"folder", required_argument, NULL, 'h'},
	    {"iterations", required_argument, NULL, 'i'}, {"no-scram", no_argument, NULL, 'n'},
	    {"from", required_argument, NULL, 'f'}, {NULL, 0, NULL, 0}};
	struct user_tool t = {0};
	const char *from = NULL;
	bool ok = true;
	int c, r;

	if (argc < 2)
		return usage();
	r = open_tool(&t);
	if (r)
		return r;
	optind = 0;
	while (ok && (c = getopt_long(argc - 1, argv + 1, "", options, NULL)) != -1) {
		switch (c) {
		case 'u': ok = number(optarg, 1, UINT32_MAX - 1, &t.uid); break;
		case 'g': ok = number(optarg, 1, UINT32_MAX - 1, &t.gid); break;
		case 'i': ok = number(optarg, SCRAM_MIN_ITERATIONS, SCRAM_MAX_ITERATIONS, &t.iterations); break;
		case 'h': t.folder = optarg; break;
		case 'n': t.no_scram = true; break;
		case 'f': from = optarg; break;
		default: ok = false; break;
		}
	}
	r = ok ? run(&t, argv[1], from, argc - 1 - optind, argv + 1 + optind) : usage();
	close_tool(&t);
	return r;
}
