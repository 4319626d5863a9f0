merpati_library(api_deliver SOURCES "${CMAKE_CURRENT_LIST_DIR}/api_deliver.c" LINK m_api_mail)
