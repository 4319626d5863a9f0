add_library(m_received STATIC received.c dot.c)
target_link_libraries(m_received PUBLIC m_base)
merpati_test(received_test SOURCES received_test.c LINK m_received)
merpati_fuzz(dot_fuzz SOURCES dot_fuzz.c LINK m_received)
