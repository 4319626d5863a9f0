/* expand.c - $names in forward_path and luser_relay, and the environment of commands. */
#include "conf/conf_expand.h"
#include "local/coord.h"
#include "message/addr.h"

struct names {
	const struct rcpt *r;
	struct sv local, domain, extension;
};

static void names_of(const struct rcpt *r, struct names *n)
{
	addr_split(r->in->rcpt.addr, &n->local, &n->domain);
	n->r = r;
	/* An extension with a slash in it would lead out of the user's folder. */
	n->extension = sv_chr(r->who.extension, '/') >= 0 ? sv_head(r->who.extension, 0) : r->who.extension;
}

static bool lookup(void *ctx, struct sv name, struct sv *value)
{
	const struct names *n = ctx;
	const struct coord_conf *c = &n->r->job->c->conf;
	const struct {
		const char *name;
		struct sv value;
	} known[] = {
	    {"home", n->r->who.home},
	    {"user", n->r->who.user},
	    {"recipient", n->r->in->rcpt.addr},
	    {"local", n->local},
	    {"domain", n->domain},
	    {"extension", n->extension},
	    {"shell", SV("/bin/sh")},
	    {"recipient_delimiter", sv_head(sv_str(c->delimiter), n->extension.n > 0 ? 1 : 0)},
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (sv_eqs(name, known[i].name)) {
			*value = known[i].value;
			return value->n > 0;
		}
	}
	return false;
}

int expand_names(const struct rcpt *r, struct sv text, struct buf *out, struct err *err)
{
	struct names n;

	names_of(r, &n);
	return conf_expand(text, 0, lookup, &n, out, err);
}

static void add_env(struct rcpt *r, struct sv *env, size_t *n, const char *name, struct sv value)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(MAIL_ADDR_MAX + 80);

	if (*n >= LC_ENV_MAX || value.n == 0)
		return;
	buf_printf(&b, "%s=", name);
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];

		buf_addc(&b, c < 32 || c == 127 ? '?' : (char)c);
	}
	if (!b.overflow && arena_sv(&r->job->arena, buf_sv(&b), &env[*n]) == 0)
		++*n;
}

/* export_environment: names (taken from our own environment) and name=value. */
static void add_exported(struct rcpt *r, struct sv *env, size_t *n)
{
	struct sv rest = sv_str(r->job->c->conf.export_env), word;

	while (sv_token(&rest, " ,\t\n", &word)) {
		ssize_t eq = sv_chr(word, '=');
		CLEANUP(freep) char *name = sv_dup(eq < 0 ? word : sv_head(word, (size_t)eq));
		const char *mine = eq < 0 ? getenv(name) : NULL;

		if (name[0] != '\0')
			add_env(r, env, n, name, eq < 0 ? sv_str(mine) : sv_skip(word, (size_t)eq + 1));
	}
}

size_t command_env(struct rcpt *r, struct sv env[LC_ENV_MAX])
{
	const struct mail_envelope *e = &r->job->d.env;
	const struct mail_rcpt *to = &r->in->rcpt;
	struct names names;
	size_t n = 0;

	names_of(r, &names);
	add_env(r, env, &n, "PATH", SV("/usr/bin:/bin"));
	add_exported(r, env, &n);
	add_env(r, env, &n, "SHELL", SV("/bin/sh"));
	add_env(r, env, &n, "HOME", r->who.kind == RW_LOCAL_USER ? r->who.home : SV("/"));
	add_env(r, env, &n, "USER", r->who.user);
	add_env(r, env, &n, "LOGNAME", r->who.user);
	add_env(r, env, &n, "SENDER", e->sender.n > 0 ? e->sender : SV("MAILER-DAEMON"));
	add_env(r, env, &n, "RECIPIENT", to->addr);
	add_env(r, env, &n, "ORIGINAL_RECIPIENT", to->orig.n > 0 ? to->orig : to->addr);
	add_env(r, env, &n, "LOCAL", names.local);
	add_env(r, env, &n, "DOMAIN", names.domain);
	add_env(r, env, &n, "EXTENSION", names.extension);
	add_env(r, env, &n, "CLIENT_HOSTNAME", e->client_name);
	add_env(r, env, &n, "CLIENT_ADDRESS", e->client_addr);
	add_env(r, env, &n, "CLIENT_HELO", e->helo);
	add_env(r, env, &n, "CLIENT_PROTOCOL", e->protocol);
	add_env(r, env, &n, "SASL_METHOD", e->sasl_method);
	add_env(r, env, &n, "SASL_USERNAME", e->sasl_user);
	return n;
}
