merpati_library(store_save SOURCES mdir_save.c delivered.c LINK m_envelope m_base)
merpati_test(mdir_save_test SOURCES mdir_save_test.c LINK m_store_save)
merpati_test(delivered_test SOURCES delivered_test.c LINK m_store_save)
merpati_fuzz(delivered_fuzz SOURCES delivered_fuzz.c LINK m_store_save)
