/* mb_flags.c - flags and keywords: letters in file names; and removal. */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fsutil.h"
#include "store/store_priv.h"

int mb_keywords_load(struct mailbox *mb)
{
	CLEANUP(buf_freep) struct buf text = BUF_INIT(65536);
	struct sv names[STORE_KEYWORDS];
	struct mb_keywords *kw = &mb->kw;
	struct stat st;

	if (fstatat(mb->dirfd, STORE_KEYWORD_FILE, &st, AT_SYMLINK_NOFOLLOW))
		memset(&st, 0, sizeof(st));
	if (st.st_ino == kw->ino && st.st_mtim.tv_sec == kw->mtime.tv_sec && st.st_mtim.tv_nsec == kw->mtime.tv_nsec)
		return 0;
	if (st.st_ino && fs_read_file(mb->dirfd, STORE_KEYWORD_FILE, &text, NULL))
		return ERR_SYS;
	keywords_parse(buf_sv(&text), names);
	for (unsigned i = 0; i < STORE_KEYWORDS; i++) {
		bool same = kw->name[i] ? sv_eqs(names[i], kw->name[i]) : !names[i].n;

		if (same)
			continue;
		free(kw->name[i]);
		kw->name[i] = names[i].n ? sv_dup(names[i]) : NULL;
		mb->keywords_new = true;
	}
	kw->ino = st.st_ino;
	kw->mtime = st.st_mtim;
	return 0;
}

const char *mailbox_keyword_name(const struct mailbox *mb, unsigned bit)
{
	return bit < STORE_KEYWORDS ? mb->kw.name[bit] : NULL;
}

static int find_keyword(const struct mailbox *mb, struct sv name)
{
	for (int i = 0; i < STORE_KEYWORDS; i++)
		if (mb->kw.name[i] && sv_ieqs(name, mb->kw.name[i]))
			return i;
	return ERR_NOT_FOUND;
}

/* Under the lock.  A letter that messages carry without a name in the file (its file was lost) is not given away anew.
 */
static int add_keyword(struct mailbox *mb, struct sv name, struct err *err)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(65536);
	uint32_t used = 0;
	int bit, rc;

	(void)mb_keywords_load(mb);
	bit = find_keyword(mb, name);
	if (bit >= 0)
		return bit;
	for (size_t i = 0; i < mb->snap.n; i++)
		used |= mb->snap.v[i].keywords;
	for (bit = 0; bit < STORE_KEYWORDS; bit++)
		if (!mb->kw.name[bit] && !(used >> bit & 1))
			break;
	if (bit == STORE_KEYWORDS)
		return err_set(err, ERR_LIMIT, "a folder can have %d keywords", STORE_KEYWORDS);
	for (int i = 0; i < STORE_KEYWORDS; i++) {
		if (i == bit)
			buf_printf(&b, "%d " SV_FMT "\n", i, SV_ARG(name));
		else if (mb->kw.name[i])
			buf_printf(&b, "%d %s\n", i, mb->kw.name[i]);
	}
	rc = store_put_file(mb->st, mb->dirfd, STORE_KEYWORD_FILE, buf_sv(&b), err);
	if (rc)
		return rc;
	(void)mb_keywords_load(mb);
	return bit;
}

int mailbox_keyword(struct mailbox *mb, struct sv name, bool create, struct err *err)
{
	int bit = find_keyword(mb, name), rc;

	if (bit >= 0 || !create)
		return bit >= 0 ? bit : err_set(err, ERR_NOT_FOUND, "no such keyword");
	if (!keyword_valid(name))
		return err_set(err, ERR_SYNTAX, "not a keyword");
	rc = mb_lock(mb, err);
	if (rc)
		return rc == ERR_TIMEOUT ? err_set(err, ERR_TEMP, "the folder is in use") : rc;
	bit = add_keyword(mb, name, err);
	mb_unlock(mb);
	return bit;
}

static bool apply(const struct mb_msg *m, enum mb_op op, unsigned flags, uint32_t keywords, unsigned *f, uint32_t *k)
{
	*f = m->flags & MB_FLAGS;
	*k = m->keywords;
	if (op == MB_SET) {
		*f = flags;
		*k = keywords;
	} else if (op == MB_ADD) {
		*f |= flags;
		*k |= keywords;
	} else {
		*f &= ~flags;
		*k &= ~keywords;
	}
	return *f != (m->flags & MB_FLAGS) || *k != m->keywords;
}

