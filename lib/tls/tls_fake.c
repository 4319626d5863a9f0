/* tls_fake.c - see tls_fake.h. */
#include "tls/tls_fake.h"

#include <fcntl.h>

#include "base/fsutil.h"

struct fake_call {
	struct ev_timer timer;
	struct tls_fake *fake;
	tls_signed_fn *done;
	void *arg;
	uint32_t number;
	int status;
	struct buf out;
	struct fake_call *next;
};

static void drop(struct fake_call *c)
{
	struct fake_call **at = &c->fake->calls;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	buf_free(&c->out);
	free(c);
}

static void answer(struct ev_timer *t)
{
	struct fake_call *c = container_of(t, struct fake_call, timer);
	tls_signed_fn *done = c->done;
	void *arg = c->arg;
	int status = c->status;
	struct buf out = c->out;

	c->out = (struct buf)BUF_INIT(16);
	drop(c);
	done(arg, status, buf_sv(&out));
	buf_free(&out);
}

static int make(const struct sign_key *k, const struct kd_sign *w, struct buf *out)
{
	if (w->form == KD_FORM_PSS)
		return sign_pss(k, w->data, out, NULL);
	if (w->scheme == KD_ECDSA)
		return sign_ecdsa(k, w->data, out, NULL);
	if (w->scheme == KD_RSA_PKCS1_SHA256)
		return sign_pkcs1(k, SIGN_SHA256, w->data, out, NULL);
	return ERR_DENIED;
}

static uint32_t fake_sign(struct tls_signer *s, const struct kd_sign *what, tls_signed_fn *done, void *arg)
{
	struct tls_fake *f = container_of(s, struct tls_fake, signer);
	struct fake_call *c = xcalloc(1, sizeof(*c));

	c->fake = f;
	c->done = done;
	c->arg = arg;
	c->number = ++f->last;
	c->out = (struct buf)BUF_INIT(4096);
	c->status = f->fail_with;
	if (!c->status)
		c->status = make(f->pairs[what->key].key, what, &c->out);
	c->next = f->calls;
	f->calls = c;
	f->asked++;
	ev_timer_start(f->ev, &c->timer, f->delay_ms, answer);
	return c->number;
}

static void fake_cancel(struct tls_signer *s, uint32_t call)
{
	struct tls_fake *f = container_of(s, struct tls_fake, signer);
	struct fake_call *c = f->calls;

	while (c && c->number != call)
		c = c->next;
	if (!c)
		return;
	f->cancelled++;
	ev_timer_stop(&c->timer);
	drop(c);
}

void tls_fake_init(struct tls_fake *f, struct ev *ev)
{
	*f = (struct tls_fake){.ev = ev};
	f->signer.sign = fake_sign;
	f->signer.cancel = fake_cancel;
	f->certs.generation = 7;
}

void tls_fake_add(struct tls_fake *f, const char *dir, const char *name, bool rsa)
{
	size_t i = f->certs.n;
	struct buf cert = BUF_INIT(65536), key = BUF_INIT(65536);
	char *crt = xasprintf("%s/%s.crt", dir, name), *pem = xasprintf("%s/%s.key", dir, name);
	char *cmd = xasprintf("openssl req -x509 -newkey %s -nodes -days 2 -subj /CN=%s -addext subjectAltName=DNS:%s "
			      "-keyout %s -out %s 2>/dev/null",
	    rsa ? "rsa:2048" : "ec -pkeyopt ec_paramgen_curve:P-256", name, name, pem, crt);

	BUG_ON(system(cmd) != 0); /* NOLINT(cert-env33-c): for tests */
	BUG_ON(fs_read_file(AT_FDCWD, crt, &cert, NULL) || fs_read_file(AT_FDCWD, pem, &key, NULL));
	BUG_ON(sign_pair_load(buf_sv(&cert), buf_sv(&key), &f->pairs[i], NULL));
	f->certs.certs[i] = (struct kd_cert){
	    .key = (uint32_t)i, .names = sv_str(f->pairs[i].names), .chain = sv_str(f->pairs[i].chain)};
	f->certs.n++;
	buf_free(&cert);
	buf_free(&key);
	free(crt);
	free(pem);
	free(cmd);
}

void tls_fake_clear(struct tls_fake *f)
{
	while (f->calls) {
		ev_timer_stop(&f->calls->timer);
		drop(f->calls);
	}
	for (size_t i = 0; i < f->certs.n; i++)
		sign_pair_clear(&f->pairs[i]);
}
