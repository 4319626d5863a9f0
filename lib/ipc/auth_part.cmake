merpati_library(api_auth SOURCES api_auth.c LINK m_ipc)
merpati_test(api_auth_test SOURCES api_auth_test.c LINK m_api_auth m_api_keyd)
merpati_fuzz(api_auth_fuzz SOURCES api_auth_fuzz.c LINK m_api_auth m_api_keyd)
