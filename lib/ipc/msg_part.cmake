merpati_library(ipc SOURCES msg.c chan.c LINK m_ev m_base)
merpati_test(ipc_test SOURCES ipc_test.c LINK m_ipc)
merpati_fuzz(msg_fuzz SOURCES msg_fuzz.c LINK m_ipc)
