// Device memory of an op under test: poisoned, and fenced by guard words that no op may touch.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"

namespace r1::testing {

/** 0xff bytes are NaN in every element type, so a value that was never written shows. */
constexpr uint8_t kPoison = 0xff;
constexpr int64_t kGuardBytes = 256;  // keeps the alignment that allocate() gives

class Guarded {
 public:
  Guarded(Backend& backend, int64_t bytes);

  void* data() const { return static_cast<uint8_t*>(buffer_->data) + kGuardBytes; }
  int64_t bytes() const { return bytes_; }
  /** Fills the first bytes. */
  void write(const void* from, int64_t bytes);
  /** The contents; throws kInternal naming `what` when a guard word was overwritten. */
  std::vector<uint8_t> read(const std::string& what) const;

 private:
  Backend& backend_;
  int64_t bytes_;
  std::unique_ptr<Buffer> buffer_;
};

}  // namespace r1::testing
