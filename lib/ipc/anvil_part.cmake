merpati_library(api_anvil SOURCES api_anvil.c LINK m_ipc m_base)
merpati_test(api_anvil_test SOURCES api_anvil_test.c LINK m_api_anvil)
merpati_fuzz(api_anvil_fuzz SOURCES api_anvil_fuzz.c LINK m_api_anvil)
merpati_library(api_session SOURCES api_session.c LINK m_ipc m_base)
