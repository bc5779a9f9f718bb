/* SPDX-License-Identifier: Apache-2.0
 *
 * tconv_c.h: 2-D transposed convolution, the binary interface (C99).
 *
 *   output[n,p,q,k] += input[n,h,w,c] * filters[r,s,k,c]
 *       p = h*stride_h - pad_begin_h + r*dilation_h,   q likewise with w and s
 *
 *   n batch | h,w input pixel | p,q output pixel | r,s tap | c input channel | k output channel
 *
 * One way in: fill a tconv_problem_desc (or let a tconv_problem_desc_from_* translate a framework's
 * arguments), make a problem, make a plan, run it. tconv.h is a C++17 face over this file.
 *
 * Rules that hold for the whole file:
 *   - Every struct begins with struct_size; set it to sizeof the struct and the rest to zero.
 *   - Zero means "default" for enumerations, options, element strides and pointers. Sizes, strides
 *     and dilations of the operation are literal: a stride of 0 is refused, a batch of 0 is empty.
 *   - Functions return a tconv_status. On anything but TCONV_OK, tconv_last_error() gives one
 *     message (of this thread), no output argument has been written, and nothing was enqueued.
 *   - Handles are immutable and may be shared by threads. Texts are UTF-8, freed with
 *     tconv_text_free(). No function aborts, exits or prints, except as TCONV_LOG asks.
 */
#ifndef TCONV_TCONV_C_H_
#define TCONV_TCONV_C_H_

#include <stddef.h>
#include <stdint.h>

#define TCONV_VERSION_MAJOR 0
#define TCONV_VERSION_MINOR 1
#define TCONV_VERSION_PATCH 0

#if defined(_WIN32) || !defined(__GNUC__)
#define TCONV_API
#else
#define TCONV_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Status -------------------------------------------------------------------------------- */

/** What a call came to. The program `tconv` exits with the same numbers. */
typedef int32_t tconv_status;
enum {
  TCONV_OK = 0,          /**< done */
  TCONV_MISMATCH = 1,    /**< verification found a wrong element */
  TCONV_INVALID = 2,     /**< an argument is wrong; the message names field, value, what is legal */
  TCONV_UNSUPPORTED = 3, /**< valid, but no allowed kernel takes it; the message has each reason */
  TCONV_DEVICE_ERROR = 4 /**< device, memory or vendor library failed */
};

/** The message of the last failed call on this thread; "" if there was none. Owned by the library,
 *  valid until the next failing call on this thread. */
TCONV_API const char* tconv_last_error(void);

/** "0.1.0". */
TCONV_API const char* tconv_version(void);

/** Frees a text that a function of this file returned. NULL is allowed. */
TCONV_API void tconv_text_free(char* text);

/* ---- The problem --------------------------------------------------------------------------- */

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
  TCONV_IOHW = 3                  /**< [ci][co][kh][kw], PyTorch contiguous, ONNX */
};

typedef int32_t tconv_activation;
enum {
  TCONV_IDENTITY = 0,
  TCONV_RELU = 1,
  TCONV_LEAKY_RELU = 2, /**< x < 0 ? activation_a * x : x */
  TCONV_PRELU = 3,      /**< leaky_relu with one slope per output channel, tconv_tensors.slopes */
  TCONV_CLAMP = 4,      /**< min(max(x, activation_a), activation_b) */
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
 *  NCHW) must be 1 and no two elements may share an address. */
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

/* ---- Conventions: a framework's arguments -> tconv_problem_desc ------------------------------ */

/** Each sets batch, channels, groups, axes, layout and filter order of `desc` (whose struct_size
 *  must be set) and leaves the other fields alone; messages use the framework's argument names. */

/** tf.nn.conv2d_transpose. */
typedef struct tconv_tensorflow_args {
  size_t struct_size;
  const int64_t* input_shape; /**< in the order of data_format */
  int32_t input_rank;
  const int64_t* filter_shape; /**< [kh, kw, out_c / groups, in_c] */
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
  const char* data_format; /**< "NHWC" (NULL) or "NCHW" */
  int64_t groups;          /**< 0: not given, and then the channels must match */
} tconv_tensorflow_args;

