/* SPDX-License-Identifier: Apache-2.0
 *
 * tconv_c_problem.h: the request and what is known of it. Part of tconv_c.h. */
#ifndef TCONV_TCONV_C_PROBLEM_H_
#define TCONV_TCONV_C_PROBLEM_H_

#include "tconv_c_status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t tconv_dtype;
enum {
  TCONV_DTYPE_DEFAULT = 0, /**< f32; for output, bias: the type of the input */
  TCONV_F16 = 1,
  TCONV_BF16 = 2,
  TCONV_F32 = 3,
  TCONV_F64 = 4
};

/** Memory order of input, residual and output. */
typedef int32_t tconv_layout;
enum { TCONV_LAYOUT_DEFAULT = 0 /**< NHWC */, TCONV_NHWC = 1, TCONV_NCHW = 2 };

/** Memory order of the filters, dense. With g groups, co is out_c / g and ci counts all groups'
 *  input channels: group i uses input channels [i*in_c/g, (i+1)*in_c/g), output channels likewise.
 */
typedef int32_t tconv_filter_order;
enum {
  TCONV_FILTER_ORDER_DEFAULT = 0, /**< HWOI */
  TCONV_HWOI = 1,                 /**< [kh][kw][co][ci], TensorFlow */
  TCONV_IHWO = 2,                 /**< [ci][kh][kw][co], PyTorch channels_last */
  TCONV_IOHW = 3,                 /**< [ci][co][kh][kw], PyTorch contiguous, ONNX */
  TCONV_OHWI = 4                  /**< [co][kh][kw][ci], TFLite, WebNN, Core ML */
};

typedef int32_t tconv_activation;
enum {
  TCONV_IDENTITY = 0,
  TCONV_RELU = 1,
  TCONV_LEAKY_RELU = 2, /**< x < 0 ? activation_a * x : x; activation_a is not 0 */
  TCONV_PRELU = 3,      /**< leaky_relu with one slope per output channel, tconv_tensors.slopes (one
                             slope for all that is known to the host: leaky_relu) */
  TCONV_CLAMP = 4,      /**< min(max(x, activation_a), activation_b), activation_a < activation_b */
  TCONV_SIGMOID = 5,
  TCONV_TANH = 6,
  TCONV_GELU = 7,      /**< the erf form */
  TCONV_GELU_TANH = 8, /**< the tanh approximation */
  TCONV_SILU = 9
};

/** One spatial axis, in elements. Every value is literal. Outputs that no tap reaches are written
 *  too (with the epilogue of zero), so `out` may be any size >= 0; pad_begin may be negative. */
typedef struct tconv_axis {
  int64_t in;        /**< input extent, >= 0 */
  int64_t kernel;    /**< taps, >= 1 */
  int64_t stride;    /**< >= 1 */
  int64_t dilation;  /**< >= 1 */
  int64_t pad_begin; /**< how far the output starts after the first tap of the first input */
  int64_t out;       /**< output extent, >= 0 */
} tconv_axis;

/** Element strides of a 4-D tensor; all zero: dense. The innermost of the layout (c for NHWC, w for
 *  NCHW) must be 1. No two elements of the output may share an address; of input and residual they
 *  may: a stride of 0 repeats a tensor along a dimension. */
typedef struct tconv_strides {
  int64_t n, h, w, c;
} tconv_strides;

/** The request, as plain data.
 *    input    [batch, h.in, w.in, in_c]     (NCHW: [batch, in_c, h.in, w.in])
 *    filters  see tconv_filter_order
 *    output   [batch, h.out, w.out, out_c]  (NCHW likewise)
 *    output = round(activation(sum + bias + residual)), rounded once */
typedef struct tconv_problem_desc {
  size_t struct_size;
  const char* name; /**< optional label of log lines, profiler ranges and test names; copied */
  int64_t batch, in_c, out_c;
  int64_t groups; /**< 0: 1 */
  tconv_axis h, w;
  tconv_dtype dtype;        /**< of input and filters */
  tconv_dtype output_dtype; /**< of output and residual; f64 exactly if dtype is f64 */
  tconv_layout layout;
  tconv_filter_order filter_order;
  tconv_strides input_strides, output_strides;
  tconv_strides residual_strides; /**< all zero: the output's */
  int32_t has_bias;               /**< nonzero: tensors.bias [out_c] is added */
  tconv_dtype bias_dtype;         /**< the input's type or f32 */
  int32_t has_residual;           /**< nonzero: tensors.residual is added */
  tconv_activation activation;
  double activation_a, activation_b; /**< see tconv_activation */
  int32_t alignment; /**< bytes that input, filters, residual and output are aligned to; a power of
                          two from the element's size to 256; 0: 16 */
} tconv_problem_desc;

/** A validated, immutable request. */
typedef struct tconv_problem tconv_problem;

/** Validates `desc`. TCONV_INVALID names field, value and what would be legal. */
TCONV_API tconv_status tconv_problem_create(const tconv_problem_desc* desc,
                                            tconv_problem** problem);
/** The problem that `key` (what tconv_problem_key gave) describes. */
TCONV_API tconv_status tconv_problem_from_key(const char* key, tconv_problem** problem);
TCONV_API void tconv_problem_destroy(tconv_problem* problem);

/** One line that says everything about the problem but its name: test name, log line, tuning key.
 *  Owned by the problem. */
TCONV_API const char* tconv_problem_key(const tconv_problem* problem);

/** What the problem was made from, defaults filled in; struct_size must be set. `name` is owned by
 *  the problem. */
TCONV_API tconv_status tconv_problem_get_desc(const tconv_problem* problem,
                                              tconv_problem_desc* desc);

/** The two numbers of every roofline, and the least buffer sizes. */
typedef struct tconv_problem_info {
  size_t struct_size;
  double useful_macs; /**< multiply-adds whose result reaches an output */
  double least_bytes; /**< input, filters, bias, residual, output, each moved once */
  int64_t input_bytes, filter_bytes, bias_bytes, slopes_bytes, residual_bytes, output_bytes;
} tconv_problem_info;
TCONV_API tconv_status tconv_problem_get_info(const tconv_problem* problem,
                                              tconv_problem_info* info);

typedef int32_t tconv_text_format;
enum { TCONV_TEXT = 0, TCONV_JSON = 1 };

/** The problem as TensorFlow, PyTorch and ONNX say it (or why one of them cannot), and its window
 *  classes per axis. */
TCONV_API tconv_status tconv_problem_describe(const tconv_problem* problem,
                                              tconv_text_format format, char** text);

#ifdef __cplusplus
}
#endif
#endif /* TCONV_TCONV_C_PROBLEM_H_ */
