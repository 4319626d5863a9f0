merpati_library(api_rewrite SOURCES "${CMAKE_CURRENT_LIST_DIR}/api_rewrite.c" LINK m_api_mail m_ipc m_base)
merpati_test(api_rewrite_test SOURCES "${CMAKE_CURRENT_LIST_DIR}/api_rewrite_test.c" LINK m_api_rewrite)
merpati_fuzz(api_rewrite_fuzz SOURCES "${CMAKE_CURRENT_LIST_DIR}/api_rewrite_fuzz.c" LINK m_api_rewrite)
