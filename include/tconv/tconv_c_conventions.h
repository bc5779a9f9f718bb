/* SPDX-License-Identifier: Apache-2.0
 *
 * tconv_c_conventions.h: a framework's arguments -> tconv_problem_desc. Part of tconv_c.h. */
#ifndef TCONV_TCONV_C_CONVENTIONS_H_
#define TCONV_TCONV_C_CONVENTIONS_H_

#include "tconv_c_problem.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What is said with one spatial axis becomes a height of 1 (kernel, stride, output 1) and a width,
 *  what is said without a batch a batch of 1. In memory that is the same tensor.
 *
 *  Each sets batch, channels, groups, axes, layout and filter order of `desc` (whose struct_size
 *  must be set) and leaves the other fields alone; messages use the framework's argument names. */

/** tf.nn.conv2d_transpose; with filters of rank 3 tf.nn.conv1d_transpose: lists of 3 for 4, 2 for 4
 *  and 6 for 8, and 1 for 2. */
typedef struct tconv_tensorflow_args {
  size_t struct_size;
  const int64_t* input_shape; /**< in the order of data_format */
  int32_t input_rank;
  const int64_t* filter_shape; /**< [kh, kw, out_c / groups, in_c] or [kw, out_c / groups, in_c] */
  int32_t filter_rank;
  const int64_t* output_shape; /**< 4 in the order of data_format, or 2 (H, W); NULL: computed */
  int32_t output_shape_count;
  const int64_t* strides; /**< 1, 2 (H, W) or 4 in the order of data_format */
  int32_t strides_count;
  const int64_t* dilations; /**< like strides; NULL: 1 */
  int32_t dilations_count;
  const char* padding;              /**< "SAME" (NULL), "VALID" or "EXPLICIT" */
  const int64_t* explicit_paddings; /**< 4 (top, bottom, left, right) or 8 (begin and end of each
                                         dimension, in the order of data_format) */
  int32_t explicit_paddings_count;
  const char* data_format; /**< "NHWC" (NULL) or "NCHW"; with one axis "NWC" (NULL) or "NCW" */
  int64_t groups;          /**< 0: not given, and then the channels must match */
} tconv_tensorflow_args;

/** torch.nn.functional.conv_transpose2d; with a weight of rank 3 conv_transpose1d, whose lists have
 * 1 number. The weight's rank decides: an input of one dimension less has no batch. */
typedef struct tconv_pytorch_args {
  size_t struct_size;
  const int64_t* input_shape; /**< [N, C, H, W], [C, H, W], [N, C, L] or [C, L], whatever the memory
                                   format */
  int32_t input_rank;
  const int64_t* weight_shape; /**< [in_c, out_c / groups, kh, kw] or [in_c, out_c / groups, k] */
  int32_t weight_rank;
  const int64_t* stride; /**< 1 or 2; NULL: 1 */
  int32_t stride_count;
  const int64_t* padding; /**< 1 or 2; NULL: 0 */
  int32_t padding_count;
  const int64_t* output_padding; /**< 1 or 2; NULL: 0 */
  int32_t output_padding_count;
  const int64_t* dilation; /**< 1 or 2; NULL: 1 */
  int32_t dilation_count;
  int64_t groups;             /**< 0: not given, 1 */
  const char* memory_format;  /**< "contiguous" (NULL), or "channels_last": the channels are
                                 innermost,  whatever the rank */
  const int64_t* output_size; /**< what a module's forward takes: the size of each axis, or all of
                                 the output's dimensions, whose batch and channels are not looked
                                 at; NULL: not given. Given, it says output_padding in its place. */
  int32_t output_size_count;
} tconv_pytorch_args;

/** ONNX ConvTranspose, opset 11 and later; with W of rank 3 lists have half of the numbers. */
typedef struct tconv_onnx_args {
  size_t struct_size;
  const int64_t* x_shape; /**< [N, C, H, W] or [N, C, L] */
  int32_t x_rank;
  const int64_t* w_shape; /**< [C, M / group, kH, kW] or [C, M / group, kL] */
  int32_t w_rank;
  const int64_t* strides; /**< 2; NULL: 1 */
  int32_t strides_count;
  const int64_t* pads; /**< 4: h begin, w begin, h end, w end; NULL: 0 */
  int32_t pads_count;
  const int64_t* output_padding; /**< 2; NULL: 0 */
  int32_t output_padding_count;
  const int64_t*
      output_shape; /**< 2 (H, W) or 4 (N, M, H, W), with one axis 1 or 3; NULL: computed */
  int32_t output_shape_count;
  const int64_t* dilations; /**< 2; NULL: 1 */
  int32_t dilations_count;
  const char* auto_pad; /**< "NOTSET" (NULL), "SAME_UPPER", "SAME_LOWER", "VALID" */
  int64_t group;        /**< 0: not given, 1 */
} tconv_onnx_args;

TCONV_API tconv_status tconv_problem_desc_from_tensorflow(const tconv_tensorflow_args* args,
                                                          tconv_problem_desc* desc);
TCONV_API tconv_status tconv_problem_desc_from_pytorch(const tconv_pytorch_args* args,
                                                       tconv_problem_desc* desc);
TCONV_API tconv_status tconv_problem_desc_from_onnx(const tconv_onnx_args* args,
                                                    tconv_problem_desc* desc);

/** The output's shape with the original's rank, in its order: `rank` numbers of `shape` are set. */
TCONV_API tconv_status tconv_tensorflow_output_shape(const tconv_tensorflow_args* args,
                                                     int64_t shape[4], int32_t* rank);
TCONV_API tconv_status tconv_pytorch_output_shape(const tconv_pytorch_args* args, int64_t shape[4],
                                                  int32_t* rank);
TCONV_API tconv_status tconv_onnx_output_shape(const tconv_onnx_args* args, int64_t shape[4],
                                               int32_t* rank);

/** The legal output sizes, inclusive, {H, W}; output_shape, output_size and output_padding are
 *  ignored. With one axis H is 1. */
typedef struct tconv_output_sizes {
  size_t struct_size;
  int64_t low[2], high[2];
} tconv_output_sizes;
TCONV_API tconv_status tconv_tensorflow_output_sizes(const tconv_tensorflow_args* args,
                                                     tconv_output_sizes* sizes);
TCONV_API tconv_status tconv_pytorch_output_sizes(const tconv_pytorch_args* args,
                                                  tconv_output_sizes* sizes);
TCONV_API tconv_status tconv_onnx_output_sizes(const tconv_onnx_args* args,
                                               tconv_output_sizes* sizes);

#ifdef __cplusplus
}
#endif
#endif /* TCONV_TCONV_C_CONVENTIONS_H_ */
