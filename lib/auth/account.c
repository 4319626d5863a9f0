/* account.c - account records and login names. */
#include "auth/account.h"

#include "base/num.h"

bool account_folder_ok(struct sv folder)
{
	struct sv rest = folder, part;

	if (folder.n < 2 || folder.n > ACCOUNT_MAX_FOLDER || !sv_ends(folder, SV("/")) || sv_has_nul(folder))
		return false;
	rest.n--;
	while (rest.p) {
		part = sv_cut(&rest, "/");
		if (!part.n || sv_eqs(part, ".") || sv_eqs(part, "..") || sv_chr(part, '\n') >= 0)
			return false;
	}
	return true;
}

static bool set_field(struct account *a, struct sv name, struct sv value)
{
	if (sv_eqs(name, "crypt")) {
		a->crypt = value;
		return value.n > 0 && value.n <= ACCOUNT_MAX_CRYPT && value.p[0] == '$';
	}
	if (sv_eqs(name, "scram")) {
		a->scram = value;
		return value.n > 0;
	}
	if (sv_eqs(name, "uid"))
		return !num_u32(value, &a->uid) && a->uid != 0 && a->uid != UINT32_MAX;
	if (sv_eqs(name, "gid"))
		return !num_u32(value, &a->gid) && a->gid != 0 && a->gid != UINT32_MAX;
	if (sv_eqs(name, "folder")) {
		a->folder = value;
		return account_folder_ok(value);
	}
	if (sv_eqs(name, "disabled"))
		a->disabled = sv_eqs(value, "yes");
	return true;
}

int account_parse(struct sv text, struct account *out, struct err *err)
{
	struct account a = {.crypt = SV(""), .scram = SV(""), .folder = SV_NONE};
	struct sv rest = text;

	if (text.n > ACCOUNT_MAX_RECORD || sv_has_nul(text))
		return err_set(err, ERR_CORRUPT, "account record too long or not text");
	while (rest.p) {
		struct sv line = sv_cut(&rest, "\n");
		ssize_t colon = sv_chr(line, ':');

		if (!line.n)
			continue;
		if (colon <= 0 || !set_field(&a, sv_head(line, (size_t)colon), sv_skip(line, (size_t)colon + 1)))
			return err_set(err, ERR_CORRUPT, "account record: malformed field");
	}
	if (!a.uid || !a.gid || !a.folder.n)
		return err_set(err, ERR_CORRUPT, "account record: uid, gid or folder is missing");
	*out = a;
	return 0;
}

int account_format(const struct account *a, struct buf *out)
{
	if (a->crypt.n)
		buf_printf(out, "crypt:" SV_FMT "\n", SV_ARG(a->crypt));
	if (a->scram.n)
		buf_printf(out, "scram:" SV_FMT "\n", SV_ARG(a->scram));
	buf_printf(out, "uid:%u\ngid:%u\nfolder:" SV_FMT "\n", a->uid, a->gid, SV_ARG(a->folder));
	if (a->disabled)
		buf_adds(out, "disabled:yes\n");
	return out->overflow ? ERR_LIMIT : 0;
}

int account_normalize(struct sv name, struct sv realm, struct buf *out)
{
	ssize_t at = sv_rchr(name, '@');
	size_t before = out->n;

	if (!name.n || name.n > ACCOUNT_MAX_NAME || at == 0 || at == (ssize_t)name.n - 1)
		return ERR_SYNTAX;
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];

		if (c <= ' ' || c == 127 || c == '/')
			return ERR_SYNTAX;
	}
	for (size_t i = 0; i < name.n; i++)
		buf_addc(out, (char)ascii_lower((unsigned char)name.p[i]));
	if (at < 0 && realm.n) {
		buf_addc(out, '@');
		buf_addsv(out, realm);
	}
	if (out->overflow || out->n - before > ACCOUNT_MAX_NAME) {
		out->n = before;
		return ERR_SYNTAX;
	}
	return 0;
}
