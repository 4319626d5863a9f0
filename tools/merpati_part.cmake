merpati_tool(merpati
  SOURCES merpati.c merpati_run.c merpati_user.c "${CMAKE_SOURCE_DIR}/master/switchboard.c"
  LINK m_maincf m_conf m_log m_base ${MERPATI_USER_LINK})
