merpati_library(api_auth SOURCES "${CMAKE_CURRENT_LIST_DIR}/api_auth.c" LINK m_ipc)
