// The part of the CUDA driver API that we use, declared by us: names, values and layouts are those of CUDA 12 and 13 on
// 64-bit Linux. Functions are resolved at run time (driver.cc), so building needs no CUDA toolkit.
#pragma once
#include <cstddef>
#include <cstdint>

namespace r1::cuda {

using CUresult = int;
using CUdevice = int;
using CUdeviceptr = uint64_t;
using CUmemGenericAllocationHandle = uint64_t;
using CUcontext = struct CUctx_st*;
using CUmodule = struct CUmod_st*;
using CUfunction = struct CUfunc_st*;
using CUstream = struct CUstream_st*;
using CUevent = struct CUevent_st*;
using CUgraph = struct CUgraph_st*;
using CUgraphExec = struct CUgraphExec_st*;

// ---- results that are told apart
constexpr CUresult kSuccess = 0;
constexpr CUresult kErrorInvalidValue = 1;
constexpr CUresult kErrorOutOfMemory = 2;
constexpr CUresult kErrorDeinitialized = 4;
constexpr CUresult kErrorStubLibrary = 34;
constexpr CUresult kErrorDeviceUnavailable = 46;
constexpr CUresult kErrorNoDevice = 100;
constexpr CUresult kErrorInvalidDevice = 101;
constexpr CUresult kErrorInvalidImage = 200;
constexpr CUresult kErrorNoBinaryForGpu = 209;
constexpr CUresult kErrorEccUncorrectable = 214;
constexpr CUresult kErrorInvalidPtx = 218;
constexpr CUresult kErrorNvlinkUncorrectable = 220;
constexpr CUresult kErrorJitCompilerNotFound = 221;
constexpr CUresult kErrorUnsupportedPtxVersion = 222;
constexpr CUresult kErrorContained = 226;
constexpr CUresult kErrorNotFound = 500;
constexpr CUresult kErrorNotReady = 600;
constexpr CUresult kErrorIllegalAddress = 700;
constexpr CUresult kErrorLaunchTimeout = 702;
constexpr CUresult kErrorContextIsDestroyed = 709;
constexpr CUresult kErrorAssert = 710;
constexpr CUresult kErrorHardwareStackError = 714;
constexpr CUresult kErrorLaunchFailed = 719;
constexpr CUresult kErrorTensorMemoryLeak = 721;
constexpr CUresult kErrorUnknown = 999;

// ---- attributes and flags
constexpr int kDeviceMultiprocessorCount = 16;
constexpr int kDeviceL2CacheSize = 38;
constexpr int kDeviceComputeCapabilityMajor = 75;
constexpr int kDeviceComputeCapabilityMinor = 76;
constexpr int kDeviceMaxSharedMemoryPerMultiprocessor = 81;
constexpr int kDeviceMaxSharedMemoryPerBlockOptin = 97;
constexpr int kDeviceVirtualMemoryManagementSupported = 102;
constexpr int kFunctionMaxDynamicSharedSizeBytes = 8;
constexpr int kFunctionPreferredSharedMemoryCarveout = 9;
constexpr unsigned kStreamNonBlocking = 1;
constexpr unsigned kEventDefault = 0;
constexpr unsigned kEventDisableTiming = 2;
constexpr int kCaptureModeThreadLocal = 1;

// ---- launches
constexpr unsigned kLaunchClusterDimension = 4;
constexpr unsigned kLaunchProgrammaticStreamSerialization = 6;

union CUlaunchAttributeValue {
  char pad[64];
  struct {
    unsigned x, y, z;
  } cluster_dim;
  int programmatic_stream_serialization_allowed;
  void* align_as_pointer;
};

struct CUlaunchAttribute {
  unsigned id;
  char pad[4];
  CUlaunchAttributeValue value;
};

struct CUlaunchConfig {
  unsigned grid_x, grid_y, grid_z;
  unsigned block_x, block_y, block_z;
  unsigned shared_bytes;
  CUstream stream;
  CUlaunchAttribute* attributes;
  unsigned attribute_count;
};

static_assert(sizeof(CUlaunchAttributeValue) == 64 && sizeof(CUlaunchAttribute) == 72);
static_assert(offsetof(CUlaunchAttribute, value) == 8);
static_assert(sizeof(CUlaunchConfig) == 56 && offsetof(CUlaunchConfig, stream) == 32);
static_assert(offsetof(CUlaunchConfig, attribute_count) == 48);

// ---- virtual memory
constexpr int kMemAllocationTypePinned = 1;
constexpr int kMemLocationTypeDevice = 1;
constexpr int kMemAccessReadWrite = 3;
constexpr int kMemGranularityMinimum = 0;

struct CUmemLocation {
  int type, id;
};

struct CUmemAllocationProp {
  int type;
  int requested_handle_types;
  CUmemLocation location;
  void* win32_handle_metadata;
  struct {
    unsigned char compression_type, gpu_direct_rdma_capable;
    unsigned short usage;
    unsigned char reserved[4];
  } flags;
};

struct CUmemAccessDesc {
  CUmemLocation location;
  int flags;
};

static_assert(sizeof(CUmemLocation) == 8 && sizeof(CUmemAllocationProp) == 32 && sizeof(CUmemAccessDesc) == 12);
static_assert(offsetof(CUmemAllocationProp, win32_handle_metadata) == 16);

// ---- tensor maps (TMA, sm_90)
struct alignas(128) CUtensorMap {
  uint64_t opaque[16];
};
static_assert(sizeof(CUtensorMap) == 128);

constexpr int kTensorMapUint8 = 0;
constexpr int kTensorMapFloat16 = 6;
constexpr int kTensorMapFloat32 = 7;
constexpr int kTensorMapBFloat16 = 9;
constexpr int kTensorMapInterleaveNone = 0;
constexpr int kTensorMapSwizzleNone = 0;
constexpr int kTensorMapSwizzle128B = 3;
constexpr int kTensorMapL2Promotion128B = 2;
constexpr int kTensorMapOobFillNone = 0;

// ---- functions: X(member, symbol, parameters); the symbol is the name with the version whose ABI is declared here
#define R1_CUDA_FUNCTIONS(X)                                                                                      \
  X(init, "cuInit", (unsigned flags))                                                                             \
  X(get_error_string, "cuGetErrorString", (CUresult, const char**))                                               \
  X(get_error_name, "cuGetErrorName", (CUresult, const char**))                                                   \
  X(driver_version, "cuDriverGetVersion", (int*))                                                                 \
  X(device_count, "cuDeviceGetCount", (int*))                                                                     \
  X(device_get, "cuDeviceGet", (CUdevice*, int ordinal))                                                          \
  X(device_name, "cuDeviceGetName", (char*, int length, CUdevice))                                                \
  X(device_attribute, "cuDeviceGetAttribute", (int*, int attribute, CUdevice))                                    \
  X(device_total_mem, "cuDeviceTotalMem_v2", (size_t*, CUdevice))                                                 \
  X(primary_ctx_retain, "cuDevicePrimaryCtxRetain", (CUcontext*, CUdevice))                                       \
  X(primary_ctx_release, "cuDevicePrimaryCtxRelease_v2", (CUdevice))                                              \
  X(ctx_set_current, "cuCtxSetCurrent", (CUcontext))                                                              \
  X(ctx_get_current, "cuCtxGetCurrent", (CUcontext*))                                                             \
  X(ctx_synchronize, "cuCtxSynchronize", (void))                                                                  \
  X(mem_get_info, "cuMemGetInfo_v2", (size_t* free, size_t* total))                                               \
  X(mem_alloc, "cuMemAlloc_v2", (CUdeviceptr*, size_t))                                                           \
  X(mem_free, "cuMemFree_v2", (CUdeviceptr))                                                                      \
  X(mem_host_alloc, "cuMemHostAlloc", (void**, size_t, unsigned flags))                                           \
  X(mem_free_host, "cuMemFreeHost", (void*))                                                                      \
  X(memcpy_htod_async, "cuMemcpyHtoDAsync_v2", (CUdeviceptr to, const void* from, size_t, CUstream))              \
  X(memcpy_dtoh_async, "cuMemcpyDtoHAsync_v2", (void* to, CUdeviceptr from, size_t, CUstream))                    \
  X(memcpy_dtod_async, "cuMemcpyDtoDAsync_v2", (CUdeviceptr to, CUdeviceptr from, size_t, CUstream))              \
  X(memset_d8_async, "cuMemsetD8Async", (CUdeviceptr, unsigned char, size_t, CUstream))                           \
  X(stream_create, "cuStreamCreate", (CUstream*, unsigned flags))                                                 \
  X(stream_destroy, "cuStreamDestroy_v2", (CUstream))                                                             \
  X(stream_synchronize, "cuStreamSynchronize", (CUstream))                                                        \
  X(stream_begin_capture, "cuStreamBeginCapture_v2", (CUstream, int mode))                                        \
  X(stream_end_capture, "cuStreamEndCapture", (CUstream, CUgraph*))                                               \
  X(event_create, "cuEventCreate", (CUevent*, unsigned flags))                                                    \
  X(event_destroy, "cuEventDestroy_v2", (CUevent))                                                                \
  X(event_record, "cuEventRecord", (CUevent, CUstream))                                                           \
  X(event_synchronize, "cuEventSynchronize", (CUevent))                                                           \
  X(event_elapsed_time, "cuEventElapsedTime", (float* ms, CUevent start, CUevent end))                            \
  X(graph_instantiate, "cuGraphInstantiateWithFlags", (CUgraphExec*, CUgraph, unsigned long long flags))          \
  X(graph_launch, "cuGraphLaunch", (CUgraphExec, CUstream))                                                       \
  X(graph_exec_destroy, "cuGraphExecDestroy", (CUgraphExec))                                                      \
  X(graph_destroy, "cuGraphDestroy", (CUgraph))                                                                   \
  X(module_load_data, "cuModuleLoadData", (CUmodule*, const void*))                                               \
  X(module_unload, "cuModuleUnload", (CUmodule))                                                                  \
  X(module_get_function, "cuModuleGetFunction", (CUfunction*, CUmodule, const char*))                             \
  X(func_set_attribute, "cuFuncSetAttribute", (CUfunction, int attribute, int value))                             \
  X(func_get_attribute, "cuFuncGetAttribute", (int*, int attribute, CUfunction))                                  \
  X(occupancy_max_blocks, "cuOccupancyMaxActiveBlocksPerMultiprocessor", (int*, CUfunction, int threads, size_t)) \
  X(launch_kernel_ex, "cuLaunchKernelEx", (const CUlaunchConfig*, CUfunction, void** params, void** extra))       \
  X(mem_address_reserve, "cuMemAddressReserve",                                                                   \
    (CUdeviceptr*, size_t size, size_t alignment, CUdeviceptr hint, unsigned long long flags))                    \
  X(mem_address_free, "cuMemAddressFree", (CUdeviceptr, size_t))                                                  \
  X(mem_create, "cuMemCreate",                                                                                    \
    (CUmemGenericAllocationHandle*, size_t, const CUmemAllocationProp*, unsigned long long flags))                \
  X(mem_release, "cuMemRelease", (CUmemGenericAllocationHandle))                                                  \
  X(mem_map, "cuMemMap", (CUdeviceptr, size_t, size_t offset, CUmemGenericAllocationHandle, unsigned long long))  \
  X(mem_unmap, "cuMemUnmap", (CUdeviceptr, size_t))                                                               \
  X(mem_set_access, "cuMemSetAccess", (CUdeviceptr, size_t, const CUmemAccessDesc*, size_t count))                \
  X(mem_granularity, "cuMemGetAllocationGranularity", (size_t*, const CUmemAllocationProp*, int option))

// Present from driver 525 (CUDA 12) on; only the sm_90 kernels need it.
#define R1_CUDA_OPTIONAL_FUNCTIONS(X)                                                                          \
  X(tensor_map_encode_tiled, "cuTensorMapEncodeTiled",                                                         \
    (CUtensorMap*, int data_type, uint32_t rank, void* address, const uint64_t* dims, const uint64_t* strides, \
     const uint32_t* box, const uint32_t* element_strides, int interleave, int swizzle, int l2_promotion, int oob))

/** The resolved functions. */
struct DriverApi {
#define R1_MEMBER(member, symbol, parameters) \
  CUresult(*member) parameters = nullptr;  // NOLINT(bugprone-macro-parentheses)
  R1_CUDA_FUNCTIONS(R1_MEMBER)
  R1_CUDA_OPTIONAL_FUNCTIONS(R1_MEMBER)
#undef R1_MEMBER
};

}  // namespace r1::cuda
