merpati_library(api_cleanup SOURCES "${CMAKE_CURRENT_LIST_DIR}/api_cleanup.c" LINK m_api_mail)
