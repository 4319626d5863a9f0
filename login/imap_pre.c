/* imap_pre.c - IMAP in the not-authenticated state (RFC 3501 section 3.1). */
#include "base/codec.h"
#include "crypto/secret.h"
#include "login/imap_pre_cmd.h"
#include "login/login.h"

#define ARENA_MAX 65536

static void capabilities(const struct login_conn *c, struct buf *out)
{
	buf_adds(out, "IMAP4rev1 SASL-IR ID ENABLE IDLE LITERAL+ ");
	if (conn_starttls_offered(c))
		buf_adds(out, "STARTTLS ");
	if (!conn_plaintext_ok(c))
		buf_adds(out, "LOGINDISABLED ");
	conn_mechs(c, "AUTH=", out);
	if (out->n && out->p[out->n - 1] == ' ')
		out->n--;
}

static void greet(struct login_conn *c)
{
	struct buf caps = BUF_INIT(2000);

	capabilities(c, &caps);
	stream_printf(c->s, "* OK [CAPABILITY %s] Merpati ready.\r\n", buf_cstr(&caps));
	buf_free(&caps);
}

static void say(struct login_conn *c, struct sv tag, const char *text)
{
	stream_printf(c->s, SV_FMT " %s\r\n", SV_ARG(tag), text);
}

static void challenge(struct login_conn *c, struct sv base64)
{
	stream_printf(c->s, "+ " SV_FMT "\r\n", SV_ARG(base64));
}

static void auth_failed(struct login_conn *c, bool temporary)
{
	say(c, sv_str(c->tag ? c->tag : "*"),
	    temporary ? "NO [UNAVAILABLE] Temporary authentication failure."
		      : "NO [AUTHENTICATIONFAILED] Authentication failed.");
}

static void auth_aborted(struct login_conn *c)
{
	say(c, sv_str(c->tag ? c->tag : "*"), "BAD Authentication aborted.");
}

static void bye(struct login_conn *c, const char *why)
{
	stream_printf(c->s, "* BYE %s.\r\n", why);
}

static void do_capability(struct login_conn *c, const struct imap_pre_cmd *cmd)
{
	struct buf caps = BUF_INIT(2000);

	capabilities(c, &caps);
	stream_printf(
	    c->s, "* CAPABILITY %s\r\n" SV_FMT " OK Capability completed.\r\n", buf_cstr(&caps), SV_ARG(cmd->tag));
	buf_free(&caps);
}

static void do_noop(struct login_conn *c, const struct imap_pre_cmd *cmd)
{
	say(c, cmd->tag, "OK NOOP completed.");
}

static void do_logout(struct login_conn *c, const struct imap_pre_cmd *cmd)
{
	stream_printf(c->s, "* BYE Logging out\r\n" SV_FMT " OK Logout completed.\r\n", SV_ARG(cmd->tag));
	conn_end(c);
}

static void do_id(struct login_conn *c, const struct imap_pre_cmd *cmd)
{
	stream_printf(c->s, "* ID (\"name\" \"Merpati\")\r\n" SV_FMT " OK ID completed.\r\n", SV_ARG(cmd->tag));
}

static void do_starttls(struct login_conn *c, const struct imap_pre_cmd *cmd)
{
	if (c->tls) {
		say(c, cmd->tag, "BAD TLS is already active.");
	} else if (!conn_starttls_offered(c)) {
		say(c, cmd->tag, "NO TLS is not available.");
	} else {
		say(c, cmd->tag, "OK Begin TLS negotiation now.");
		conn_starttls(c);
	}
}

static bool plaintext_refused(struct login_conn *c, const struct imap_pre_cmd *cmd)
{
	if (conn_plaintext_ok(c))
		return false;
	log_info("unknown[%s]: plaintext authentication refused without TLS", c->client);
	say(c, cmd->tag,
	    "NO [PRIVACYREQUIRED] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.");
	return true;
}

static void keep_tag(struct login_conn *c, struct sv tag)
{
	free(c->tag);
	c->tag = sv_dup(tag);
}

