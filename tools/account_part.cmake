# What merpati_user.c needs; read before merpati_part.cmake.
set(MERPATI_USER_LINK m_account m_crypto Threads::Threads)
