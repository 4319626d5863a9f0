merpati_library(api_rewrite SOURCES "${CMAKE_CURRENT_LIST_DIR}/api_rewrite.c" LINK m_api_mail m_ipc m_base)
