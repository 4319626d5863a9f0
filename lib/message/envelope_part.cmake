merpati_library(envelope SOURCES "${CMAKE_CURRENT_LIST_DIR}/envelope.c" LINK m_base)
