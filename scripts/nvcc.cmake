# cmake -DNVCC=… -DNAME=… -DLOG=… -DARGS=a;b;c -P nvcc.cmake: compiles one kernel file and prints how long that took.
# LOG keeps what nvcc said, ptxas's report of registers included, for scripts/spills.mjs: as long as the build's tree keeps
# the kernels, it keeps their reports.
string(TIMESTAMP started "%s")
execute_process(COMMAND ${NVCC} ${ARGS} RESULT_VARIABLE status OUTPUT_VARIABLE said ERROR_VARIABLE said)
string(TIMESTAMP ended "%s")
# What is more than the report, such as warnings, is shown.
string(REGEX REPLACE "ptxas info[^\n]*\n" "" rest "${said}")
string(REGEX REPLACE "    [0-9]+ bytes stack frame[^\n]*\n" "" rest "${rest}")
if(rest)
  execute_process(COMMAND ${CMAKE_COMMAND} -E echo_append "${rest}")
endif()
if(NOT status EQUAL 0)
  message(FATAL_ERROR "nvcc failed on ${NAME}")
endif()
file(WRITE ${LOG} "${said}")
math(EXPR seconds "${ended} - ${started}")
execute_process(COMMAND ${CMAKE_COMMAND} -E echo "nvcc ${NAME}: ${seconds} s")
