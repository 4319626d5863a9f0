merpati_library(api_keyd SOURCES "${CMAKE_CURRENT_LIST_DIR}/api_keyd.c" LINK m_ipc)
