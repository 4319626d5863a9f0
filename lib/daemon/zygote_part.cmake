merpati_library(zygote SOURCES zygote.c session.c LINK m_daemon m_api_session m_api_anvil m_api_master m_ipc m_sandbox m_conf
  m_log m_ev m_base)
merpati_test(zygote_test SOURCES zygote_test.c LINK m_zygote)
