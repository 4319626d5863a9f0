/* relay.c - smtp_sasl_password_maps: the name and password that smtp uses at a relay. */
#include "auth/auth.h"
#include "base/clock.h"
#include "crypto/secret.h"
#include "maps/map.h"

#define REFRESH_MS 2000 /* between two looks whether a table was replaced */

static struct map_list tables; /* of smtp_sasl_password_maps */

int relay_open(struct err *err)
{
	struct map_store *store = map_store_new(NULL, NULL);
	struct map_list fresh;
	int r = map_list_init(&fresh, store, sv_str(conf_str(daemon_conf(auth.d), "smtp_sasl_password_maps")), 0, err);

	if (r < 0) {
		map_store_free(&store);
		return r;
	}
	map_store_free(&auth.maps);
	auth.maps = store;
	tables = fresh;
	return 0;
}

/* "user:password"; a value without a colon is a user with an empty password. */
static int look_up(const struct au_client *ask, struct buf *value)
{
	struct err err;

	for (size_t i = 0; i < ask->nkeys; i++) {
		int r = map_list_find(&tables, ask->keys[i], false, value, &err);

		if (r == 1)
			return 0;
		if (r < 0) {
			log_warn("smtp_sasl_password_maps: %s", err.text);
			return ERR_TEMP;
		}
	}
	return ERR_NOT_FOUND;
}

int relay_client(struct serve_conn *c, struct msg *m)
{
	struct msg_out out = MSG_OUT_INIT;
	struct buf value = BUF_INIT(2 * AU_MAX_USER);
	struct au_client ask;
	struct sv rest, user;
	int status;

	if (!au_client_ask_decode(m, &ask))
		return ERR_PROTOCOL;
	map_store_refresh(auth.maps, clock_mono_ms(), REFRESH_MS);
	status = look_up(&ask, &value);
	rest = sv_trim(buf_sv(&value));
	user = status ? SV("") : sv_cut(&rest, ":");
	if (user.n > AU_MAX_USER || rest.n > AU_MAX_USER)
		status = ERR_TEMP;
	au_client_encode(&out, status, status ? SV("") : user, status || !rest.p ? SV("") : rest);
	chan_reply(c->chan, m, AU_CLIENT, &out);
	buf_wipe(&out.b);
	msg_out_free(&out);
	buf_wipe(&value);
	return 0;
}
