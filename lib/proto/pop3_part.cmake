merpati_library(pop3_proto SOURCES pop3_cmd.c LINK m_base)
merpati_test(pop3_cmd_test SOURCES pop3_cmd_test.c LINK m_pop3_proto)
merpati_fuzz(pop3_cmd_fuzz SOURCES pop3_cmd_fuzz.c LINK m_pop3_proto)
