#include "resolver/setup.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <unbound.h>
#include <unbound-event.h>

#include "base/buf.h"
#include "base/fsutil.h"
#include "base/num.h"

#define MAX_SERVERS 16	 /* forwarders, and stub zones */
#define MAX_RESOLV 65536 /* bytes of resolv.conf */

static bool is_address(struct sv s)
{
	unsigned char bin[16];
	char text[64];

	if (s.n == 0 || s.n >= sizeof(text))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	return inet_pton(AF_INET, text, bin) == 1 || inet_pton(AF_INET6, text, bin) == 1;
}

int setup_server(struct sv text, char out[80])
{
	struct sv addr = text, port = SV_NONE;
	uint64_t v = 0;
	ssize_t at;

	if (text.n > 0 && text.p[0] == '[') {
		at = sv_chr(text, ']');
		if (at < 0)
			return ERR_SYNTAX;
		addr = sv_of(text.p + 1, (size_t)at - 1);
		port = sv_skip(text, (size_t)at + 1);
		if (port.n > 0 && port.p[0] != ':')
			return ERR_SYNTAX;
		port = sv_skip(port, 1);
	} else if ((at = sv_chr(text, '@')) >= 0 || (!is_address(text) && (at = sv_chr(text, ':')) >= 0)) {
		addr = sv_head(text, (size_t)at);
		port = sv_skip(text, (size_t)at + 1);
		if (port.n == 0)
			return ERR_SYNTAX;
	}
	if (!is_address(addr) || (port.n > 0 && num_range(port, 1, 65535, &v) < 0))
		return ERR_SYNTAX;
	if (v)
		snprintf(out, 80, SV_FMT "@%u", SV_ARG(addr), (unsigned)v);
	else
		snprintf(out, 80, SV_FMT, SV_ARG(addr));
	return 0;
}

static int failed(struct err *err, const char *what, int rc)
{
	return err_set(err, ERR_SYS, "%s: %s", what, ub_strerror(rc));
}

static int option(struct ub_ctx *ctx, struct err *err, const char *name, const char *fmt, ...) ATTR_PRINTF(4, 5);
static int option(struct ub_ctx *ctx, struct err *err, const char *name, const char *fmt, ...)
{
	char value[64];
	va_list ap;
	int rc;

	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	rc = ub_ctx_set_option(ctx, name, value);
	return rc == 0 ? 0 : failed(err, name, rc);
}

static int add_forwarder(struct ub_ctx *ctx, struct sv text, struct err *err)
{
	char server[80];
	int rc;

	if (setup_server(text, server) < 0)
		return err_set(err, ERR_SYNTAX, "resolver_forward: \"" SV_FMT "\" is not an address", SV_ARG(text));
	rc = ub_ctx_set_fwd(ctx, server);
	return rc == 0 ? 0 : failed(err, "resolver_forward", rc);
}

/* Name servers of resolv.conf(5); other lines, and what is not an address, mean nothing to us. */
static int read_resolv_conf(struct ub_ctx *ctx, const char *path, unsigned *n, struct err *err)
{
	CLEANUP(buf_freep) struct buf text = BUF_INIT(MAX_RESOLV);
	struct sv rest, line, word;

	if (fs_read_file(AT_FDCWD, path, &text, NULL) < 0)
		return 0;
	rest = buf_sv(&text);
	while (rest.p && *n < MAX_SERVERS) {
		ssize_t percent;

		line = sv_cut(&rest, "\n");
		if (!sv_token(&line, " \t\r", &word) || !sv_eqs(word, "nameserver") || !sv_token(&line, " \t\r", &word))
			continue;
		percent = sv_chr(word, '%'); /* a scope; link-local servers are not reachable without it */
		if (percent >= 0 || !is_address(word))
			continue;
		if (add_forwarder(ctx, word, err) < 0)
			return ERR_SYS;
		(*n)++;
	}
	return 0;
}

static int set_forwarders(struct ub_ctx *ctx, const struct setup *s, unsigned *n, struct err *err)
{
	struct sv rest = sv_str(s->forward), word;

	*n = 0;
	if (sv_eqs(sv_trim(rest), "none"))
		return 0;
	while (*n < MAX_SERVERS && sv_token(&rest, " \t\r\n,", &word)) {
		if (add_forwarder(ctx, word, err) < 0)
			return ERR_SYNTAX;
		(*n)++;
	}
	return *n > 0 ? 0 : read_resolv_conf(ctx, s->resolv_conf, n, err);
}

