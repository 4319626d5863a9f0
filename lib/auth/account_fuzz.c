/* account_fuzz.c - account records, SCRAM verifiers and login names from any bytes. */
#include "auth/account.h"
#include "auth/pwhash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sv in = sv_of((const char *)data, size);
	struct buf out = BUF_INIT(8192);
	struct scram_verifier v;
	struct account a;

	if (!account_parse(in, &a, NULL)) {
		struct account b;

		BUG_ON(!account_folder_ok(a.folder));
		BUG_ON(account_format(&a, &out) || account_parse(buf_sv(&out), &b, NULL));
		BUG_ON(a.uid != b.uid || !sv_eq(a.folder, b.folder) || !sv_eq(a.crypt, b.crypt));
		buf_reset(&out);
	}
	if (!scram_parse(in, &v)) {
		struct scram_verifier w;

		BUG_ON(scram_format(&v, &out) || scram_parse(buf_sv(&out), &w) ||
		       memcmp(v.stored, w.stored, SCRAM_KEY) != 0);
		buf_reset(&out);
	}
	if (!account_normalize(in, SV("example.org"), &out))
		BUG_ON(out.n == 0 || out.n > ACCOUNT_MAX_NAME || sv_chr(buf_sv(&out), '/') >= 0);
	buf_free(&out);
	return 0;
}
