merpati_library(api_qmgr SOURCES "${CMAKE_CURRENT_LIST_DIR}/api_qmgr.c" LINK m_api_mail)
