merpati_library(store_save SOURCES mdir_save.c LINK m_envelope m_base)
merpati_test(mdir_save_test SOURCES mdir_save_test.c LINK m_store_save)