/** torch.nn.functional.conv_transpose2d. */
typedef struct tconv_pytorch_args {
  size_t struct_size;
  const int64_t* input_shape; /**< [N, C, H, W], whatever the memory format */
  int32_t input_rank;
  const int64_t* weight_shape; /**< [in_c, out_c / groups, kh, kw] */
  int32_t weight_rank;
  const int64_t* stride; /**< 1 or 2; NULL: 1 */
  int32_t stride_count;
  const int64_t* padding; /**< 1 or 2; NULL: 0 */
  int32_t padding_count;
  const int64_t* output_padding; /**< 1 or 2; NULL: 0 */
  int32_t output_padding_count;
  const int64_t* dilation; /**< 1 or 2; NULL: 1 */
  int32_t dilation_count;
  int64_t groups;            /**< 0: not given, 1 */
  const char* memory_format; /**< "contiguous" (NULL) or "channels_last" */
} tconv_pytorch_args;

/** ONNX ConvTranspose, opset 11 and later. */
typedef struct tconv_onnx_args {
  size_t struct_size;
  const int64_t* x_shape; /**< [N, C, H, W] */
  int32_t x_rank;
  const int64_t* w_shape; /**< [C, M / group, kH, kW] */
  int32_t w_rank;
  const int64_t* strides; /**< 2; NULL: 1 */
  int32_t strides_count;
  const int64_t* pads; /**< 4: h begin, w begin, h end, w end; NULL: 0 */
  int32_t pads_count;
  const int64_t* output_padding; /**< 2; NULL: 0 */
  int32_t output_padding_count;
  const int64_t* output_shape; /**< 2 (H, W) or 4 (N, M, H, W); NULL: computed */
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

/** The legal output sizes, inclusive, {H, W}; output_shape and output_padding are ignored. */
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

/* ---- The plan ------------------------------------------------------------------------------ */

typedef int32_t tconv_device_kind;
/** AUTO: the GPU that is current on the calling thread, if this build can use it, else the CPU; the
 *  reason is kept (tconv_plan_explain). Where all kernels that options.kernels names are the CPU's,
 *  AUTO is the CPU and CUDA is not started. */
enum { TCONV_DEVICE_AUTO = 0, TCONV_DEVICE_CPU = 1, TCONV_DEVICE_CUDA = 2 };

/** What f32 multiply-adds may be made of. */
typedef int32_t tconv_math;
enum { TCONV_MATH_STRICT = 0, TCONV_MATH_TF32 = 1, TCONV_MATH_3XTF32 = 2 };

enum { TCONV_NO_WORKSPACE = -1 };

/** Receives one line (no newline) for each plan, and where a run that should be verified is not;
 * may be called from any thread that makes plans, or runs them verified. */
typedef void (*tconv_log_function)(const char* line, void* user);

typedef struct tconv_options {
  size_t struct_size;
  tconv_device_kind device;
  const char* kernels;     /**< "name[,name]": only these rows; NULL: all */
  const char* tile;        /**< only this tile; NULL: all */
  int64_t workspace_limit; /**< bytes; 0: no limit; TCONV_NO_WORKSPACE: none at all */
  tconv_math math;
  int32_t allow_nondeterministic;
  int32_t prepacked_filters; /**< tensors.filters is what tconv_prepack wrote */
  int32_t verify;            /**< each run compares with the reference (and synchronises) */
  int32_t threads;           /**< of CPU rows; 0: one per core */
  tconv_log_function log;    /**< NULL: stderr if TCONV_LOG=1, else nothing */
  void* log_user;
  const char* device_model; /**< plan for a GPU that is not here: h200, h100, a100, l4, rtx4090, or
                               a file with the JSON of tconv_devices; NULL: for one that is. Such a
                                 plan can be explained, but not run (TCONV_UNSUPPORTED) */
} tconv_options;

/** The chosen kernel, its tile and prepared state. Holds no filter values. A plan for CUDA belongs
 * to the device that was current when it was made. */
typedef struct tconv_plan tconv_plan;

/** Chooses: a pure function of problem, options and device. `options` may be NULL.
 *  TCONV_UNSUPPORTED lists every row's reason. */
TCONV_API tconv_status tconv_plan_create(const tconv_problem* problem, const tconv_options* options,
                                         tconv_plan** plan);
/** The same row, tile, options, packed filters and pads for `n` images of `h` x `w` input pixels:
 * the output's size is what the pads of `plan` leave. Takes microseconds. TCONV_UNSUPPORTED with
 * the reason: a row whose code or packed order depends on the sizes, or tensors with strides of
 * their own. */
TCONV_API tconv_status tconv_plan_resized(const tconv_plan* plan, int64_t n, int64_t h, int64_t w,
                                          tconv_plan** resized);
TCONV_API void tconv_plan_destroy(tconv_plan* plan);

TCONV_API const char* tconv_plan_kernel(const tconv_plan* plan);
TCONV_API const char* tconv_plan_tile(const tconv_plan* plan);
/** TCONV_DEVICE_CPU or TCONV_DEVICE_CUDA. */
TCONV_API tconv_device_kind tconv_plan_device(const tconv_plan* plan);
/** Model time in microseconds; its order matters, not its value. */
TCONV_API double tconv_plan_estimate_us(const tconv_plan* plan);
/** Bytes of workspace that each run in flight needs, 256-byte aligned; 0: none. */
TCONV_API size_t tconv_plan_workspace_bytes(const tconv_plan* plan);
/** Bytes of workspace that no plan resized to `n`, `h`, `w` or less needs more than. Declines like
 *  tconv_plan_resized. */
TCONV_API tconv_status tconv_plan_workspace_bytes_upto(const tconv_plan* plan, int64_t n, int64_t h,
                                                       int64_t w, size_t* bytes);
/** Bytes that tconv_prepack writes, 64-byte aligned; 0: the row reads the filters as they are. */
TCONV_API size_t tconv_plan_packed_filter_bytes(const tconv_plan* plan);
/** Bytes held beside the caller's memory (a vendor's code and constants), as far as known. */
TCONV_API size_t tconv_plan_device_bytes(const tconv_plan* plan);

/** The decision: the row chosen, every other row with reason, estimate, share of the roofline. */
TCONV_API tconv_status tconv_plan_explain(const tconv_plan* plan, tconv_text_format format,
                                          char** text);
/** What a run of the plan will do, as far as its row predicts it: multiply-adds issued and useful,
 *  bytes by level, waves, time. Model numbers. */
TCONV_API tconv_status tconv_plan_counters(const tconv_plan* plan, tconv_text_format format,
                                           char** text);
/** The taps and products that make output (n, p, q, k). `input` and `filters` (host memory, in the
 *  problem's order) may both be NULL: then without values. */
TCONV_API tconv_status tconv_plan_explain_at(const tconv_plan* plan, const void* input,
                                             const void* filters, int64_t n, int64_t p, int64_t q,
                                             int64_t k, tconv_text_format format, char** text);

/** Rewrites filters (in the problem's order) into the row's own order. Only for plans made with
 *  prepacked_filters; asynchronous on `stream`, except on the CPU. */
TCONV_API tconv_status tconv_prepack(const tconv_plan* plan, const void* filters, void* packed,
                                     size_t packed_bytes, void* stream);

/* ---- Running ------------------------------------------------------------------------------- */

/** The caller's memory: on the plan's device, except where a function says host memory. A *_bytes
 * of 0 is not checked; any other must be at least (bias and slopes: exactly) what
 * tconv_problem_get_info says, so that a wrong shape is refused. */
typedef struct tconv_tensors {
  size_t struct_size;
  const void* input;
  size_t input_bytes;
  const void* filters;
  size_t filters_bytes;
  const void* bias; /**< [out_c], iff has_bias */
  size_t bias_bytes;
  const void* slopes; /**< [out_c], f32 (f64 if dtype is f64), iff the activation is PRELU */
  size_t slopes_bytes;
  const void* residual; /**< like output and may be the output itself, iff has_residual */
  size_t residual_bytes;
  void* output;
  size_t output_bytes;
  void* workspace; /**< 256-byte aligned, uninitialised, reusable in stream order */
  size_t workspace_bytes;
} tconv_tensors;

/** Enqueues on `stream` (a cudaStream_t; ignored on the CPU, where the call is synchronous) and
 *  returns. Allocates nothing and never synchronises, except with options.verify or TCONV_VERIFY=1.
 *  TCONV_INVALID: a pointer is null, misaligned or too small; TCONV_MISMATCH: verification failed.
 *  TCONV_DEVICE_ERROR: another device is current than the plan's (it is not switched), or a CUDA
 * error was pending before the call (it is reported, not cleared). A verified run on CUDA copies
 * the whole tensors to the host; while `stream` is captured into a graph it is not verified, and
 * the log says so. */
TCONV_API tconv_status tconv_run(const tconv_plan* plan, const tconv_tensors* tensors,
                                 void* stream);

/** A convenience for programs: runs once on tensors in host memory, whatever the plan's device.
 *  Synchronous. Allocates the workspace (the caller's is not used) and, on CUDA, device memory for
 * all tensors, for this call alone; copies in, runs on the legacy default stream, copies the output
 * back. The filters are in the problem's order: a plan with prepacked_filters packs them here. */
TCONV_API tconv_status tconv_run_host(const tconv_plan* plan, const tconv_tensors* tensors);
/** The same with `samples` times `runs` runs; `us_per_run` (NULL, or room for `samples` numbers)
 * gets the time of one run in each sample in microseconds, by CUDA events or the host's clock;
 * copies and packing are not counted. The output holds the last run's. */
TCONV_API tconv_status tconv_time_host(const tconv_plan* plan, const tconv_tensors* tensors,
                                       int32_t samples, int32_t runs, double* us_per_run);

/* ---- Trust --------------------------------------------------------------------------------- */

/** Called with the share done, 0..1, from the calling thread. */
typedef void (*tconv_progress_function)(double done, void* user);

typedef int32_t tconv_verify_scope;
enum { TCONV_VERIFY_AUTO = 0, TCONV_VERIFY_WHOLE = 1, TCONV_VERIFY_SAMPLE = 2 };

typedef struct tconv_verify_options {
  size_t struct_size;
  tconv_verify_scope scope; /**< auto: whole where the reference needs under about 2 s */
  int32_t threads;
  uint64_t seed; /**< of the random part of a sample */
  tconv_progress_function progress;
  void* progress_user;
  tconv_math math; /**< what f32 multiply-adds may have been made of: the bound grows with it */
} tconv_verify_options;

typedef struct tconv_verify_report {
  size_t struct_size;
  int32_t whole;               /**< 1: every element, 0: a stratified sample */
  int64_t checked, total;      /**< elements */
  int64_t mismatches;          /**< outside the bound */
  double largest_bound;        /**< the largest bound on |sum - exact| of any element checked */
  double worst_ratio;          /**< largest |got - expected| in units of what is allowed there */
  int64_t n, p, q, k;          /**< the first mismatch in memory order, else the worst element */
  double expected, got, bound; /**< there; bound: before the rounding to the output's type */
} tconv_verify_report;

/** Compares tensors.output (host memory) with the reference evaluated exactly in f64. The bound is
 *  derived from the length of the sum and the types (docs/verification.md). TCONV_MISMATCH fills
 *  the report and puts coordinates, expected, got and bound in the message. The residual must still
 *  hold its values. */
TCONV_API tconv_status tconv_verify(const tconv_problem* problem, const tconv_tensors* tensors,
                                    const tconv_verify_options* options,
                                    tconv_verify_report* report);

/** How the outputs of two plans differ. */
typedef struct tconv_comparison {
  size_t struct_size;
  int64_t total, differ; /**< elements; NaN is NaN's equal, -0 is 0's */
  double worst;          /**< the largest distance of two elements */
  double allowed;        /**< what it may be; infinite where nothing bounds it */
  int64_t n, p, q, k;    /**< the first that differs, in memory order */
  double got, other;     /**< there */
} tconv_comparison;

/** Runs two plans of one problem on tensors in host memory, like tconv_run_host, and compares all
 *  elements of what they wrote on the plans' device: nothing is sampled and, on CUDA, no result is
 *  copied. tensors.output is not used. `other` NULL: `plan` once more. Plans of the same row and
 *  tile must give the same values unless they may be nondeterministic; others may be as far apart
 *  as two right results can be (docs/verification.md). TCONV_MISMATCH fills `comparison` and has a
 *  message like tconv_verify's. */
TCONV_API tconv_status tconv_compare_host(const tconv_plan* plan, const tconv_plan* other,
                                          const tconv_tensors* tensors,
                                          tconv_comparison* comparison);

/** Names the usual mistakes (padding side, flipped taps, swapped axes or channels, filter order, a
 *  group off, ...) that would have produced tensors.output exactly. JSON:
 *  {"right": bool, "mistakes": [{"name", "sentence"}]}. */
TCONV_API tconv_status tconv_diagnose(const tconv_problem* problem, const tconv_tensors* tensors,
                                      const tconv_verify_options* options, tconv_text_format format,
                                      char** text);

/* ---- What is there ------------------------------------------------------------------------- */

/** The kernel table; JSON: [{"name", "device", "tiles", "dtypes", "layouts"}]. */
TCONV_API tconv_status tconv_kernels(tconv_text_format format, char** text);
/** The devices, and why there is no GPU where there is none. JSON: {"devices": [...], "cuda":
 * "why"}, with all facts that the planner uses: options.device_model takes it. */
TCONV_API tconv_status tconv_devices(tconv_text_format format, char** text);

#ifdef __cplusplus
}
#endif
#endif /* TCONV_TCONV_C_H_ */
