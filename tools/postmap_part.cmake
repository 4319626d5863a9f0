# postmap; postalias is the same program by another name.
merpati_tool(postmap SOURCES postmap.c postmap_write.c LINK m_maps m_map_build m_maincf m_conf m_base)
add_custom_command(TARGET postmap POST_BUILD
  COMMAND ${CMAKE_COMMAND} -E create_symlink postmap "${MERPATI_BIN}/postalias")
