# The queue tools.  mailq is postqueue by another name.
foreach(tool postqueue postsuper postcat)
  merpati_tool(${tool} SOURCES ${tool}.c queue_client.c LINK m_maincf m_conf m_spool m_api_qmgr m_base)
endforeach()
add_custom_command(TARGET postqueue POST_BUILD
  COMMAND ${CMAKE_COMMAND} -E create_symlink postqueue "${MERPATI_BIN}/mailq")
