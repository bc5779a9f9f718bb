// SPDX-License-Identifier: Apache-2.0
// output_file.cpp: see output_file.h.
#include "src/cli/output_file.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <filesystem>

#include "src/cli/failure.h"
#include "src/cli/npy.h"

namespace tconv::cli {
namespace {

/// The temporary file that an interrupt must remove; "" while there is none.
char unfinished[PATH_MAX];

extern "C" void remove_unfinished(int signal) {
  ::unlink(unfinished);
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void guard(const std::string& path) {
  if (path.size() >= sizeof unfinished) return;
  std::strcpy(unfinished, path.c_str());
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    if (std::signal(signal, remove_unfinished) == SIG_IGN) std::signal(signal, SIG_IGN);  // nohup
  }
}

void release_guard() {
  if (unfinished[0] == '\0') return;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    if (std::signal(signal, SIG_DFL) == SIG_IGN) std::signal(signal, SIG_IGN);
  }
  unfinished[0] = '\0';
}

}  // namespace

OutputFile::OutputFile(std::string path) : path_(std::move(path)), written_path_(path_) {
  std::error_code error;
  const auto status = std::filesystem::status(path_, error);
  if (std::filesystem::is_directory(status)) {
    throw Failure(TCONV_DEVICE_ERROR, "cannot write " + path_ + ": it is a folder");
  }
  if (!std::filesystem::exists(status) || std::filesystem::is_regular_file(status)) {
    // Through a symbolic link the file that it names is replaced, not the link.
    if (std::filesystem::is_regular_file(status)) {
      path_ = std::filesystem::canonical(path_, error).string();
    }
    written_path_ = path_ + ".part" + std::to_string(::getpid());
  }
  if (written_path_ != path_) guard(written_path_);  // before there is a file to be left behind
  file_ = std::fopen(written_path_.c_str(), "wb");
  if (file_ != nullptr) return;
  const int reason = errno;
  release_guard();
  errno = reason;
  fail("write");
}

OutputFile::~OutputFile() {
  release_guard();
  if (file_ != nullptr) std::fclose(file_);
  if (written_path_ != path_) std::remove(written_path_.c_str());  // absent after commit()
}

void OutputFile::fail(const char* doing) const {
  throw Failure(TCONV_DEVICE_ERROR,
                std::string("cannot ") + doing + " " + path_ + ": " + std::strerror(errno));
}

void OutputFile::write(const void* data, std::size_t bytes) {
  // Nothing may be written from nowhere: fwrite itself must not be given a null pointer.
  if (bytes > 0 && std::fwrite(data, 1, bytes, file_) != bytes) fail("write");
}

void OutputFile::commit() {
  std::FILE* file = file_;
  file_ = nullptr;
  if (std::fclose(file) != 0) fail("write");
  if (written_path_ != path_ && std::rename(written_path_.c_str(), path_.c_str()) != 0) {
    fail("rename the finished file to");
  }
}

void write_npy(OutputFile& file, tconv_dtype dtype, const void* data, const Grid& grid) {
  const tconv_dtype file_type = dtype == TCONV_BF16 ? TCONV_F32 : dtype;
  const std::string header = npy_header(file_type, grid.shape);
  file.write(header.data(), header.size());
  constexpr int64_t kPiece = 1 << 18;
  const int64_t count = grid.count();
  std::vector<char> piece(static_cast<std::size_t>(std::min(kPiece, count)) *
                          element_bytes(file_type));
  for (int64_t first = 0; first < count; first += kPiece) {
    const int64_t length = std::min(kPiece, count - first);
    gather(dtype, data, grid, first, length, file_type, piece.data());
    file.write(piece.data(), static_cast<std::size_t>(length) * element_bytes(file_type));
  }
}

}  // namespace tconv::cli
