/* pop3_pre.c - POP3 in the AUTHORIZATION state (RFC 1939 section 4, RFC 2449, RFC 2595, RFC 5034). */
#include "base/codec.h"
#include "crypto/secret.h"
#include "login/login.h"
#include "proto/pop3_cmd.h"

static void say(struct login_conn *c, const char *text)
{
	stream_printf(c->s, "%s\r\n", text);
}

static void greet(struct login_conn *c)
{
	say(c, "+OK Merpati ready.");
}

static void challenge(struct login_conn *c, struct sv base64)
{
	stream_printf(c->s, "+ " SV_FMT "\r\n", SV_ARG(base64));
}

static void auth_failed(struct login_conn *c, bool temporary)
{
	free(c->user);
	c->user = NULL;
	say(c, temporary ? "-ERR [SYS/TEMP] Temporary authentication failure." : "-ERR [AUTH] Authentication failed.");
}

static void auth_aborted(struct login_conn *c)
{
	say(c, "-ERR Authentication aborted.");
}

static void bye(struct login_conn *c, const char *why)
{
	stream_printf(c->s, "-ERR %s.\r\n", why);
}

static void do_capa(struct login_conn *c, const struct pop3_cmd *cmd)
{
	struct buf mechs = BUF_INIT(1000);

	(void)cmd;
	say(c, "+OK\r\nCAPA\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nPIPELINING\r\nAUTH-RESP-CODE");
	if (conn_starttls_offered(c))
		say(c, "STLS");
	if (conn_plaintext_ok(c))
		say(c, "USER");
	conn_mechs(c, "", &mechs);
	if (mechs.n) {
		mechs.n--;
		stream_printf(c->s, "SASL %s\r\n", buf_cstr(&mechs));
	}
	say(c, "IMPLEMENTATION Merpati\r\n.");
	buf_free(&mechs);
}

static bool plaintext_refused(struct login_conn *c)
{
	if (conn_plaintext_ok(c))
		return false;
	log_info("unknown[%s]: plaintext authentication refused without TLS", c->client);
	say(c, "-ERR [AUTH] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.");
	return true;
}

static void do_user(struct login_conn *c, const struct pop3_cmd *cmd)
{
	if (plaintext_refused(c))
		return;
	free(c->user);
	c->user = sv_dup(cmd->arg);
	say(c, "+OK");
}

static void do_pass(struct login_conn *c, const struct pop3_cmd *cmd)
{
	char *user = c->user;

	if (plaintext_refused(c))
		return;
	if (!user) {
		say(c, "-ERR USER first.");
		conn_bad(c);
		return;
	}
	c->user = NULL;
	sasl_plain(c, sv_str(user), cmd->arg);
	free(user);
}

static void list_mechs(struct login_conn *c)
{
	struct buf mechs = BUF_INIT(1000);
	struct sv rest, mech;

	conn_mechs(c, "", &mechs);
	say(c, "+OK");
	rest = buf_sv(&mechs);
	while (sv_token(&rest, " ", &mech))
		stream_printf(c->s, SV_FMT "\r\n", SV_ARG(mech));
	say(c, ".");
	buf_free(&mechs);
}

static void do_auth(struct login_conn *c, const struct pop3_cmd *cmd)
{
	struct buf initial = BUF_INIT(AU_MAX_RESPONSE + 2);
	bool has = cmd->arg2.p != NULL;

	if (!cmd->arg.n) {
		list_mechs(c);
	} else if ((sv_ieqs(cmd->arg, "PLAIN") || sv_ieqs(cmd->arg, "LOGIN")) && plaintext_refused(c)) {
		return;
	} else if (!sasl_mech_ok(c, cmd->arg) || cmd->arg.n > AU_MAX_MECH) {
		say(c, "-ERR Unsupported authentication mechanism.");
	} else if (has && !sv_eqs(cmd->arg2, "=") && base64_decode(&initial, cmd->arg2)) {
		say(c, "-ERR Initial response is not valid base64.");
		conn_bad(c);
	} else {
		sasl_begin(c, cmd->arg, has, buf_sv(&initial));
	}
	buf_wipe(&initial);
}

static void do_stls(struct login_conn *c, const struct pop3_cmd *cmd)
{
	(void)cmd;
	if (c->tls) {
		say(c, "-ERR TLS is already active.");
	} else if (!conn_starttls_offered(c)) {
		say(c, "-ERR TLS is not available.");
	} else {
		say(c, "+OK Begin TLS negotiation now.");
		conn_starttls(c);
	}
}

static void do_quit(struct login_conn *c, const struct pop3_cmd *cmd)
{
	(void)cmd;
	say(c, "+OK Logging out.");
	conn_end(c);
}

static void do_noop(struct login_conn *c, const struct pop3_cmd *cmd)
{
	(void)cmd;
	say(c, "+OK");
}

static void (*const handlers[POP3_VERBS])(struct login_conn *c, const struct pop3_cmd *cmd) = {
    [POP3_USER] = do_user,
    [POP3_PASS] = do_pass,
    [POP3_AUTH] = do_auth,
    [POP3_STLS] = do_stls,
    [POP3_CAPA] = do_capa,
    [POP3_QUIT] = do_quit,
    [POP3_NOOP] = do_noop,
};

static bool command(struct login_conn *c)
{
	struct pop3_cmd cmd;
	struct sv line;
	int ending, r = stream_line(c->s, POP3_AUTH_LINE_MAX, &line, &ending);
	char *text;

	if (r == 0)
		return false;
	if (r < 0) {
		conn_end_with(c, "Line too long");
		return false;
	}
	/* a copy, since a handler may answer, change the transport or close while it still uses its arguments */
	text = sv_dup(line);
	r = pop3_cmd_parse(sv_of(text, line.n), &cmd);
	if (r) {
		say(c, "-ERR Invalid command or arguments.");
		conn_bad(c);
	} else if (!handlers[cmd.verb]) {
		say(c, "-ERR Command unknown or not allowed before login.");
		conn_bad(c);
	} else {
		handlers[cmd.verb](c, &cmd);
	}
	secret_clear(text, line.n);
	free(text);
	return true;
}

const struct login_proto login_pop3 = {
    .name = "pop3",
    .title = "POP3",
    .greet = greet,
    .command = command,
    .challenge = challenge,
    .auth_failed = auth_failed,
    .auth_aborted = auth_aborted,
    .bye = bye,
};
