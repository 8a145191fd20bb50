# cmake -DNVCC=… -DNAME=… -DARGS=a;b;c -P nvcc.cmake: compiles one kernel file and prints how long that took.
string(TIMESTAMP started "%s")
execute_process(COMMAND ${NVCC} ${ARGS} RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "nvcc failed on ${NAME}")
endif()
string(TIMESTAMP ended "%s")
math(EXPR seconds "${ended} - ${started}")
execute_process(COMMAND ${CMAKE_COMMAND} -E echo "nvcc ${NAME}: ${seconds} s")
