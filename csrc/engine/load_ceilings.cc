#include "engine/load_ceilings.h"

#include <algorithm>
#include <chrono>

#include "backend/backend.h"
#include "base/tensor_file.h"
#include "base/thread_pool.h"

namespace r1 {
namespace {

constexpr int64_t kPiece = UploadOptions{}.stage_bytes;

struct Piece {
  const TensorFile* file;
  int64_t offset, bytes;
};

double read_rate(const std::vector<std::string>& paths, int threads) {
  std::vector<std::unique_ptr<TensorFile>> files;
  std::vector<Piece> pieces;
  int64_t bytes = 0;
  for (const std::string& path : paths) {
    files.push_back(std::make_unique<TensorFile>(path));
    const int64_t size = files.back()->size();
    for (int64_t at = 0; at < size; at += kPiece) {
      pieces.push_back({.file = files.back().get(), .offset = at, .bytes = std::min(kPiece, size - at)});
    }
    bytes += size;
  }
  ThreadPool pool(threads);
  // Two buffers each, as loading has; filled once, so that their memory is there.
  std::vector<std::vector<char>> buffers(static_cast<size_t>(threads), std::vector<char>(2 * kPiece));
  const auto begin = std::chrono::steady_clock::now();
  pool.parallel_for(static_cast<int64_t>(pieces.size()), 1, [&](int64_t first, int64_t end, int thread) {
    for (int64_t i = first; i < end; ++i) {
      const Piece& piece = pieces[static_cast<size_t>(i)];
      char* to = buffers[static_cast<size_t>(thread)].data() + (i % 2) * kPiece;
      piece.file->read(piece.offset, piece.bytes, to, "a piece of the file");
    }
  });
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return static_cast<double>(bytes) / seconds;
}

}  // namespace

LoadCeilings measure_load_ceilings(const DeviceSpec& device, const std::vector<std::string>& files) {
  LoadCeilings ceilings;
  if (!files.empty()) ceilings.read_bytes_per_s = read_rate(files, reading_threads(device.threads));
  if (device.kind == DeviceKind::kCuda) ceilings.upload_bytes_per_s = measure_cuda_upload(device.index);
  return ceilings;
}

}  // namespace r1
