/* api_auth_fuzz.c - bodies of auth's and keyd's messages , each from any bytes. */
#include "ipc/api_auth.h"
#include "ipc/api_keyd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void auth_requests(struct msg m)
{
	struct au_start start;
	struct au_client client;
	struct sv s;
	uint64_t n;
	bool b;
	struct msg again = m;

	if (au_start_decode(&again, &start))
		BUG_ON(start.mech.n > AU_MAX_MECH || start.initial.n > AU_MAX_RESPONSE);
	again = m;
	if (au_client_ask_decode(&again, &client))
		BUG_ON(client.nkeys > AU_MAX_KEYS);
	again = m;
	au_next_decode(&again, &n, &s);
	again = m;
	au_abort_decode(&again, &n);
	again = m;
	au_mechs_ask_decode(&again, &s, &b);
}

static void auth_replies(struct msg m)
{
	struct msg again = m;
	struct au_done done;
	struct sv s, t;
	bool b;
	int status;

	if (au_done_decode(&again, &done))
		BUG_ON(done.grant.n > AU_GRANT);
	again = m;
	au_fail_decode(&again, &b, &s);
	again = m;
	au_more_decode(&again, &s);
	again = m;
	au_client_decode(&again, &status, &s, &t);
	again = m;
	if (au_mechs_decode(&again, &status, &s))
		BUG_ON(status > 0);
}

static void keyd_messages(struct msg m)
{
	static struct kd_certs certs;
	struct kd_tickets tickets;
	struct kd_sign sign;
	struct msg again = m;
	struct sv s;
	int status;

	if (kd_certs_decode(&again, &certs))
		BUG_ON(certs.n > KD_MAX_CERTS);
	again = m;
	if (kd_sign_decode(&again, &sign))
		BUG_ON(sign.data.n > KD_MAX_SIGN);
	again = m;
	kd_signed_decode(&again, &status, &s);
	again = m;
	if (kd_tickets_decode(&again, &tickets))
		BUG_ON(tickets.n > KD_MAX_TICKETS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct msg m = {.body = sv_of((const char *)data, size)};

	auth_requests(m);
	auth_replies(m);
	keyd_messages(m);
	return 0;
}
