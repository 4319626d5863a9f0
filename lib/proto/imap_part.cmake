# IMAP grammar: commands, sets, names, FETCH items, SEARCH keys, pieces of responses.
merpati_library(imap_proto SOURCES imap_lex.c imap_seq.c imap_mutf7.c imap_item.c imap_crit.c imap_fmt.c
  LINK m_mime m_addr m_base)
merpati_test(imap_test SOURCES imap_test.c LINK m_imap_proto)
merpati_fuzz(imap_cmd_fuzz SOURCES imap_cmd_fuzz.c LINK m_imap_proto)
merpati_fuzz(imap_seq_fuzz SOURCES imap_seq_fuzz.c LINK m_imap_proto)
merpati_fuzz(imap_mutf7_fuzz SOURCES imap_mutf7_fuzz.c LINK m_imap_proto)
