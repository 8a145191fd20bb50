// Host memory: what the process may still take, page-aligned storage, and the KV pool.
#pragma once
#include <cstdint>
#include <memory>

#include "backend/backend.h"

namespace r1::cpu {

struct MemoryStatus {
  int64_t total_bytes;      // of the machine or of the control group, whichever is less
  int64_t available_bytes;  // that can be taken without swapping
};
MemoryStatus memory_status();

/** Throws kOutOfMemory with the figures when `bytes` more for `what` do not fit. */
void require_memory(int64_t bytes, const char* what);

/** Uninitialised memory aligned to 64 bytes; large blocks are mapped on their own and go back to the system at once. */
class Storage {
 public:
  Storage() = default;
  explicit Storage(int64_t bytes);
  ~Storage() { release(); }
  Storage(Storage&& other) noexcept;
  Storage& operator=(Storage&& other) noexcept;
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  char* data() const { return data_; }
  int64_t bytes() const { return bytes_; }
  /** Makes it at least `bytes` long; what it held is lost when it grows. */
  char* at_least(int64_t bytes);

 private:
  void release();

  char* data_ = nullptr;
  int64_t bytes_ = 0;
  bool mapped_ = false;
};

std::unique_ptr<Buffer> allocate_buffer(int64_t bytes);
std::unique_ptr<KvPool> make_kv_pool(const KvLayout& layout, int64_t max_blocks);

}  // namespace r1::cpu
