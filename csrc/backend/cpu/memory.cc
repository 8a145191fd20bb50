#include "backend/cpu/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "base/error.h"

namespace r1::cpu {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int64_t kHugePage = 2 * kMiB;
constexpr int64_t kMapFrom = kMiB;  // blocks of this size are mapped on their own

std::string read_text(const std::string& path) {
  std::string text;
  FILE* file = std::fopen(path.c_str(), "re");
  if (!file) return text;
  char chunk[4096];
  for (size_t n = 0; (n = std::fread(chunk, 1, sizeof chunk, file)) > 0;) text.append(chunk, n);
  std::fclose(file);
  return text;
}

/** The number after `key` in `text`, or -1. */
int64_t number_after(const std::string& text, const char* key) {
  const size_t at = text.find(key);
  return at == std::string::npos ? -1 : std::strtoll(text.c_str() + at + std::strlen(key), nullptr, 10);
}

/** Lowers `status` to what the control group under `folder` allows. Page cache that can be dropped is not counted as
 * used. */
void apply_group(const std::string& folder, const char* limit_name, const char* usage_name, const char* cache_key,
                 MemoryStatus* status) {
  const std::string limit_text = read_text(folder + limit_name);
  if (limit_text.empty() || limit_text.compare(0, 3, "max") == 0) return;
  const int64_t limit = std::strtoll(limit_text.c_str(), nullptr, 10);
  if (limit <= 0 || limit >= status->total_bytes) return;
  const int64_t usage = std::strtoll(read_text(folder + usage_name).c_str(), nullptr, 10);
  const int64_t cache = std::max<int64_t>(0, number_after(read_text(folder + "memory.stat"), cache_key));
  status->total_bytes = limit;
  status->available_bytes = std::min(status->available_bytes, std::max<int64_t>(0, limit - usage + cache));
}

std::string mib(int64_t bytes) { return std::to_string((bytes + kMiB - 1) / kMiB) + " MiB"; }

class HostBuffer : public Buffer {
 public:
  explicit HostBuffer(int64_t size) : storage_(size) {
    data = storage_.data();
    bytes = size;
  }

 private:
  Storage storage_;
};

class HostKvPool : public KvPool {
 public:
  HostKvPool(const KvLayout& kv_layout, int64_t most_blocks) {
    layout = kv_layout;
    max_blocks = most_blocks;
    const int64_t page = sysconf(_SC_PAGESIZE);
    reserved_ = std::max(page, (layout.block_bytes() * max_blocks + page - 1) / page * page);
    page_ = page;
    void* at =
        mmap(nullptr, static_cast<size_t>(reserved_), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) {
      R1_THROW(ErrorCode::kOutOfMemory, "no address space for a KV cache of " + mib(reserved_) +
                                            "; lower kvMemory or raise the process's limit (ulimit -v)");
    }
    base = at;
  }
  ~HostKvPool() override { munmap(base, static_cast<size_t>(reserved_)); }

  void grow(int64_t wanted) override {
    if (wanted <= blocks) return;
    R1_CHECK(
        wanted <= max_blocks, ErrorCode::kInvalidArgument,
        "the KV pool holds at most " + std::to_string(max_blocks) + " blocks, asked for " + std::to_string(wanted));
    require_memory((wanted - blocks) * layout.block_bytes(), "the KV cache");
    const int64_t end = (wanted * layout.block_bytes() + page_ - 1) / page_ * page_;
    if (mprotect(base, static_cast<size_t>(end), PROT_READ | PROT_WRITE) != 0) {
      R1_THROW(ErrorCode::kOutOfMemory, "the system refused to grow the KV cache to " + mib(end) + ": " +
                                            std::strerror(errno) + "; lower kvMemory");
    }
    blocks = wanted;
  }

 private:
  int64_t reserved_ = 0, page_ = 4096;
};

}  // namespace

