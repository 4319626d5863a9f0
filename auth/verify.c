/* verify.c - sources of accounts: LMDB with the password hashed by a worker, then PAM. */
#include "auth/auth.h"

#include "crypto/secret.h"

struct check {
	verify_done *done;
	void *arg;
	struct identity id;
	char *user, *password, *verifier; /* for the cache; verifier "" for PAM */
	bool dummy;			  /* hashed only so that it takes as long */
};

static void check_free(struct check *k)
{
	free(k->id.folder);
	free(k->user);
	secret_free(&k->password);
	free(k->verifier);
	free(k);
}

static char *account_folder(struct sv below)
{
	return xasprintf("%s/%.*s", auth.mail, (int)below.n - 1, below.p);
}

/* 0 with *a (views that die with the next look into the table), ERR_NOT_FOUND, ERR_TEMP. */
static int find_account(struct sv user, struct account *a)
{
	struct err err;
	struct sv text;
	int r;

	if (!auth.users)
		return ERR_NOT_FOUND;
	r = user_table_get(auth.users, user, &text, &err);
	if (!r)
		r = account_parse(text, a, &err);
	if (r && r != ERR_NOT_FOUND) {
		log_warn("account " SV_FMT ": %s", SV_ARG(user), err.text);
		return ERR_TEMP;
	}
	return r;
}

int verify_identity(struct sv user, struct identity *out)
{
	struct account a;
	int r = find_account(user, &a);

	if (r || a.disabled)
		return r ? r : ERR_NOT_FOUND;
	*out = (struct identity){.uid = a.uid, .gid = a.gid, .folder = account_folder(a.folder)};
	return 0;
}

void verify_scram(void *ctx, struct sv name, struct scram_verifier *out)
{
	struct buf user = BUF_INIT(ACCOUNT_MAX_NAME + 1);
	struct account a;
	bool found;

	(void)ctx;
	found = !account_normalize(name, sv_str(auth.realm), &user) && !find_account(buf_sv(&user), &a) &&
		!a.disabled && !scram_parse(a.scram, out);
	if (!found)
		scram_invent(
		    user.n ? buf_sv(&user) : name, sv_of(auth.secret, sizeof(auth.secret)), auth.iterations, out);
	buf_free(&user);
}

static void conclude(struct check *k, int status)
{
	struct identity id = k->id;

	if (k->dummy && !status)
		status = ERR_DENIED;
	if (!status) {
		auth_cache_add(
		    auth.cache, ev_now(daemon_ev(auth.d)), sv_str(k->user), sv_str(k->password), sv_str(k->verifier));
		k->id.folder = NULL;
	}
	k->done(k->arg, status, status ? NULL : &id);
	check_free(k);
}

static void on_hashed(void *arg, const struct worker_reply *r)
{
	conclude(arg, r->status);
}

static void on_pam(void *arg, const struct worker_reply *r)
{
	struct check *k = arg;
	int status = r->status;

	if (!status && r->home[0] != '/') {
		log_warn("user %s has no home folder", k->user);
		status = ERR_DENIED;
	}
	if (!status) {
		const char *box = conf_str(daemon_conf(auth.d), "home_mailbox");
		size_t n = strlen(box);

		k->id.uid = r->uid;
		k->id.gid = r->gid;
		k->id.folder = n > 1 && box[n - 1] == '/' ? xasprintf("%s/%.*s", r->home, (int)n - 1, box)
							  : xasprintf("%s/Maildir", r->home);
	}
	conclude(k, status);
}

static void ask_worker(struct check *k, enum worker_kind kind, struct sv second, struct sv client, worker_done *done)
{
	if (workers_ask(auth.workers, kind, sv_str(k->password), second, client, done, k)) {
		log_warn("too many passwords wait to be checked");
		conclude(k, ERR_TEMP);
	}
}

static struct check *check_new(const struct verify_request *r, verify_done *done, void *arg)
{
	struct check *k = xcalloc(1, sizeof(*k));

	k->done = done;
	k->arg = arg;
	k->user = sv_dup(r->user);
	k->password = sv_dup(r->password);
	return k;
}

static void verify_account(const struct verify_request *r, const struct account *a, verify_done *done, void *arg)
{
	struct identity id = {.uid = a->uid, .gid = a->gid, .folder = account_folder(a->folder)};
	struct check *k;

	if (!a->disabled && a->crypt.n > 0 &&
	    auth_cache_check(auth.cache, ev_now(daemon_ev(auth.d)), r->user, r->password, a->crypt)) {
		done(arg, 0, &id);
		return;
	}
	k = check_new(r, done, arg);
	k->id = id;
	k->dummy = a->disabled || !a->crypt.n;
	k->verifier = k->dummy ? xstrdup(auth.dummy_hash) : sv_dup(a->crypt);
	ask_worker(k, WORKER_HASH, sv_str(k->verifier), SV(""), on_hashed);
}

void verify(const struct verify_request *r, verify_done *done, void *arg)
{
	struct account a;
	struct check *k;
	int found;

	if (!r->password.n || r->password.n > PWHASH_MAX_PASSWORD || r->user.n > WORKER_MAX_NAME) {
		done(arg, ERR_DENIED, NULL);
		return;
	}
	found = find_account(r->user, &a);
	if (found == ERR_TEMP) {
		done(arg, ERR_TEMP, NULL);
		return;
	}
	if (!found) {
		verify_account(r, &a, done, arg);
		return;
	}
	k = check_new(r, done, arg);
	if (auth.pam && sv_chr(r->given, '@') < 0) {
		k->verifier = xstrdup("");
		ask_worker(k, WORKER_PAM, r->given, r->client, on_pam);
		return;
	}
	k->dummy = true; /* the same work and the same answer as for a wrong password */
	k->verifier = xstrdup(auth.dummy_hash);
	ask_worker(k, WORKER_HASH, sv_str(k->verifier), SV(""), on_hashed);
}
