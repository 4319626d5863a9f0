# mailq and newaliases are sendmail by other names.
merpati_tool(sendmail SOURCES sendmail.c sendmail_msg.c sendmail_smtp.c
  LINK m_maincf m_conf m_addr m_received m_smtp_proto m_log m_base)
add_custom_command(TARGET sendmail POST_BUILD
  COMMAND ${CMAKE_COMMAND} -E create_symlink sendmail "${MERPATI_BIN}/mailq"
  COMMAND ${CMAKE_COMMAND} -E create_symlink sendmail "${MERPATI_BIN}/newaliases")