MemoryStatus memory_status() {
  const std::string meminfo = read_text("/proc/meminfo");  // figures in KiB
  MemoryStatus status{number_after(meminfo, "MemTotal:") * 1024, number_after(meminfo, "MemAvailable:") * 1024};
  if (status.total_bytes <= 0) {
    status.total_bytes = int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
    status.available_bytes = int64_t{sysconf(_SC_AVPHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  }
  const std::string root = "/sys/fs/cgroup/";
  apply_group(root, "memory.max", "memory.current", "\ninactive_file ", &status);
  const std::string groups = read_text("/proc/self/cgroup");  // "0::/path" in version 2
  if (const size_t at = groups.find("0::/"); at != std::string::npos) {
    const size_t from = at + 4;
    const std::string path = groups.substr(from, groups.find('\n', from) - from);
    if (!path.empty()) {
      apply_group(root + path + "/", "memory.max", "memory.current", "\ninactive_file ", &status);
    }
  }
  apply_group(root + "memory/", "memory.limit_in_bytes", "memory.usage_in_bytes", "\ntotal_inactive_file ", &status);
  return status;
}

void require_memory(int64_t bytes, const char* what) {
  if (bytes < 4 * kMapFrom) return;  // looking costs more than it can tell
  const MemoryStatus status = memory_status();
  if (bytes <= status.available_bytes) return;
  R1_THROW(ErrorCode::kOutOfMemory, std::string(what) + " needs " + mib(bytes) + " of memory, but only " +
                                        mib(status.available_bytes) + " of " + mib(status.total_bytes) +
                                        " are available; free memory, or use a smaller model or context");
}

Storage::Storage(int64_t bytes) : bytes_(bytes) {
  if (bytes <= 0) return;
  if (bytes < kMapFrom) {
    const size_t rounded = static_cast<size_t>((bytes + 63) / 64 * 64);
    data_ = static_cast<char*>(std::aligned_alloc(64, rounded));
    if (!data_) throw std::bad_alloc();
    return;
  }
  // Mapped with room to start on a huge page; the rest is given back.
  const int64_t page = sysconf(_SC_PAGESIZE);
  const int64_t length = (bytes + page - 1) / page * page;
  void* at = mmap(nullptr, static_cast<size_t>(length + kHugePage), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                  -1, 0);
  if (at == MAP_FAILED) throw std::bad_alloc();
  char* start = static_cast<char*>(at);
  const int64_t skip = (kHugePage - static_cast<int64_t>(reinterpret_cast<uintptr_t>(start) % kHugePage)) % kHugePage;
  if (skip > 0) munmap(start, static_cast<size_t>(skip));
  if (kHugePage > skip) munmap(start + skip + length, static_cast<size_t>(kHugePage - skip));
  data_ = start + skip;
  mapped_ = true;
  madvise(data_, static_cast<size_t>(length), MADV_HUGEPAGE);
}

Storage::Storage(Storage&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      mapped_(std::exchange(other.mapped_, false)) {}

Storage& Storage::operator=(Storage&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  std::swap(mapped_, other.mapped_);
  return *this;
}

void Storage::release() {
  if (!data_) return;
  if (mapped_) {
    const int64_t page = sysconf(_SC_PAGESIZE);
    munmap(data_, static_cast<size_t>((bytes_ + page - 1) / page * page));
  } else {
    std::free(data_);
  }
  data_ = nullptr;
}

char* Storage::at_least(int64_t bytes) {
  if (bytes > bytes_) {
    release();
    bytes_ = 0;
    mapped_ = false;
    const int64_t wanted = bytes + bytes / 4;
    *this = Storage(wanted < kMapFrom ? wanted : (wanted + kHugePage - 1) / kHugePage * kHugePage);
  }
  return data_;
}

std::unique_ptr<Buffer> allocate_buffer(int64_t bytes) {
  require_memory(bytes, "a buffer");
  try {
    return std::make_unique<HostBuffer>(bytes);
  } catch (const std::bad_alloc&) {
    R1_THROW(ErrorCode::kOutOfMemory, "the system refused a buffer of " + mib(bytes) + "; free memory and try again");
  }
}

std::unique_ptr<KvPool> make_kv_pool(const KvLayout& layout, int64_t max_blocks) {
  return std::make_unique<HostKvPool>(layout, max_blocks);
}

}  // namespace r1::cpu
