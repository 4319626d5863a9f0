merpati_library(api_resolver SOURCES api_resolver.c LINK m_ipc m_base)
