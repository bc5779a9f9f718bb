// SPDX-License-Identifier: Apache-2.0
// npy.cpp: see npy.h. The header is a Python dictionary literal; only what NumPy writes is taken.
#include "src/cli/npy.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string_view>

#include "src/cli/failure.h"
#include "src/cli/text.h"

namespace tconv::cli {
namespace {

static_assert(std::endian::native == std::endian::little, "elements are copied as they lie");

constexpr std::string_view kMagic = "\x93NUMPY";

/// What a file says, in a message: its beginning is enough.
std::string quoted(const std::string& text) {
  constexpr std::size_t kMost = 40;
  return "'" + (text.size() > kMost ? text.substr(0, kMost) + "..." : text) + "'";
}

/// Reads "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }".
class HeaderText {
 public:
  explicit HeaderText(std::string_view text) : rest_(text) {}

  void parse() {
    expect('{');
    while (!accept('}')) {
      parse_item();
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_spaces();
    if (!rest_.empty()) broken("text after the closing brace");
    if (!descr_ || !fortran_order_ || !shape_) {
      broken("'descr', 'fortran_order' or 'shape' missing");
    }
  }
  const std::string& descr() const { return *descr_; }
  bool fortran_order() const { return *fortran_order_; }
  const std::vector<int64_t>& shape() const { return *shape_; }

 private:
  [[noreturn]] static void broken(const std::string& what) {
    refuse("broken .npy header: " + what);
  }
  void skip_spaces() {
    const std::size_t first = rest_.find_first_not_of(" \t\n");
    rest_.remove_prefix(std::min(first, rest_.size()));
  }
  bool accept(char c) {
    skip_spaces();
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!accept(c)) broken(std::string("expected '") + c + "'");
  }

  void parse_item() {
    const std::string name = parse_string("a key");
    expect(':');
    if (name == "descr" && !descr_) {
      skip_spaces();
      if (rest_.starts_with('[')) {
        refuse("its elements are structures, but they must be f16, f32 or f64");
      }
      descr_ = parse_string("the type");
    } else if (name == "fortran_order" && !fortran_order_) {
      fortran_order_ = parse_bool();
    } else if (name == "shape" && !shape_) {
      shape_ = parse_shape();
    } else {
      broken("unknown or repeated key " + quoted(name));
    }
  }

