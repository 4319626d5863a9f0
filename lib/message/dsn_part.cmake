merpati_library(dsn SOURCES "${CMAKE_CURRENT_LIST_DIR}/dsn.c" LINK m_addr m_base)
merpati_test(dsn_test SOURCES "${CMAKE_CURRENT_LIST_DIR}/dsn_test.c" LINK m_dsn)
