/* utlist.h - utlist as ./dev lint shows it to cppcheck and clang-tidy; see uthash.h beside it. */
#ifndef MERPATI_LINT_UTLIST_H
#define MERPATI_LINT_UTLIST_H

#define DL_APPEND(head, add) ((head) = lint_any((head), (add)))
#define DL_APPEND2(head, add, prev, next) ((head) = lint_any((head), (add)))
#define DL_PREPEND(head, add) ((head) = lint_any((head), (add)))
#define DL_DELETE(head, del) ((head) = lint_any((head), (del)))
#define DL_DELETE2(head, del, prev, next) ((head) = lint_any((head), (del)))
#define DL_FOREACH(head, el) for ((el) = (head); (el); (el) = (el)->next)
#define DL_FOREACH_SAFE(head, el, tmp) for ((el) = (head); (el) && ((tmp) = (el)->next, 1); (el) = (tmp))
#define LL_APPEND(head, add) DL_APPEND(head, add)
#define LL_PREPEND(head, add) DL_PREPEND(head, add)
#define LL_DELETE(head, del) DL_DELETE(head, del)
#define LL_FOREACH(head, el) DL_FOREACH (head, el)
#define LL_FOREACH_SAFE(head, el, tmp) DL_FOREACH_SAFE (head, el, tmp)

#endif
