# MIME tree, ENVELOPE, BODYSTRUCTURE and the summary of a message.
merpati_library(mime SOURCES mime.c mime_param.c mime_tree.c mime_text.c summary.c LINK m_addr m_base)
# Decoding for SEARCH.
merpati_library(mime_text SOURCES qp.c charset.c rfc2047.c rfc2231.c text_find.c LINK m_mime m_base unistring)
merpati_test(mime_text_test SOURCES mime_text_test.c LINK m_mime_text)
merpati_fuzz(mime_text_fuzz SOURCES mime_text_fuzz.c LINK m_mime_text)
merpati_test(summary_test SOURCES summary_test.c LINK m_mime)
merpati_fuzz(summary_fuzz SOURCES summary_fuzz.c LINK m_mime)
