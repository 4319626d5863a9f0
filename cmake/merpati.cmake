# Compiler settings and the five functions that every CMakeLists.txt of the tree uses.

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

# release: what is shipped.  asan: address, undefined and leak sanitizers.  tsan: for users of ev_work.
set(MERPATI_BUILDS release asan tsan)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE release CACHE STRING "release, asan or tsan" FORCE)
endif()
if(NOT CMAKE_BUILD_TYPE IN_LIST MERPATI_BUILDS)
  message(FATAL_ERROR "CMAKE_BUILD_TYPE is one of: ${MERPATI_BUILDS}")
endif()

# -Wconversion without -Wsign-conversion: byte counts and indexes mix signed and unsigned all the time
# in POSIX calls, and a cast at each of them would hide the narrowing that the option is there to find.
add_compile_options(-Wall -Wextra -Wformat=2 -Wmissing-prototypes -Wstrict-prototypes -Wshadow -Wconversion
  -Wno-sign-conversion -Wpointer-arith -Wundef -Wvla -Wwrite-strings -Werror -g -fno-strict-aliasing
  -fno-common -fvisibility=hidden)
add_compile_definitions(_GNU_SOURCE MERPATI_VERSION="${PROJECT_VERSION}")
include_directories("${CMAKE_SOURCE_DIR}/lib" "${CMAKE_BINARY_DIR}/gen")

set(CMAKE_C_FLAGS_RELEASE "-O2 -D_FORTIFY_SOURCE=3 -fstack-protector-strong")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64")
  string(APPEND CMAKE_C_FLAGS_RELEASE " -fcf-protection=full")
endif()
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  # Not with clang: its release 14 miscompiles small functions with stack-clash-protection (sv_ends was never true).
  string(APPEND CMAKE_C_FLAGS_RELEASE " -fstack-clash-protection -ftrivial-auto-var-init=zero")
  add_compile_options(-Wno-maybe-uninitialized)  # false reports with -fsanitize; clang and asan find the real ones
  if(NOT CMAKE_BUILD_TYPE STREQUAL "release")
    add_compile_options(-Wno-format-truncation)  # the sanitizers hide value ranges from it; release checks it
  endif()
elseif(CMAKE_C_COMPILER_ID MATCHES "Clang")
  string(REPLACE "_FORTIFY_SOURCE=3" "_FORTIFY_SOURCE=2" CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE}")
  string(APPEND CMAKE_C_FLAGS_RELEASE " -ftrivial-auto-var-init=pattern")
  add_compile_options(-Wno-gnu-zero-variadic-macro-arguments -Wno-missing-field-initializers)  # libseccomp's macros
endif()
set(CMAKE_C_FLAGS_ASAN "-O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined")
set(CMAKE_C_FLAGS_TSAN "-O1 -fno-omit-frame-pointer -fsanitize=thread")
if(CMAKE_BUILD_TYPE STREQUAL "release")
  add_link_options(-Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed)
endif()
include(CheckPIESupported)
check_pie_supported()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

set(MERPATI_LIBEXEC "${CMAKE_BINARY_DIR}/libexec")  # the programs that master starts
set(MERPATI_BIN "${CMAKE_BINARY_DIR}/bin")          # the commands that people type

# merpati_library(NAME SOURCES a.c ... [LINK targets...]): static library m_NAME of lib/NAME.
function(merpati_library name)
  cmake_parse_arguments(A "" "" "SOURCES;LINK" ${ARGN})
  add_library(m_${name} STATIC ${A_SOURCES})
  target_link_libraries(m_${name} PUBLIC ${A_LINK})
endfunction()

# merpati_program(NAME SOURCES a.c ... LINK targets...): a daemon in libexec/.  Its link list is its security statement.
function(merpati_program name)
  cmake_parse_arguments(A "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_include_directories(${name} PRIVATE "${CMAKE_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${A_LINK})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${MERPATI_LIBEXEC}")
endfunction()

# merpati_tool(NAME SOURCES ... LINK ...): a command in bin/.
function(merpati_tool name)
  merpati_program(${name} ${ARGN})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${MERPATI_BIN}")
endfunction()

# merpati_test(NAME SOURCES ... LINK ...): a cmocka program, run by ctest with the label "unit".
function(merpati_test name)
  cmake_parse_arguments(A "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_include_directories(${name} PRIVATE "${CMAKE_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${A_LINK} m_testing cmocka)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 120)
endfunction()

# merpati_fuzz(NAME SOURCES x_fuzz.c LINK ...): LLVMFuzzerTestOneInput in x_fuzz.c.  With MERPATI_FUZZ a libFuzzer
# program; in every build also NAME_replay, which runs the seeds of tests/corpus/NAME through it (label "corpus").
function(merpati_fuzz name)
  cmake_parse_arguments(A "" "" "SOURCES;LINK" ${ARGN})
  if(MERPATI_FUZZ)
    add_executable(${name} ${A_SOURCES})
    target_include_directories(${name} PRIVATE "${CMAKE_SOURCE_DIR}")
    target_link_libraries(${name} PRIVATE ${A_LINK})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/fuzz")
  endif()
  add_executable(${name}_replay ${A_SOURCES} "${CMAKE_SOURCE_DIR}/lib/testing/fuzz_replay.c")
  target_include_directories(${name}_replay PRIVATE "${CMAKE_SOURCE_DIR}")
  target_link_libraries(${name}_replay PRIVATE ${A_LINK} m_base)
  set_target_properties(${name}_replay PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  add_test(NAME ${name}_replay COMMAND ${name}_replay "${CMAKE_SOURCE_DIR}/tests/corpus/${name}")
  set_tests_properties(${name}_replay PROPERTIES LABELS corpus TIMEOUT 120)
endfunction()
if(MERPATI_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
