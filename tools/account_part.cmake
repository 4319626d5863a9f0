# What merpati_user.c needs; read before merpati_part.cmake.
merpati_library(password_prompt SOURCES password_prompt.c LINK m_account m_crypto)
target_include_directories(m_password_prompt PRIVATE "${CMAKE_SOURCE_DIR}")
set(MERPATI_USER_LINK m_password_prompt m_account m_crypto Threads::Threads)
