merpati_library(api_local SOURCES "${CMAKE_CURRENT_LIST_DIR}/api_local.c" LINK m_api_deliver)
merpati_fuzz(api_local_fuzz SOURCES "${CMAKE_CURRENT_LIST_DIR}/api_local_fuzz.c" LINK m_api_local)
