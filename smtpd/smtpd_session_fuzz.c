/*
 * smtpd_session_fuzz.c - any bytes as the client's side of a session.  The first byte chooses the kind of service, the
 * second how large the pieces are in which the rest arrives.  Whatever comes, nothing may be left when the client has
 * gone.
 */
#include <sys/socket.h>

#include "log/log.h"
#include "smtpd/smtpd_fakes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void kind(uint8_t bits)
{
	struct smtpd_conf *c = &fake.g.conf;

	c->lmtp = bits & 1;
	c->sasl = bits & 2;
	c->bare = (enum bare_newline)((bits >> 2) % 3);
	c->forbid_pipelining = bits & 16;
	c->hard_errors = 1000;
	c->strict_paths = bits & 32;
	fake.auth_fails = bits & 64;
}

static void drain(void)
{
	char out[4096];

	fake_turns();
	while (recv(fake.client, out, sizeof(out), MSG_DONTWAIT) > 0)
		fake_turns();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int null = -1;

	if (size < 2 || size > 20000)
		return 0;
	if (null < 0) { /* log lines would only slow it down */
		null = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		log_open("merpati/smtpd", LOG_SINK_LOGD, null);
	}
	size_t step = 1 + data[1] * 8u;
	fakes_start();
	kind(data[0]);
	fake_connect("192.0.2.1", false);
	for (size_t at = 2; at < size; at += step) {
		size_t n = at + step < size ? step : size - at;
		if (send(fake.client, data + at, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break;
		drain();
	}
	fakes_end();
	return 0;
}
