// SPDX-License-Identifier: Apache-2.0
//
// arrays.h: arrays of any framework as the library takes them, and numbers as Python writes them.
#ifndef TCONV_PYTHON_SRC_ARRAYS_H_
#define TCONV_PYTHON_SRC_ARRAYS_H_

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>
#include <tconv/tconv.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace tconv::python {

namespace nb = nanobind;

/// Where the dimensions of an array stand in its shape; -1: it has none of that name (size 1).
struct Places {
  int n = -1, h = -1, w = -1, c = -1;
  int rank() const { return (n >= 0) + (h >= 0) + (w >= 0) + (c >= 0); }
};
/// `channels_first`: N C H W, else N H W C; without a height or a batch where they are not there.
Places places(bool channels_first, int axes, bool batched);

/// One array, alive as long as this. What it refuses is a TypeError or ValueError with the field.
class Operand {
 public:
  Operand() = default;
  /// `object` speaks DLPack or the buffer protocol. `bf16`: 16-bit unsigned integers are bf16 bits.
  Operand(nb::handle object, const char* field, bool bf16, bool writable = false);

  bool given() const { return array_.is_valid(); }
  const Numbers& shape() const { return shape_; }
  DType dtype() const { return dtype_; }
  void* data() const { return data_; }
  bool on_cuda() const;
  int device_type() const { return array_.device_type(); }
  int device_id() const { return array_.device_id(); }

  /// Refuses another device than `other`'s.
  void check_beside(const Operand& other) const;
  void check_dtype(DType wanted, const char* whose) const;
  void check_shape(const Numbers& wanted) const;

  /// The element strides in memory of `layout`; zeros where it is dense; absent where the library
  /// cannot read it so (the innermost stride is not 1, one is negative, or elements are
  /// misaligned).
  std::optional<Strides> strides(const Places& places, Layout layout) const;
  /// The order of its dense memory, for filters whose shape is written in the order `own`.
  std::optional<FilterOrder> filter_order(FilterOrder own) const;
  bool dense() const;
  bool aligned(std::size_t bytes) const {
    return reinterpret_cast<std::uintptr_t>(data_) % bytes == 0;
  }
  /// The element strides of dense memory of `layout` that has this shape.
  Strides dense_strides(const Places& places, Layout layout) const;
  /// Copies to dense memory: of the shape's own order, of `layout`, or of filters written in the
  /// order `own` to the order `wanted`. Refuses CUDA's memory.
  void copy_dense();
  void copy_dense(const Places& places, Layout layout);
  void copy_dense(FilterOrder own, FilterOrder wanted);

 private:
  bool dense_by(const int* order, int rank) const;
  void copy_by(const int* order, int rank);

  const char* field_ = "";
  nb::ndarray<nb::ro> array_;
  Numbers shape_, strides_;
  DType dtype_ = DType::same;
  void* data_ = nullptr;
  std::shared_ptr<void> copy_;
};

std::size_t element_bytes(DType dtype);
const char* name_of(DType dtype);
/// `bf16`: as 16-bit unsigned integers.
nb::dlpack::dtype dlpack_type(DType dtype, bool bf16);
std::string text_of(const Numbers& numbers);

/// An int, or whatever has ints one after the other: a list, a shape, a NumPy array, a tensor.
Numbers numbers_of(nb::handle object, const char* field);
std::optional<Numbers> optional_numbers(nb::handle object, const char* field);
int64_t number_of(nb::handle object, const char* field);
std::string word_of(nb::handle object, const char* field);
/// TensorFlow's `padding` as a list: one pair for each of `rank` dimensions.
Numbers pairs_of(nb::handle object, const char* field, std::size_t rank);

}  // namespace tconv::python

#endif  // TCONV_PYTHON_SRC_ARRAYS_H_
