merpati_library(api_keyd SOURCES api_keyd.c LINK m_ipc)
