// SPDX-License-Identifier: Apache-2.0
// types.h: the request, as plain data: what tconv.h hands to the library, and what the library
// itself calculates with. Names and numbers are those of tconv_c.h, where each is explained.
#ifndef TCONV_TYPES_H_
#define TCONV_TYPES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tconv {

enum class DType : int32_t {
  same = 0,  ///< of output and bias: the input's; of the input: f32
  f16 = 1,
  bf16 = 2,
  f32 = 3,
  f64 = 4,
};

enum class Layout : int32_t { nhwc = 1, nchw = 2 };
enum class FilterOrder : int32_t { hwoi = 1, ihwo = 2, iohw = 3, ohwi = 4 };
enum class Activation : int32_t {
  identity,
  relu,
  leaky_relu,
  prelu,
  clamp,
  sigmoid,
  tanh,
  gelu,
  gelu_tanh,
  silu,
};

enum class Device : int32_t { automatic = 0, cpu = 1, cuda = 2 };
/// What f32 multiply-adds may be made of.
enum class Math : int32_t { strict = 0, tf32 = 1, tf32x3 = 2 };

/// One spatial axis, in elements. Input i meets output p through tap r where
///     p = i*stride - pad_begin + r*dilation.
/// Kernels use a narrower Index where it is proven to hold everything.
template <typename Index>
struct BasicAxis {
  Index in = 1, kernel = 1, stride = 1, dilation = 1, pad_begin = 0, out = 1;

  /// The extent of a dilated filter.
  constexpr Index keff() const { return (kernel - 1) * dilation + 1; }
  /// The outputs that some tap of some input can reach, before padding cuts them.
  constexpr Index full() const { return (in - 1) * stride + keff(); }
  /// What is cut at the end; negative where the output goes on past the last tap.
  constexpr Index pad_end() const { return full() - pad_begin - out; }

  friend constexpr bool operator==(const BasicAxis& a, const BasicAxis& b) {
    return a.in == b.in && a.kernel == b.kernel && a.stride == b.stride &&
           a.dilation == b.dilation && a.pad_begin == b.pad_begin && a.out == b.out;
  }
};
using Axis = BasicAxis<int64_t>;

/// Element strides of a 4-D tensor; all zero: dense. Input and residual may be expanded: stride 0.
struct Strides {
  int64_t n = 0, h = 0, w = 0, c = 0;

  constexpr bool given() const { return n != 0 || h != 0 || w != 0 || c != 0; }
  constexpr int64_t offset(int64_t in, int64_t ih, int64_t iw, int64_t ic) const {
    return in * n + ih * h + iw * w + ic * c;
  }
  friend constexpr bool operator==(const Strides& a, const Strides& b) {
    return a.n == b.n && a.h == b.h && a.w == b.w && a.c == b.c;
  }
};

/// What no convention decides: types, epilogue, memory.
struct Details {
  std::string name;          ///< labels log lines, profiler ranges, test names
  DType dtype = DType::f32;  ///< of input and filters
  DType output_dtype = DType::same, bias_dtype = DType::same;  ///< bias: the input's type or f32
  bool has_bias = false, has_residual = false;  ///< tensors.bias [out_c], tensors.residual
  Activation activation = Activation::identity;
  double activation_a = 0, activation_b = 0;  ///< leaky_relu's slope, clamp's ends: theirs to give
  Strides input_strides, output_strides;
  Strides residual_strides;  ///< all zero: the output's
  int32_t alignment = 16;    ///< bytes, of input, filters, residual, output
};

/// The request. See tconv_problem_desc.
struct ProblemDesc : Details {
  int64_t batch = 1, in_c = 1, out_c = 1;
  int64_t groups = 1;  ///< 0: 1
  Axis h, w;
  Layout layout = Layout::nhwc;
  FilterOrder filter_order = FilterOrder::hwoi;
};

using Numbers = std::vector<int64_t>;

/// tf.nn.conv2d_transpose; with filters of 3 numbers tf.nn.conv1d_transpose. See
/// tconv_tensorflow_args.
struct TensorFlowArgs : Details {
  Numbers input_shape, filter_shape;
  std::optional<Numbers> output_shape;  ///< absent: computed
  Numbers strides = {1};
  std::optional<Numbers> dilations;
  std::string padding = "SAME";  ///< or "VALID", "EXPLICIT"
  Numbers explicit_paddings;     ///< 4 (top, bottom, left, right) or 8; one axis: 2 or 6
  std::string data_format;       ///< "" or "NHWC" (one axis: "NWC"), or "NCHW" ("NCW")
  int64_t groups = 0;            ///< 0: not given
};

/// torch.nn.functional.conv_transpose2d; with a weight of 3 numbers conv_transpose1d; an input of
/// one number less than the weight has no batch. See tconv_pytorch_args.
struct PyTorchArgs : Details {
  Numbers input_shape, weight_shape;
  std::optional<Numbers> stride, padding, output_padding, dilation;
  std::optional<Numbers> output_size;        ///< of a module's forward; in place of output_padding
  int64_t groups = 0;                        ///< 0: not given
  std::string memory_format = "contiguous";  ///< or "channels_last"
};

/// ONNX ConvTranspose, opset 11 and later, of rank 3 or 4. See tconv_onnx_args.
struct OnnxArgs : Details {
  Numbers x_shape, w_shape;
  std::optional<Numbers> strides, pads, output_padding, output_shape, dilations;
  std::string auto_pad = "NOTSET";
  int64_t group = 0;  ///< 0: not given
};

}  // namespace tconv

#endif  // TCONV_TYPES_H_
