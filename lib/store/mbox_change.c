/* mbox_change.c - folders are made, renamed and deleted, under the account's lock. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "store/mbox_list.h"
#include "store/store_priv.h"

static int lock_account(struct store *st, struct err *err)
{
	int rc = store_lock(st->dirfd, STORE_LOCK_MS, err);

	return rc == ERR_TIMEOUT ? err_set(err, ERR_TEMP, "the account is in use") : rc;
}

/* Removes a directory that lies in tmp/ with what it holds: a Maildir's depth and no further. */
static void remove_tree(int dirfd, const char *name, int depth)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;

	if (!dir) {
		fd_close(&fd);
		return;
	}
	while ((d = readdir(dir))) {
		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		if (unlinkat(fd, d->d_name, 0) && (errno == EISDIR || errno == EPERM) && depth < 3)
			remove_tree(fd, d->d_name, depth + 1);
	}
	closedir(dir);
	(void)unlinkat(dirfd, name, AT_REMOVEDIR);
}

/* The folder is made in tmp/ and renamed, so that nobody ever sees half of one. */
static int make_folder(struct store *st, const char *dir, struct err *err)
{
	static const char *const sub[] = {"cur", "new", "tmp"};
	CLEANUP(fd_closep) int fd = -1, file = -1;
	char unique[96];
	int rc = 0;

	store_unique(st, 0, unique);
	if (mkdirat(st->tmpfd, unique, 0700))
		return err_sys(err, "mkdir");
	fd = openat(st->tmpfd, unique, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		rc = err_sys(err, "mkdir");
	for (size_t i = 0; !rc && i < ARRAY_LEN(sub); i++)
		if (mkdirat(fd, sub[i], 0700))
			rc = err_sys(err, "mkdir");
	if (!rc) { /* marks a folder of a Maildir++ */
		file = openat(fd, "maildirfolder", O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (file < 0)
			rc = err_sys(err, "maildirfolder");
	}
	if (!rc && renameat2(st->tmpfd, unique, st->dirfd, dir, RENAME_NOREPLACE))
		rc = errno == EEXIST ? err_set(err, ERR_EXISTS, "the folder exists") : err_sys(err, "%s", dir);
	if (!rc && (fsync(fd) || fsync(st->dirfd)))
		rc = err_sys(err, "fsync");
	if (rc)
		remove_tree(st->tmpfd, unique, 0);
	return rc;
}

int mbox_create(struct store *st, struct sv name, struct err *err)
{
	char canon[MBOX_NAME_MAX + 1], dir[MBOX_NAME_MAX + 2];
	struct mbox_list l;
	struct mailbox *mb;
	size_t n;
	int rc;

	if (name.n > 1 && name.p[name.n - 1] == MBOX_SEP)
		name.n--;
	rc = mbox_name_check(name, canon, err);
	if (rc)
		return rc;
	if (!strcmp(canon, "INBOX"))
		return err_set(err, ERR_EXISTS, "the folder exists");
	mbox_dir(canon, dir);
	rc = mbox_list(st, &l, err);
	if (rc)
		return rc;
	n = l.n;
	mbox_list_free(&l);
	if (n >= MBOX_MAX)
		return err_set(err, ERR_LIMIT, "an account can have %d folders", MBOX_MAX);
	rc = make_folder(st, dir, err);
	if (rc)
		return rc;
	rc = mailbox_open(st, sv_str(canon), MB_NO_SCAN, &mb, err); /* gives it a UIDVALIDITY */
	if (!rc)
		mailbox_close(&mb);
	return rc;
}

int mbox_delete(struct store *st, struct sv name, struct err *err)
{
	char canon[MBOX_NAME_MAX + 1], dir[MBOX_NAME_MAX + 2], unique[96];
	int rc = mbox_name_check(name, canon, err);

	if (rc)
		return rc;
	if (!strcmp(canon, "INBOX"))
		return err_set(err, ERR_DENIED, "INBOX cannot be deleted");
	mbox_dir(canon, dir);
	rc = lock_account(st, err);
	if (rc)
		return rc;
	store_unique(st, 0, unique);
	if (renameat(st->dirfd, dir, st->tmpfd, unique))
		rc = errno == ENOENT ? err_set(err, ERR_NOT_FOUND, "no such folder") : err_sys(err, "%s", dir);
	store_unlock(st->dirfd);
	if (!rc)
		remove_tree(st->tmpfd, unique, 0);
	return rc;
}

/* INBOX: its messages go into a new folder. */
static int rename_inbox(struct store *st, const char *to, struct err *err)
{
	struct mailbox *in = NULL, *out = NULL;
	struct mb_uidmap map = {0};
	uint32_t *idx = NULL;
	size_t n;
	int rc = mbox_create(st, sv_str(to), err);

	if (!rc)
		rc = mailbox_open(st, SV("INBOX"), 0, &in, err);
	if (!rc)
		rc = mailbox_open(st, sv_str(to), MB_NO_SCAN, &out, err);
	if (!rc) {
		n = mailbox_count(in);
		idx = xcalloc(n ? n : 1, sizeof(*idx));
		for (size_t i = 0; i < n; i++)
			idx[i] = (uint32_t)i;
		rc = mailbox_move(in, idx, n, out, &map, err);
		mb_uidmap_free(&map);
	}
	free(idx);
	mailbox_close(&in);
	mailbox_close(&out);
	return rc;
}

static int rename_dir(struct store *st, const char *from, const char *to, struct err *err)
{
	char old[MBOX_NAME_MAX + 2], new[MBOX_NAME_MAX + 2];

	mbox_dir(from, old);
	mbox_dir(to, new);
	if (renameat2(st->dirfd, old, st->dirfd, new, RENAME_NOREPLACE))
		return errno == EEXIST ? err_set(err, ERR_EXISTS, "the folder exists")
				       : err_sys(err, "rename of %s", from);
	return 0;
}

/* The name of a child of `from` below `to`; false when e is none or the name would be too long. */
static bool child_name(const char *e, const char *from, const char *to, char out[MBOX_NAME_MAX + 1])
{
	size_t n = strlen(from);
	int len;

	if (strncmp(e, from, n) != 0 || e[n] != MBOX_SEP)
		return false;
	len = snprintf(out, MBOX_NAME_MAX + 1, "%s%s", to, e + n);
	return len > 0 && len <= MBOX_NAME_MAX;
}

/* First everything is checked, then renamed; what fails on the way is reported with the rest renamed already. */
static int rename_all(struct store *st, const struct mbox_list *l, const char *from, const char *to, struct err *err)
{
	size_t n = 0, len = strlen(from);
	int rc = 0;

	for (size_t i = 0; i < l->n; i++) {
		const char *e = l->v[i].name;
		char new[MBOX_NAME_MAX + 1], canon[MBOX_NAME_MAX + 1];

		if (strncmp(e, to, strlen(to)) == 0 && e[strlen(to)] == '\0' && !(l->v[i].flags & MBOX_NONEXISTENT))
			return err_set(err, ERR_EXISTS, "the folder exists");
		if (l->v[i].flags & (MBOX_NOSELECT | MBOX_NONEXISTENT))
			continue;
		if (strncmp(e, from, len) != 0 || (e[len] != MBOX_SEP && e[len] != '\0'))
			continue;
		if (e[len] && (!child_name(e, from, to, new) || mbox_name_check(sv_str(new), canon, NULL)))
			return err_set(err, ERR_LIMIT, "a folder below it would get too long a name");
		n++;
	}
	if (!n)
		return err_set(err, ERR_NOT_FOUND, "no such folder");
	for (size_t i = 0; !rc && i < l->n; i++) {
		const char *e = l->v[i].name;
		char new[MBOX_NAME_MAX + 1];

		if (l->v[i].flags & (MBOX_NOSELECT | MBOX_NONEXISTENT))
			continue;
		if (!strcmp(e, from))
			rc = rename_dir(st, e, to, err);
		else if (child_name(e, from, to, new))
			rc = rename_dir(st, e, new, err);
	}
	if (!rc && fsync(st->dirfd))
		rc = err_sys(err, "fsync");
	return rc;
}

int mbox_rename(struct store *st, struct sv from, struct sv to, struct err *err)
{
	char a[MBOX_NAME_MAX + 1], b[MBOX_NAME_MAX + 1];
	struct mbox_list l;
	size_t n;
	int rc;

	if (to.n > 1 && to.p[to.n - 1] == MBOX_SEP)
		to.n--;
	rc = mbox_name_check(from, a, err);
	if (!rc)
		rc = mbox_name_check(to, b, err);
	if (rc)
		return rc;
	n = strlen(a);
	if (!strcmp(b, "INBOX") || !strcmp(a, b))
		return err_set(err, ERR_EXISTS, "the folder exists");
	if (!strcmp(a, "INBOX"))
		return rename_inbox(st, b, err);
	if (strncmp(a, b, n) == 0 && b[n] == MBOX_SEP)
		return err_set(err, ERR_DENIED, "a folder cannot be moved below itself");
	rc = lock_account(st, err);
	if (rc)
		return rc;
	rc = mbox_list(st, &l, err);
	if (!rc) {
		rc = rename_all(st, &l, a, b, err);
		mbox_list_free(&l);
	}
	store_unlock(st->dirfd);
	return rc;
}
