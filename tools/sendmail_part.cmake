merpati_tool(sendmail SOURCES sendmail.c sendmail_msg.c sendmail_smtp.c
  LINK m_maincf m_conf m_addr m_received m_smtp_proto m_log m_base)
