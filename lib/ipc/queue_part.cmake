merpati_fuzz(api_queue_fuzz SOURCES "${CMAKE_CURRENT_LIST_DIR}/api_queue_fuzz.c" LINK m_api_cleanup m_api_deliver m_api_qmgr)