/* One rename; ERR_NOT_FOUND when the file is not there under the known name. */
static int rename_flags(struct mailbox *mb, struct mb_msg *m, unsigned flags, uint32_t keywords, struct err *err)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(MDIR_NAME_MAX + 1);
	char old[MDIR_NAME_MAX + 1];
	struct sv sv = snap_name(&mb->snap, m);
	struct mdir_name n;

	if (mdir_name_parse(sv, &n))
		return ERR_NOT_FOUND;
	snprintf(old, sizeof(old), SV_FMT, SV_ARG(sv));
	n.upper = mdir_letters(flags, n.upper);
	n.lower = keywords;
	if (mdir_name_format(&b, &n, true))
		return err_set(err, ERR_LIMIT, "file name too long");
	if (renameat(m->bits & MBI_NEW ? mb->newfd : mb->curfd, old, mb->curfd, buf_cstr(&b)))
		return errno == ENOENT ? ERR_NOT_FOUND : err_sys(err, "rename of %s", old);
	m->bits &= (uint8_t)~MBI_NEW;
	m->flags = (uint8_t)((m->flags & ~MB_FLAGS) | flags);
	m->keywords = keywords;
	return snap_set_name(&mb->snap, m, buf_sv(&b));
}

int mailbox_store(struct mailbox *mb, const uint32_t *idx, size_t n, enum mb_op op, unsigned flags, uint32_t keywords,
    struct err *err)
{
	bool locked, clean, looked = false;
	int rc = 0;

	if (mb->flags & MB_READONLY)
		return err_set(err, ERR_DENIED, "the folder was opened read-only");
	flags &= MB_FLAGS;
	keywords &= (1u << STORE_KEYWORDS) - 1;
	locked = !mb_lock(mb, NULL); /* without it a rename is still atomic; others only have to look twice */
	mb_own_change_begin(mb, &clean);
	for (size_t i = 0; !rc && i < n; i++) {
		struct mb_msg *m = &mb->snap.v[idx[i]];
		unsigned f;
		uint32_t k;

		if (idx[i] >= mb->snap.n || (m->flags & MB_GONE) || !apply(m, op, flags, keywords, &f, &k))
			continue;
		rc = rename_flags(mb, m, f, k, err);
		if (rc != ERR_NOT_FOUND)
			continue;
		clean = false;
		rc = looked ? 0 : mb_relocate(mb, err);
		looked = true;
		if (rc)
			break;
		if (apply(m, op, flags, keywords, &f, &k))
			rc = rename_flags(mb, m, f, k, err);
		if (rc == ERR_NOT_FOUND) {
			m->flags |= MB_GONE;
			looked = false; /* the next one deserves a new look */
			rc = 0;
		}
	}
	mb_own_change_end(mb, clean);
	if (locked)
		mb_unlock(mb);
	return rc;
}

/* 0, ERR_NOT_FOUND or ERR_SYS. */
static int remove_one(struct mailbox *mb, const struct mb_msg *m, struct err *err)
{
	char name[MDIR_NAME_MAX + 1];
	struct sv sv = snap_name(&mb->snap, m);

	snprintf(name, sizeof(name), SV_FMT, SV_ARG(sv));
	if (!unlinkat(m->bits & MBI_NEW ? mb->newfd : mb->curfd, name, 0))
		return 0;
	return errno == ENOENT ? ERR_NOT_FOUND : err_sys(err, "unlink of %s", name);
}

static int expunge_one(struct mailbox *mb, struct mb_msg *m, bool always, struct err *err)
{
	int rc;

	if ((m->flags & MB_GONE) || !(always || (m->flags & MB_DELETED)))
		return 0;
	rc = remove_one(mb, m, err);
	if (rc == ERR_NOT_FOUND) {
		rc = mb_relocate(mb, err);
		if (!rc && (always || (m->flags & MB_DELETED))) /* somebody may have taken \Deleted back */
			rc = remove_one(mb, m, err);
		else if (!rc)
			return 0;
	}
	if (!rc || rc == ERR_NOT_FOUND) {
		m->flags |= MB_GONE;
		rc = 0;
	}
	return rc;
}

int mailbox_expunge(struct mailbox *mb, const uint32_t *idx, size_t n, bool always, struct err *err)
{
	bool locked, clean;
	int rc = 0;

	if (mb->flags & MB_READONLY)
		return err_set(err, ERR_DENIED, "the folder was opened read-only");
	locked = !mb_lock(mb, NULL);
	mb_own_change_begin(mb, &clean);
	for (size_t i = 0; !rc && i < (idx ? n : mb->snap.n); i++) {
		size_t at = idx ? idx[i] : i;

		if (at < mb->snap.n)
			rc = expunge_one(mb, &mb->snap.v[at], always, err);
	}
	mb_own_change_end(mb, clean);
	if (locked)
		mb_unlock(mb);
	return rc;
}
