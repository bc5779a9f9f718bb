// SPDX-License-Identifier: Apache-2.0
// test_npy.cpp: the reader and writer of .npy files, element conversion, and output files.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>
#include <string>

#include "src/cli/convert.h"
#include "src/cli/failure.h"
#include "src/cli/npy.h"
#include "src/cli/output_file.h"
#include "src/host/problem/dtype.h"

namespace tconv::cli {
namespace {

/// numpy.save of numpy.arange(6, dtype='f4').reshape(2, 3), NumPy 2.4, byte for byte.
const std::string kNumPyFile =
    std::string("\x93NUMPY\x01\x00v\x00", 10) +
    "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }" + std::string(58, ' ') + "\n" +
    std::string("\0\0\0\0\0\0\x80\x3f\0\0\0\x40\0\0\x40\x40\0\0\x80\x40\0\0\xa0\x40", 24);

std::string file_with(const std::string& dictionary, std::size_t data_bytes, int version = 1) {
  std::string file = "\x93NUMPY";
  file += {static_cast<char>(version), '\0', static_cast<char>(dictionary.size() & 255),
           static_cast<char>(dictionary.size() >> 8)};
  if (version > 1) file += std::string(2, '\0');
  return file + dictionary + std::string(data_bytes, '\1');
}
std::string header_text(const std::string& descr, const std::string& shape,
                        const std::string& fortran = "False") {
  return "{'descr': " + descr + ", 'fortran_order': " + fortran + ", 'shape': " + shape + ", }";
}

NpyHeader parse(const std::string& file) {
  return parse_npy(std::as_bytes(std::span(file)), file.size());
}
/// The message of the refusal; "" if there is none.
std::string refusal(const std::string& file) {
  try {
    parse(file);
    return "";
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.exit_code(), TCONV_INVALID);
    return failure.what();
  }
}

class TemporaryFolder {
 public:
  TemporaryFolder()
      : path_(std::filesystem::temp_directory_path() /
              ("tconv_test_npy_" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  std::string file(const std::string& name) const { return (path_ / name).string(); }
  std::size_t count() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  std::filesystem::path path_;
};

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}
std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(NpyHeader, ReadsWhatNumPyWrites) {
  const NpyHeader header = parse(kNumPyFile);
  EXPECT_EQ(header.dtype, TCONV_F32);
  EXPECT_EQ(header.shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(header.count, 6);
  EXPECT_EQ(header.data_offset, 128u);
}

TEST(NpyHeader, IsWrittenAsNumPyDoes) {
  EXPECT_EQ(npy_header(TCONV_F32, {2, 3}), kNumPyFile.substr(0, 128));
}

TEST(NpyHeader, TakesTypesVersionsAndShapes) {
  EXPECT_EQ(parse(file_with(header_text("'<f2'", "(3,)"), 6)).dtype, TCONV_F16);
  EXPECT_EQ(parse(file_with(header_text("\"<f8\"", "(3,)"), 24)).dtype, TCONV_F64);
  for (const int version : {1, 2, 3}) {
    EXPECT_EQ(parse(file_with(header_text("'<f4'", "(1, 2, 3, 4)"), 96, version)).count, 24);
  }
  EXPECT_EQ(parse(file_with(header_text("'<f4'", "()"), 4)).count, 1);  // a scalar
  EXPECT_EQ(parse(file_with(header_text("'<f4'", "(5, 0)"), 0)).count, 0);
  EXPECT_EQ(parse(file_with(header_text("'<f4'", "(9223372036854775807, 3, 0)"), 0)).count, 0);
  EXPECT_FALSE(parse(file_with(header_text("'<f4'", "(1, 3, 1)"), 12)).fortran_order);
  EXPECT_TRUE(parse(file_with(header_text("'<f4'", "(2, 3)", "True"), 24)).fortran_order);
  for (const char* bf16 : {"'<V2'", "'|V2'"}) {
    EXPECT_EQ(parse(file_with(header_text(bf16, "(3,)"), 6)).dtype, TCONV_BF16);
  }
  const std::pair<const char*, std::size_t> integers[] = {{"|b1", 1}, {"|i1", 1}, {"|u1", 1},
                                                          {"<i2", 2}, {"<u4", 4}, {"<i8", 8}};
  for (const auto& [type, bytes] : integers) {
    const std::string quoted = "'" + std::string(type) + "'";
    const NpyHeader header = parse(file_with(header_text(quoted, "(3,)"), 3 * bytes));
    EXPECT_EQ(header.integer, type);
    EXPECT_EQ(header.file_element_bytes(), bytes);
    EXPECT_EQ(header.dtype, TCONV_F64);
  }
}

TEST(NpyHeader, RefusesInWords) {
  const auto expect = [](const std::string& file, const char* words) {
    const std::string message = refusal(file);
    EXPECT_NE(message.find(words), std::string::npos) << message;
  };
  const std::string good = header_text("'<f4'", "(2, 3)");
  expect("", "not a .npy file");
  expect("PK\x03\x04 is a zip file", "not a .npy file");
  expect(kNumPyFile.substr(0, 11), "truncated");
  expect(kNumPyFile.substr(0, 127), "truncated");
  expect(kNumPyFile.substr(0, 151), "needs 24 bytes of data, but it has 23");
  expect(kNumPyFile + "x", "too long");
  expect(file_with(good, 24, 4), "version is 4.0");
  expect(file_with(header_text("'>f4'", "(2, 3)"), 24), "big-endian");
  expect(file_with(header_text("'>i4'", "(2, 3)"), 24), "big-endian");
  for (const char* type : {"'<f1'", "'<c8'", "'<V4'", "'<i3'", "'<m8'", "'|S2'", "'<i16'", "''"}) {
    expect(file_with(header_text(type, "(2, 3)"), 24), "must be '<f2', '<f4', '<f8'");
  }
  expect(file_with(header_text("[('a', '<f4')]", "(2, 3)"), 24), "structures");
  expect(file_with(header_text("'<f4'", "(4294967296, 4294967296)"), 24), "fit 64 bits");
  expect(file_with(header_text("'<f4'", "(2305843009213693951,)"), 24),
         "needs 9223372036854775804 bytes");
  expect(file_with(header_text("'<f8'", "(9223372036854775807,)"), 24), "bytes than fit 64 bits");
  expect(file_with(header_text("'<f4'", "(18446744073709551616,)"), 24), "does not fit");
  expect(file_with(header_text("'<f4'", "(-2, 3)"), 24), "whole numbers");
  expect(file_with(header_text("'<f4'", "(2 3)"), 24), "expected ')'");
  expect(file_with(header_text("'<f4'", "(2, 3"), 24), "whole numbers");
  expect(file_with(header_text("<f4", "(2, 3)"), 24), "quotes");
  expect(file_with(header_text("'<f4", "(2, 3)"), 24), "expected");
  expect(file_with(header_text("'<f4'", "(2, 3)", "Maybe"), 24), "True or False");
  expect(file_with("{'descr': '<f4', 'fortran_order': False, }", 24), "missing");
  expect(file_with("{'descr': '<f4', 'descr': '<f4', }", 24), "repeated key 'descr'");
  expect(file_with("{'colour': 'red', }", 24), "unknown");
  expect(file_with(good + "x", 24), "after the closing brace");
  expect(file_with("", 24), "expected '{'");
}

TEST(NpyHeader, RefusesEveryTruncation) {
  for (std::size_t size = 0; size < kNumPyFile.size(); ++size) {
    EXPECT_NE(refusal(kNumPyFile.substr(0, size)), "") << size;
  }
}

TEST(NpyHeader, RefusesAHeaderLongerThanWhatIsRead) {
  const std::string file = file_with(header_text("'<f4'", "(1,)") + std::string(500, ' '), 4);
  EXPECT_EQ(refusal(file), "");
  EXPECT_THROW(parse_npy(std::as_bytes(std::span(file)).first(300), file.size()), Failure);
}

TEST(NpyReader, NamesOptionAndFile) {
  const TemporaryFolder folder;
  try {
    NpyReader("--input", folder.file("absent.npy"));
    FAIL();
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.what(),
              "--input = " + folder.file("absent.npy") + ", but it must be a file that exists");
  }
  write_file(folder.file("broken.npy"), kNumPyFile.substr(0, 140));
  try {
    NpyReader("--input", folder.file("broken.npy"));
    FAIL();
  } catch (const Failure& failure) {
    const std::string message = failure.what();
    EXPECT_EQ(message.find("--input = " + folder.file("broken.npy") + ": truncated"), 0u);
  }
  EXPECT_THROW(NpyReader("--input", folder.file("")), Failure);  // a folder
}

TEST(NpyReader, ReadsInPieces) {
  const TemporaryFolder folder;
  const int64_t count = 600000;  // more than two pieces
  std::string data(static_cast<std::size_t>(count) * 4, '\0');
  for (int64_t i = 0; i < count; ++i) {
    const auto value = static_cast<float>(i);
    std::memcpy(&data[static_cast<std::size_t>(i) * 4], &value, 4);
  }
  write_file(folder.file("x.npy"), npy_header(TCONV_F32, {count}) + data);
  NpyReader reader("--input", folder.file("x.npy"));
  int64_t expected = 0, pieces = 0;
  reader.read([&](int64_t first, int64_t n, const void* elements) {
    ASSERT_EQ(first, expected);
    for (int64_t i = 0; i < n; ++i, ++expected) {
      ASSERT_EQ(static_cast<const float*>(elements)[i], static_cast<float>(expected));
    }
    ++pieces;
  });
  EXPECT_EQ(expected, count);
  EXPECT_EQ(pieces, 3);
}

TEST(NpyReader, ReadsFortranOrderAndIntegers) {
  const TemporaryFolder folder;
  // [[0, -2, 4], [-6, 8, -10]] column by column, as int16.
  const std::vector<int16_t> data = {0, -6, -2, 8, 4, -10};
  const std::string header = header_text("'<i2'", "(2, 3)", "True");
  const std::string start = file_with(header, 0);
  write_file(folder.file("x.npy"),
             start + std::string(reinterpret_cast<const char*>(data.data()), 12));
  std::vector<float> rows(6);
  NpyReader("--input", folder.file("x.npy")).read_to({{2, 3}, {3, 1}}, TCONV_F32, rows.data());
  EXPECT_EQ(rows, (std::vector<float>{0, -2, 4, -6, 8, -10}));
  std::vector<double> columns(6);  // onto a grid that is not dense in the file's order
  NpyReader("--input", folder.file("x.npy")).read_to({{2, 3}, {1, 2}}, TCONV_F64, columns.data());
  EXPECT_EQ(columns, (std::vector<double>{0, -6, -2, 8, 4, -10}));
}

TEST(NpyReader, WidensEveryIntegerType) {
  const TemporaryFolder folder;
  const auto widened = [&](const char* type, const std::string& bytes) {
    write_file(folder.file("x.npy"), file_with(header_text(type, "()"), 0) + bytes);
    double value = 0;
    NpyReader("--input", folder.file("x.npy")).read_to({{}, {}}, TCONV_F64, &value);
    return value;
  };
  EXPECT_EQ(widened("'|b1'", "\1"), 1);
  EXPECT_EQ(widened("'|i1'", "\xfe"), -2);
  EXPECT_EQ(widened("'|u1'", "\xfe"), 254);
  EXPECT_EQ(widened("'<i2'", "\xfe\xff"), -2);
  EXPECT_EQ(widened("'<u2'", "\xfe\xff"), 65534);
  EXPECT_EQ(widened("'<i4'", "\xfe\xff\xff\xff"), -2);
  EXPECT_EQ(widened("'<u4'", "\xfe\xff\xff\xff"), 4294967294.0);
  EXPECT_EQ(widened("'<i8'", "\xfe\xff\xff\xff\xff\xff\xff\xff"), -2);
  EXPECT_EQ(widened("'<u8'", "\xff\xff\xff\xff\xff\xff\xff\xff"), 0x1p64);
}

TEST(NpyReader, ReadsWhatMlDtypesWrites) {
  const TemporaryFolder folder;
  write_file(folder.file("x.npy"),
             file_with(header_text("'<V2'", "(2,)"), 0) + std::string("\x80\x3f\x00\xc0", 4));
  std::vector<float> values(2);
  NpyReader("--input", folder.file("x.npy")).read_to({{2}, {1}}, TCONV_F32, values.data());
  EXPECT_EQ(values, (std::vector<float>{1, -2}));
}

// The program has its own conversions, because it uses the library from outside; the library's are
// another implementation of the same rounding.
TEST(Convert, RoundsLikeTheLibrary) {
  std::mt19937_64 random(1);
  std::vector<double> values = {0.0,
                                -0.0,
                                65504,
                                65519.999,
                                65520,
                                1e300,
                                -1e300,
                                0x1p-24,
                                0x1p-25,
                                0x1.000001p-25,
                                0x1p-133,
                                0x1p-134,
                                1e-310,
                                3.3895e38,
                                3.4e38,
                                std::numeric_limits<double>::infinity(),
                                -std::numeric_limits<double>::infinity()};
  for (int i = 0; i < 200000; ++i) {  // all exponents near those of the types, ties among them
    const double fraction = static_cast<double>(random() % 8192) / 4096 - 1;
    values.push_back(std::ldexp(fraction, static_cast<int>(random() % 320) - 160));
    values.push_back(
        std::ldexp(static_cast<double>(random() >> 11), static_cast<int>(random() % 90) - 95));
  }
  const auto count = static_cast<int64_t>(values.size());
  for (const tconv_dtype dtype : {TCONV_F16, TCONV_BF16}) {
    std::vector<uint16_t> got(values.size()), wanted(values.size());
    scatter(TCONV_F64, values.data(), 0, count, dtype, got.data(), {{count}, {1}});
    for (int64_t i = 0; i < count; ++i) {
      host::store(static_cast<host::DType>(dtype), wanted.data(), i,
                  values[static_cast<std::size_t>(i)]);
    }
    for (std::size_t i = 0; i < got.size(); ++i) {
      ASSERT_EQ(got[i], wanted[i]) << dtype_name(dtype) << " of " << values[i];
    }
  }
}

TEST(Convert, EverySixteenBitPatternSurvivesF32AndF64) {
  std::vector<uint16_t> patterns(65536);
  for (std::size_t i = 0; i < patterns.size(); ++i) patterns[i] = static_cast<uint16_t>(i);
  const Grid grid{{65536}, {1}};
  for (const tconv_dtype dtype : {TCONV_F16, TCONV_BF16}) {
    for (const tconv_dtype wide : {TCONV_F32, TCONV_F64}) {
      std::vector<double> memory(65536);
      std::vector<uint16_t> back(65536);
      gather(dtype, patterns.data(), grid, 0, 65536, wide, memory.data());
      for (int64_t i = 0; i < 65536; ++i) {
        const double value = host::load(static_cast<host::DType>(wide), memory.data(), i);
        const double wanted = host::load(static_cast<host::DType>(dtype), patterns.data(), i);
        ASSERT_TRUE(value == wanted || (std::isnan(value) && std::isnan(wanted))) << i;
      }
      scatter(wide, memory.data(), 0, 65536, dtype, back.data(), grid);
      for (std::size_t i = 0; i < 65536; ++i) {
        const double x = host::load(static_cast<host::DType>(dtype), &patterns[i], 0);
        ASSERT_TRUE(std::isnan(x) || back[i] == patterns[i]) << i;
      }
    }
  }
}

TEST(Convert, ScattersAndGathersAcrossOrders) {
  // A file [n=2, c=3, h=4, w=5] in memory as NHWC with two unused elements after each pixel.
  const Grid grid{{2, 3, 4, 5}, {4 * 5 * 5, 1, 5 * 5, 5}};
  EXPECT_FALSE(grid.dense());
  std::vector<float> file(120);
  for (std::size_t i = 0; i < file.size(); ++i) file[i] = static_cast<float>(i);
  std::vector<double> memory(200, -1);
  scatter(TCONV_F32, file.data(), 0, 50, TCONV_F64, memory.data(), grid);
  scatter(TCONV_F32, &file[50], 50, 70, TCONV_F64, memory.data(), grid);
  for (int n = 0; n < 2; ++n)
    for (int h = 0; h < 4; ++h)
      for (int w = 0; w < 5; ++w)
        for (int c = 0; c < 5; ++c) {
          const auto place = static_cast<std::size_t>(((n * 4 + h) * 5 + w) * 5 + c);
          EXPECT_EQ(memory[place], c < 3 ? ((n * 3 + c) * 4 + h) * 5 + w : -1);
        }
  std::vector<float> back(120);
  gather(TCONV_F64, memory.data(), grid, 0, 120, TCONV_F32, back.data());
  EXPECT_EQ(back, file);
}

TEST(OutputFile, ExistsWholeOrNotAtAll) {
  const TemporaryFolder folder;
  {
    OutputFile file(folder.file("y.npy"));
    file.write("half", 4);
  }
  EXPECT_EQ(folder.count(), 0u);
  write_file(folder.file("y.npy"), "old");
  {
    OutputFile file(folder.file("y.npy"));
    file.write("half", 4);
  }
  EXPECT_EQ(read_file(folder.file("y.npy")), "old");
  OutputFile file(folder.file("y.npy"));
  file.write("new", 3);
  file.commit();
  EXPECT_EQ(read_file(folder.file("y.npy")), "new");
  EXPECT_EQ(folder.count(), 1u);
}

TEST(OutputFile, SaysWhatCannotBeWritten) {
  const TemporaryFolder folder;
  for (const std::string& path :
       {folder.file("absent/y.npy"), folder.file(""), std::string("/dev/full")}) {
    try {
      OutputFile file(path);
      const std::string data(1 << 20, 'x');
      file.write(data.data(), data.size());
      file.commit();
      FAIL() << path;
    } catch (const Failure& failure) {
      EXPECT_EQ(failure.exit_code(), TCONV_DEVICE_ERROR);
      EXPECT_NE(std::string(failure.what()).find(path), std::string::npos) << failure.what();
    }
  }
  EXPECT_EQ(folder.count(), 0u);
}

TEST(OutputFile, WritesBf16AsF32) {
  const TemporaryFolder folder;
  const std::vector<uint16_t> values = {0x3f80, 0xc000};  // 1, -2
  OutputFile file(folder.file("y.npy"));
  write_npy(file, TCONV_BF16, values.data(), {{1, 2}, {2, 1}});
  file.commit();
  NpyReader reader("--input", folder.file("y.npy"));
  EXPECT_EQ(reader.header().dtype, TCONV_F32);
  EXPECT_EQ(reader.header().shape, (std::vector<int64_t>{1, 2}));
  reader.read([](int64_t, int64_t count, const void* elements) {
    ASSERT_EQ(count, 2);
    EXPECT_EQ(static_cast<const float*>(elements)[0], 1);
    EXPECT_EQ(static_cast<const float*>(elements)[1], -2);
  });
}

}  // namespace
}  // namespace tconv::cli
