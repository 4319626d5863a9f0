find_library(LMDB_LIBRARY lmdb REQUIRED)
merpati_library(store SOURCES store.c mdir_name.c mdir_scan.c uidlist.c mailbox.c mb_sync.c mb_uid.c mb_flags.c mb_append.c
  mb_copy.c index.c index_value.c mbox_name.c mbox_list.c mbox_change.c mb_delivered.c LINK m_store_save m_base ${LMDB_LIBRARY})
merpati_test(store_test SOURCES store_test.c LINK m_store)
merpati_test(store_race_test SOURCES store_race_test.c LINK m_store)
merpati_test(mbox_list_test SOURCES mbox_list_test.c LINK m_store)
merpati_fuzz(mdir_name_fuzz SOURCES mdir_name_fuzz.c LINK m_store)
merpati_fuzz(uidlist_fuzz SOURCES uidlist_fuzz.c LINK m_store)
merpati_fuzz(index_value_fuzz SOURCES index_value_fuzz.c LINK m_store)