static void do_login(struct login_conn *c, const struct imap_pre_cmd *cmd)
{
	if (plaintext_refused(c, cmd))
		return;
	keep_tag(c, cmd->tag);
	sasl_plain(c, cmd->arg, cmd->arg2);
}

static void do_authenticate(struct login_conn *c, const struct imap_pre_cmd *cmd)
{
	struct buf initial = BUF_INIT(AU_MAX_RESPONSE + 2);
	bool has = cmd->arg2.p != NULL;

	if ((sv_ieqs(cmd->arg, "PLAIN") || sv_ieqs(cmd->arg, "LOGIN")) && plaintext_refused(c, cmd))
		return;
	if (!sasl_mech_ok(c, cmd->arg) || cmd->arg.n > AU_MAX_MECH) {
		say(c, cmd->tag, "NO Unsupported authentication mechanism.");
	} else if (has && !sv_eqs(cmd->arg2, "=") && base64_decode(&initial, cmd->arg2)) {
		say(c, cmd->tag, "BAD Initial response is not valid base64.");
		conn_bad(c);
	} else {
		keep_tag(c, cmd->tag);
		sasl_begin(c, cmd->arg, has, buf_sv(&initial));
	}
	buf_wipe(&initial);
}

static void do_unknown(struct login_conn *c, const struct imap_pre_cmd *cmd)
{
	say(c, cmd->tag, "BAD Command unknown or not allowed before login.");
	conn_bad(c);
}

static void (*const handlers[])(struct login_conn *c, const struct imap_pre_cmd *cmd) = {
    [IMAP_PRE_UNKNOWN] = do_unknown,
    [IMAP_PRE_CAPABILITY] = do_capability,
    [IMAP_PRE_NOOP] = do_noop,
    [IMAP_PRE_LOGOUT] = do_logout,
    [IMAP_PRE_ID] = do_id,
    [IMAP_PRE_STARTTLS] = do_starttls,
    [IMAP_PRE_LOGIN] = do_login,
    [IMAP_PRE_AUTHENTICATE] = do_authenticate,
};

/* A copy, since a handler may answer, change the transport or close while it still uses its arguments. */
static void run(struct login_conn *c, size_t n)
{
	char *text = sv_dup(sv_head(stream_in(c->s), n));
	struct imap_pre_cmd cmd;
	struct arena arena;

	arena_init(&arena, ARENA_MAX);
	stream_consume(c->s, n);
	c->scan = (struct imap_scan){0};
	if (imap_pre_parse(sv_of(text, n), &arena, &cmd)) {
		say(c, cmd.tag, "BAD Invalid command or arguments.");
		conn_bad(c);
	} else {
		handlers[cmd.verb](c, &cmd);
	}
	arena_clear(&arena);
	secret_clear(text, n);
	free(text);
}

static bool command(struct login_conn *c)
{
	for (;;) {
		struct sv in = stream_in(c->s);

		switch (imap_scan(&c->scan, in, LOGIN_LINE_MAX)) {
		case IMAP_SCAN_MORE:
			if (in.n < LOGIN_IN_MAX)
				return false;
			conn_end_with(c, "Command too long");
			return false;
		case IMAP_SCAN_LITERAL:
			if (c->scan.literal > LOGIN_LITERAL_MAX) {
				conn_end_with(c, "Literal too large");
				return false;
			}
			if (!c->scan.nonsync)
				stream_write(c->s, "+ OK\r\n", 6);
			imap_scan_accept(&c->scan);
			break;
		case IMAP_SCAN_DONE: run(c, c->scan.end); return true;
		case IMAP_SCAN_TOO_LONG: conn_end_with(c, "Command too long"); return false;
		case IMAP_SCAN_BAD: conn_end_with(c, "Invalid literal"); return false;
		}
	}
}

const struct login_proto login_imap = {
    .name = "imap",
    .title = "IMAP",
    .greet = greet,
    .command = command,
    .challenge = challenge,
    .auth_failed = auth_failed,
    .auth_aborted = auth_aborted,
    .bye = bye,
};
