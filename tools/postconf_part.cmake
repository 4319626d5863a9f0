merpati_tool(postconf SOURCES postconf.c postconf_show.c postconf_edit.c postconf_doc.c LINK m_maincf m_conf m_base)
# postconf(5), made from the table of parameters.
add_custom_command(TARGET postconf POST_BUILD
  COMMAND "${MERPATI_BIN}/postconf" --manual > "${CMAKE_BINARY_DIR}/postconf.5"
  COMMENT "postconf.5")
