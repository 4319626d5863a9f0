merpati_library(api_mail SOURCES "${CMAKE_CURRENT_LIST_DIR}/api_mail.c" LINK m_ipc m_envelope)
