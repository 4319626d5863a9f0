# The queue tools.
foreach(tool postqueue postsuper postcat)
  merpati_tool(${tool} SOURCES ${tool}.c queue_client.c LINK m_maincf m_conf m_spool m_api_qmgr m_base)
endforeach()
