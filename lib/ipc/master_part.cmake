merpati_library(api_master SOURCES api_master.c LINK m_ipc)