/* "zone=server", separated by blanks or commas; a zone may be named more than once. */
static int set_stubs(struct ub_ctx *ctx, const struct setup *s, struct err *err)
{
	struct sv rest = sv_str(s->stub_zones), word;

	while (sv_token(&rest, " \t\r\n,", &word)) {
		struct sv zone = sv_cut(&word, "=");
		char server[80], name[256];
		int rc;

		if (zone.n == 0 || zone.n >= sizeof(name) || !word.p || setup_server(word, server) < 0)
			return err_set(
			    err, ERR_SYNTAX, "resolver_stub_zones: \"" SV_FMT "\" is not ZONE=ADDRESS", SV_ARG(zone));
		memcpy(name, zone.p, zone.n);
		name[zone.n] = '\0';
		rc = ub_ctx_set_stub(ctx, name, server, 0);
		if (rc != 0)
			return failed(err, "resolver_stub_zones", rc);
	}
	return 0;
}

static int set_options(struct ub_ctx *ctx, const struct setup *s, struct err *err)
{
	uint64_t third = s->cache_size / 3;

	/* An answer and its records are cached apart; the records need about twice the room. */
	if (option(ctx, err, "msg-cache-size:", "%llu", (unsigned long long)third) < 0 ||
	    option(ctx, err, "rrset-cache-size:", "%llu", (unsigned long long)third * 2) < 0 ||
	    option(ctx, err, "cache-max-ttl:", "%llu", (unsigned long long)s->max_ttl) < 0 ||
	    option(ctx, err, "do-ip4:", "%s", s->ipv4 ? "yes" : "no") < 0 ||
	    option(ctx, err, "do-ip6:", "%s", s->ipv6 ? "yes" : "no") < 0 ||
	    option(ctx, err, "cache-max-negative-ttl:", "%llu", (unsigned long long)s->max_negative_ttl) < 0)
		return ERR_SYS;
	/* Private addresses are the forwarder's business; a name server on this host is a usual one. */
	if (option(ctx, err, "unblock-lan-zones:", "yes") < 0 ||
	    option(ctx, err, "do-not-query-localhost:", "no") < 0 || option(ctx, err, "outgoing-range:", "256") < 0 ||
	    option(ctx, err, "num-queries-per-thread:", "2048") < 0)
		return ERR_SYS;
	return 0;
}

static int set_dnssec(struct ub_ctx *ctx, const struct setup *s, unsigned forwarders, struct err *err)
{
	bool asked = strcmp(s->dnssec, "yes") == 0;
	int rc;

	/* "auto": a forwarder may not pass signatures on, and every answer would be bogus then. */
	if (strcmp(s->dnssec, "no") == 0 || (!asked && forwarders > 0) ||
	    (!asked && access(s->trust_anchor_file, R_OK) != 0))
		return option(ctx, err, "module-config:", "iterator");
	rc = ub_ctx_add_ta_file(ctx, s->trust_anchor_file);
	return rc == 0 ? 0 : failed(err, s->trust_anchor_file, rc);
}

static void warmed_up(void *arg, int rcode, void *packet, int n, int sec, char *why, int limited)
{
	(void)arg;
	(void)rcode;
	(void)packet;
	(void)n;
	(void)sec;
	(void)why;
	(void)limited;
}

int setup_context(struct ub_event_base *base, const struct setup *s, struct ub_ctx **out, struct err *err)
{
	struct ub_ctx *ctx = ub_ctx_create_ub_event(base);
	unsigned forwarders;
	int rc, id;

	if (!ctx)
		return err_set(err, ERR_SYS, "libunbound: cannot make a context");
	ub_ctx_debugout(ctx, NULL);
	if (set_options(ctx, s, err) < 0 || set_forwarders(ctx, s, &forwarders, err) < 0 ||
	    set_stubs(ctx, s, err) < 0 || set_dnssec(ctx, s, forwarders, err) < 0)
		return ERR_SYS;
	/* From here on the context is complete.  "test." is one of its built-in empty zones; sites do use it. */
	ub_ctx_zone_remove(ctx, "test.");
	rc = ub_resolve_event(ctx, "localhost.", 1, 1, NULL, warmed_up, &id);
	if (rc != 0)
		return failed(err, "libunbound", rc);
	*out = ctx;
	return 0;
}
