# SPDX-License-Identifier: Apache-2.0
# install.cmake: what `cmake --install` lays down, and the package files that find it again.
#
# Two export sets: a user of the shared library needs none of the static library's dependencies.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(TCONV_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/tconv)
set(TCONV_STATIC_USES_CUDA ${TCONV_WITH_CUDA})
set(TCONV_PC_LIBS_PRIVATE "-pthread -lstdc++ -lm")
set(origin "$ORIGIN")
if(APPLE)
  string(REPLACE "-lstdc++" "-lc++" TCONV_PC_LIBS_PRIVATE "${TCONV_PC_LIBS_PRIVATE}")
  set(origin "@loader_path")
endif()
if(TCONV_WITH_CUDA)
  string(REPLACE "CUDA::" "-l" cudart ${TCONV_CUDART})
  string(PREPEND TCONV_PC_LIBS_PRIVATE "-L${CUDAToolkit_LIBRARY_DIR} ${cudart} -lrt -ldl ")
endif()

install(TARGETS tconv EXPORT tconvTargets)
install(TARGETS tconv_static EXPORT tconvStaticTargets)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/tconv TYPE INCLUDE FILES_MATCHING PATTERN "*.h")
if(TARGET tconv_cli)
  file(RELATIVE_PATH bin_to_lib /${CMAKE_INSTALL_BINDIR} /${CMAKE_INSTALL_LIBDIR})
  set_target_properties(tconv_cli PROPERTIES INSTALL_RPATH "${origin}/${bin_to_lib}")
  install(TARGETS tconv_cli)
endif()

foreach(set IN ITEMS tconvTargets tconvStaticTargets)
  install(EXPORT ${set} NAMESPACE tconv:: DESTINATION ${TCONV_PACKAGE_DIR})
endforeach()
configure_package_config_file(
  ${CMAKE_CURRENT_LIST_DIR}/tconvConfig.cmake.in ${PROJECT_BINARY_DIR}/tconvConfig.cmake
  INSTALL_DESTINATION ${TCONV_PACKAGE_DIR})
# Before 1.0 a new minor version may break its users.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/tconvConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/tconvConfig.cmake ${PROJECT_BINARY_DIR}/tconvConfigVersion.cmake
        DESTINATION ${TCONV_PACKAGE_DIR})

# Relative to the .pc file, so that an installed tree can be moved.
file(RELATIVE_PATH TCONV_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(${CMAKE_CURRENT_LIST_DIR}/tconv.pc.in ${PROJECT_BINARY_DIR}/tconv.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/tconv.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
