# MIME tree, ENVELOPE, BODYSTRUCTURE and the summary of a message.
merpati_library(mime SOURCES mime.c mime_param.c mime_tree.c mime_text.c summary.c LINK m_addr m_base)
merpati_test(summary_test SOURCES summary_test.c LINK m_mime)
merpati_fuzz(summary_fuzz SOURCES summary_fuzz.c LINK m_mime)
