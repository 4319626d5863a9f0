merpati_library(alias_proto SOURCES alias_rhs.c LINK m_addr m_base)
merpati_test(alias_rhs_test SOURCES alias_rhs_test.c LINK m_alias_proto)
merpati_fuzz(alias_fuzz SOURCES alias_fuzz.c LINK m_alias_proto)