  std::string parse_string(const char* what) {
    skip_spaces();
    if (!rest_.starts_with('\'') && !rest_.starts_with('"')) {
      broken(std::string("expected ") + what + " in quotes");
    }
    const std::size_t end = rest_.find(rest_.front(), 1);
    if (end == std::string_view::npos) broken("a quote is not closed");
    std::string result(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    return result;
  }

  bool parse_bool() {
    skip_spaces();
    for (const auto& [word, value] : {std::pair{"True", true}, std::pair{"False", false}}) {
      if (rest_.starts_with(word)) {
        rest_.remove_prefix(std::strlen(word));
        return value;
      }
    }
    broken("'fortran_order' must be True or False");
  }

  std::vector<int64_t> parse_shape() {
    std::vector<int64_t> shape;
    expect('(');
    while (!accept(')')) {
      skip_spaces();
      int64_t extent = 0;
      const auto [stop, error] = std::from_chars(rest_.begin(), rest_.end(), extent);
      if (error == std::errc::result_out_of_range) broken("an extent does not fit 64 bits");
      if (error != std::errc() || extent < 0) broken("'shape' must be a tuple of whole numbers");
      rest_.remove_prefix(static_cast<std::size_t>(stop - rest_.begin()));
      shape.push_back(extent);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return shape;
  }

  std::string_view rest_;
  std::optional<std::string> descr_;
  std::optional<bool> fortran_order_;
  std::optional<std::vector<int64_t>> shape_;
};

constexpr const char* kTypes = "'<f2', '<f4', '<f8' (f16, f32, f64), '<V2' (bf16) or integers";

/// "<i4", "|u1", "|b1".
bool is_integer(const std::string& descr) {
  if (descr == "|b1" || descr == "|i1" || descr == "|u1") return true;
  return descr.size() == 3 && descr[0] == '<' && (descr[1] == 'i' || descr[1] == 'u') &&
         (descr[2] == '2' || descr[2] == '4' || descr[2] == '8');
}

void set_type(const std::string& descr, NpyHeader& header) {
  if (is_integer(descr)) {
    header.dtype = TCONV_F64;
    header.integer = descr;
  } else if (descr == "<f2") {
    header.dtype = TCONV_F16;
  } else if (descr == "<f4") {
    header.dtype = TCONV_F32;
  } else if (descr == "<f8") {
    header.dtype = TCONV_F64;
  } else if (descr == "<V2" || descr == "|V2") {  // what NumPy writes for ml_dtypes.bfloat16
    header.dtype = TCONV_BF16;
  } else if (descr.starts_with('>')) {
    refuse("its type is " + quoted(descr) +
           ", big-endian, but it must be little-endian: " + kTypes);
  } else {
    refuse("its type is " + quoted(descr) + ", but it must be " + kTypes);
  }
}

/// The integers of a piece as f64.
void widen_integers(const std::string& type, const char* from, int64_t count, double* to) {
  const auto widen_as = [&]<typename Integer>(Integer) {
    for (int64_t i = 0; i < count; ++i) {
      Integer value;
      std::memcpy(&value, from + i * static_cast<int64_t>(sizeof value), sizeof value);
      to[i] = static_cast<double>(value);
    }
  };
  const bool is_signed = type[1] == 'i';
  switch (type[2]) {
    case '1': return is_signed ? widen_as(int8_t{}) : widen_as(uint8_t{});
    case '2': return is_signed ? widen_as(int16_t{}) : widen_as(uint16_t{});
    case '4': return is_signed ? widen_as(int32_t{}) : widen_as(uint32_t{});
    default: return is_signed ? widen_as(int64_t{}) : widen_as(uint64_t{});
  }
}

int64_t element_count(const std::vector<int64_t>& shape) {
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  int64_t count = 1;
  for (const int64_t extent : shape) {
    if (__builtin_mul_overflow(count, extent, &count)) {
      refuse("its shape (" + join(shape) + ") has more elements than fit 64 bits");
    }
  }
  return count;
}

/// The bytes before the dictionary and the length that they state.
struct Preamble {
  uint64_t bytes, header_bytes;
};

Preamble parse_preamble(std::span<const std::byte> start) {
  const auto byte = [&](std::size_t i) { return std::to_integer<uint64_t>(start[i]); };
  if (start.size() < 10 || std::memcmp(start.data(), kMagic.data(), kMagic.size()) != 0) {
    refuse("not a .npy file: it does not begin with \\x93NUMPY");
  }
  const uint64_t version = byte(6);
  if (version < 1 || version > 3 || byte(7) != 0) {
    refuse(format("its .npy version is %d.%d, but it must be 1.0, 2.0 or 3.0",
                  static_cast<int>(version), static_cast<int>(byte(7))));
  }
  if (version == 1) return {10, byte(8) | byte(9) << 8};
  if (start.size() < 12) refuse("truncated: the .npy header is not complete");
  return {12, byte(8) | byte(9) << 8 | byte(10) << 16 | byte(11) << 24};
}

void check_file_size(const NpyHeader& header, uint64_t file_bytes) {
  uint64_t wanted = 0;
  if (__builtin_mul_overflow(static_cast<uint64_t>(header.count), header.file_element_bytes(),
                             &wanted)) {
    refuse("its shape (" + join(header.shape) + ") has more bytes than fit 64 bits");
  }
  const uint64_t there = file_bytes - header.data_offset;
  if (wanted == there) return;
  refuse(std::string(there < wanted ? "truncated" : "too long") + ": its shape (" +
         join(header.shape) + ") needs " + std::to_string(wanted) + " bytes of data, but it has " +
         std::to_string(there));
}

}  // namespace

std::size_t NpyHeader::file_element_bytes() const {
  return integer.empty() ? element_bytes(dtype) : static_cast<std::size_t>(integer[2] - '0');
}

NpyHeader parse_npy(std::span<const std::byte> start, uint64_t file_bytes) {
  const Preamble preamble = parse_preamble(start);
  NpyHeader header;
  header.data_offset = preamble.bytes + preamble.header_bytes;
  if (header.data_offset > file_bytes) refuse("truncated: the .npy header is not complete");
  if (header.data_offset > start.size()) {
    refuse(format("its .npy header has %llu bytes, but at most %zu are read",
                  static_cast<unsigned long long>(preamble.header_bytes), kNpyHeaderLimit));
  }
  const auto* text = reinterpret_cast<const char*>(start.data()) + preamble.bytes;
  HeaderText parsed({text, static_cast<std::size_t>(preamble.header_bytes)});
  parsed.parse();
  set_type(parsed.descr(), header);
  header.shape = parsed.shape();
  header.fortran_order = parsed.fortran_order();
  header.count = element_count(header.shape);
  check_file_size(header, file_bytes);
  return header;
}

NpyReader::NpyReader(std::string option, const std::string& path)
    : option_(std::move(option)), path_(path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    refuse(option_, path,
           std::filesystem::exists(path, error) ? "a regular file" : "a file that exists");
  }
  const uint64_t file_bytes = std::filesystem::file_size(path, error);
  file_.open(path, std::ios::binary);
  if (error || !file_) refuse(option_, path, "a file that can be read");
  std::vector<std::byte> start(std::min<uint64_t>(file_bytes, kNpyHeaderLimit));
  if (!file_.read(reinterpret_cast<char*>(start.data()),
                  static_cast<std::streamsize>(start.size()))) {
    refuse(option_, path, "a file that can be read");
  }
  try {
    header_ = parse_npy(start, file_bytes);
  } catch (const Failure& failure) {
    refuse(option_ + " = " + path + ": " + failure.what());
  }
}

void NpyReader::read(const Sink& sink) {
  constexpr int64_t kPiece = 1 << 18;  // elements: large enough for the disk, small for the cache
  const auto bytes = static_cast<int64_t>(header_.file_element_bytes());
  const int64_t length = std::min(kPiece, header_.count);
  std::vector<char> piece(static_cast<std::size_t>(length * bytes));
  std::vector<double> integers(header_.integer.empty() ? 0 : static_cast<std::size_t>(length));
  file_.clear();
  file_.seekg(static_cast<std::streamoff>(header_.data_offset));
  for (int64_t first = 0; first < header_.count; first += kPiece) {
    const int64_t count = std::min(kPiece, header_.count - first);
    if (!file_.read(piece.data(), count * bytes)) {
      refuse(option_ + " = " + path_ + ": its data cannot be read to the end");
    }
    if (header_.integer.empty()) {
      sink(first, count, piece.data());
    } else {
      widen_integers(header_.integer, piece.data(), count, integers.data());
      sink(first, count, integers.data());
    }
  }
}

void NpyReader::read_to(const Grid& grid, tconv_dtype dtype, void* to) {
  Grid order = grid;
  if (header_.fortran_order) {
    std::ranges::reverse(order.shape);
    std::ranges::reverse(order.strides);
  }
  read([&](int64_t first, int64_t count, const void* elements) {
    scatter(header_.dtype, elements, first, count, dtype, to, order);
  });
}

std::string npy_header(tconv_dtype dtype, const std::vector<int64_t>& shape) {
  std::string text = std::string("{'descr': '") +
                     (dtype == TCONV_F16   ? "<f2"
                      : dtype == TCONV_F64 ? "<f8"
                                           : "<f4") +
                     "', 'fortran_order': False, 'shape': (";
  for (const int64_t extent : shape) text += std::to_string(extent) + ", ";
  if (shape.size() > 1) text.resize(text.size() - 2);
  text += "), }";
  constexpr std::size_t kPreamble = 10, kAlignment = 64;
  const std::size_t unpadded = kPreamble + text.size() + 1;
  text.append((kAlignment - unpadded % kAlignment) % kAlignment, ' ');
  text += '\n';
  std::string result(kMagic);
  result += {'\1', '\0', static_cast<char>(text.size() & 255), static_cast<char>(text.size() >> 8)};
  return result + text;
}

}  // namespace tconv::cli
