#include "backend/cuda/module.h"

#include <pthread.h>

#include <cstring>
#include <fstream>

namespace r1::cuda {
namespace {

constexpr uint32_t kFatbinMagic = 0xBA55ED50;

struct FatbinHeader {
  uint32_t magic;
  uint16_t version, header_bytes;
  uint64_t payload_bytes;
};
static_assert(sizeof(FatbinHeader) == 16);

[[noreturn]] void throw_no_kernels(const std::string& path) {
  R1_THROW(ErrorCode::kUnsupported,
           "this build has no GPU kernels" + (path.empty() ? "" : " (" + path + " is missing or empty)") +
               ". Build them with nvcc 13 and -DR1_CUDA_ARCHS=all, or install a prebuilt package.");
}

std::vector<std::byte> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (path.empty() || !file) throw_no_kernels(path);
  std::vector<std::byte> bytes(static_cast<size_t>(file.tellg()));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  R1_CHECK(file.good() || bytes.empty(), ErrorCode::kBadCheckpoint, "the kernel file " + path + " cannot be read.");
  return bytes;
}

[[noreturn]] void throw_load_error(CUresult result, const std::string& path) {
  const bool wrong_code = result == kErrorNoBinaryForGpu || result == kErrorUnsupportedPtxVersion ||
                          result == kErrorInvalidPtx || result == kErrorJitCompilerNotFound ||
                          result == kErrorInvalidImage;
  if (!wrong_code) throw_driver_error(result, "module_load_data()", __FILE__, __LINE__);
  int version = 0;
  driver().driver_version(&version);
  R1_THROW(ErrorCode::kDeviceUnavailable,
           "the GPU kernels in " + path + " cannot be loaded (" + result_text(result) + "). Found a driver for CUDA " +
               std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10) +
               "; needed is driver 580 (CUDA 13.0) or newer, and a GPU of an architecture that the kernels were "
               "built for (R1_CUDA_ARCHS). Update the driver, or build the kernels for this GPU.");
}

void unload(const std::vector<CUmodule>& modules) noexcept {
  for (CUmodule module : modules) driver().module_unload(module);
}

std::vector<CUmodule> load_modules(const std::string& path, CUcontext context) {
  pthread_setname_np(pthread_self(), "r1-kernels");
  R1_CUDA(ctx_set_current(context));
  const std::vector<std::byte> file = read_file(path);
  std::vector<CUmodule> modules;
  try {
    for (const auto& fatbin : split_fatbins(file, path)) {
      // The driver wants 8-byte alignment, which the concatenation does not promise.
      std::vector<uint64_t> aligned((fatbin.size() + 7) / 8);
      std::memcpy(aligned.data(), fatbin.data(), fatbin.size());
      CUmodule module = nullptr;
      const CUresult result = driver().module_load_data(&module, aligned.data());
      if (result != kSuccess) throw_load_error(result, path);
      modules.push_back(module);
    }
  } catch (...) {
    unload(modules);
    throw;
  }
  return modules;
}

}  // namespace

std::vector<std::span<const std::byte>> split_fatbins(std::span<const std::byte> file, const std::string& path) {
  if (file.empty()) throw_no_kernels(path);
  std::vector<std::span<const std::byte>> fatbins;
  size_t offset = 0;
  while (offset < file.size()) {
    FatbinHeader header{};
    const size_t left = file.size() - offset;
    const std::string where = " at byte " + std::to_string(offset) + " of " + path;
    R1_CHECK(left >= sizeof header, ErrorCode::kBadCheckpoint, "the kernel file ends inside a header" + where + ".");
    std::memcpy(&header, file.data() + offset, sizeof header);
    R1_CHECK(header.magic == kFatbinMagic && header.header_bytes >= sizeof header, ErrorCode::kBadCheckpoint,
             "expected a fatbin" + where + ", found something else. Build the kernels again.");
    R1_CHECK(header.header_bytes <= left && header.payload_bytes <= left - header.header_bytes,
             ErrorCode::kBadCheckpoint, "a fatbin is cut short" + where + ". Build the kernels again.");
    const size_t bytes = header.header_bytes + static_cast<size_t>(header.payload_bytes);
    fatbins.push_back(file.subspan(offset, bytes));
    offset += bytes;
  }
  return fatbins;
}

KernelModules::KernelModules(const std::string& path) {
  if (path.empty() || !std::ifstream(path)) throw_no_kernels(path);
  CUcontext context = nullptr;
  R1_CUDA(ctx_get_current(&context));
  modules_ = std::async(std::launch::async, load_modules, path, context).share();
}

KernelModules::~KernelModules() {
  try {
    unload(modules_.get());
  } catch (const std::exception&) {  // there are none
    return;
  }
}

CUfunction KernelModules::find(const std::string& name) const {
  for (CUmodule module : modules_.get()) {
    CUfunction function = nullptr;
    const CUresult result = driver().module_get_function(&function, module, name.c_str());
    if (result == kSuccess) return function;
    if (result != kErrorNotFound) throw_driver_error(result, "module_get_function()", __FILE__, __LINE__);
  }
  return nullptr;
}

}  // namespace r1::cuda
