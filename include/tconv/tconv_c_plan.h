/* SPDX-License-Identifier: Apache-2.0
 *
 * tconv_c_plan.h: what is there, the plan, and running it. Part of tconv_c.h. */
#ifndef TCONV_TCONV_C_PLAN_H_
#define TCONV_TCONV_C_PLAN_H_

#include "tconv_c_problem.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- What is there ------------------------------------------------------------------------- */

/** The kernel table; JSON: [{"name", "device", "tiles", "dtypes", "layouts", "border",
 * "resizable"}], and "fixed_size", why, where plans cannot be resized. border: what becomes of
 * pixels beyond the input's border: "skipped" (no product, as the definition says), "zeros"
 * (multiplied: an infinite or NaN weight gives NaN there) or "unknown" (a vendor's). */
TCONV_API tconv_status tconv_kernels(tconv_text_format format, char** text);
/** The devices, and why there is no GPU where there is none. JSON: {"devices": [...], "cuda":
 * "why"}, with all facts that the planner uses: options.device_model takes it. */
TCONV_API tconv_status tconv_devices(tconv_text_format format, char** text);

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

/** Calls body(context, index) once for each index in [0, count), on any threads, in any order, at
 * once or one after the other, and returns when all have returned. `body` neither throws nor
 * blocks.
 */
typedef void (*tconv_parallel_for)(void* user, int32_t count,
                                   void (*body)(void* context, int32_t index), void* context);

/** Called with the share done, 0..1, from the calling thread (where parallel_for is the caller's:
 * from one of its threads). */
typedef void (*tconv_progress_function)(double done, void* user);

typedef struct tconv_options {
  size_t struct_size;
  tconv_device_kind device;
  const char* kernels;     /**< "name[,name]": only these families; NULL: all */
  const char* tile;        /**< only this tile; NULL: all */
  int64_t workspace_limit; /**< bytes; 0: no limit; TCONV_NO_WORKSPACE: none at all */
  tconv_math math;
  int32_t allow_nondeterministic;
  int32_t prepacked_filters; /**< tensors.filters is what tconv_prepack wrote */
  int32_t verify;            /**< each run compares with the reference (and synchronises) */
  int32_t threads;           /**< of the CPU's families; 0: one per core. Any number gives the
                                same bits */
  tconv_log_function log;    /**< NULL: stderr if TCONV_LOG=1, else nothing */
  void* log_user;
  const char* device_model; /**< plan for a GPU that is not here: h200, h100, a100, l4, rtx4090,
                               rtx5090, b200, a10, t4, gb10, or a file with the JSON of
                               tconv_devices; NULL: for one that is. Such a
                                 plan can be explained, but not run (TCONV_UNSUPPORTED) */
  tconv_parallel_for parallel_for; /**< an engine's own threads, of which a run of a CPU's family
                                      takes up to `threads`; called from tconv_run on its thread.
                                      NULL: the library's, one pool for the whole process, asleep
                                      between runs; runs that overlap never wait for each other's */
  void* parallel_user;
  tconv_progress_function progress; /**< of each run of a CPU's family, called between its tasks;
                                       runs at once call it at once. NULL: not called */
  void* progress_user;
} tconv_options;

/** The chosen kernel, its tile and prepared state. Holds no filter values. A plan for CUDA belongs
 * to the device that was current when it was made. */
typedef struct tconv_plan tconv_plan;

/** Chooses: a pure function of problem, options and device. `options` may be NULL.
 *  TCONV_UNSUPPORTED lists every family's reason, and so does TCONV_DEVICE_ERROR, where a family
 *  that takes the problem failed on the device and no other can be used. */
TCONV_API tconv_status tconv_plan_create(const tconv_problem* problem, const tconv_options* options,
                                         tconv_plan** plan);
/** The same family, tile, options, packed filters and pads for `n` images of `h` x `w` input
 * pixels: the output's size is what the pads of `plan` leave. Takes well under a millisecond.
 * TCONV_UNSUPPORTED with the reason: a family whose code or packed order depends on the sizes
 * ("fixed_size" in tconv_kernels), sizes that its tile does not take, or tensors with strides of
 * their own. */
TCONV_API tconv_status tconv_plan_resized(const tconv_plan* plan, int64_t n, int64_t h, int64_t w,
                                          tconv_plan** resized);
TCONV_API void tconv_plan_destroy(tconv_plan* plan);

/** The plan as text, for tconv_plan_load: JSON with format and library version, problem, options,
 *  GPU, family, tile, and of a vendor's family its engine, knobs and version. To be freed with
 *  tconv_text_free. Function pointers of the options are not in it. */
TCONV_API tconv_status tconv_plan_save(const tconv_plan* plan, char** text);
/** The plan that `text` says, without a choice: for the CPU, the GPU that is current, or its device
 *  model. `callbacks`: NULL, or log and parallel_for with their users, and all else zero.
 *  TCONV_INVALID: no such text. TCONV_UNSUPPORTED: the plan is stale; the message has each field
 *  that differs here (version, device.name, kernel, tile, vendor, ...): make a new one. */
TCONV_API tconv_status tconv_plan_load(const char* text, const tconv_options* callbacks,
                                       tconv_plan** plan);

/** The problem of the plan, a resized one's too, as a handle of its own: to be destroyed, and
 *  valid without the plan. */
TCONV_API tconv_status tconv_plan_problem(const tconv_plan* plan, tconv_problem** problem);
TCONV_API const char* tconv_plan_kernel(const tconv_plan* plan);
TCONV_API const char* tconv_plan_tile(const tconv_plan* plan);
/** TCONV_DEVICE_CPU or TCONV_DEVICE_CUDA. */
TCONV_API tconv_device_kind tconv_plan_device(const tconv_plan* plan);
/** Model time in microseconds; its order matters, not its value. 0: the family knows none. */
TCONV_API double tconv_plan_estimate_us(const tconv_plan* plan);
/** Bytes of workspace that each run in flight needs, 256-byte aligned; 0: none. */
TCONV_API size_t tconv_plan_workspace_bytes(const tconv_plan* plan);
/** Bytes of workspace that no plan resized to `n`, `h`, `w` or less needs more than. Declines like
 *  tconv_plan_resized. */
TCONV_API tconv_status tconv_plan_workspace_bytes_upto(const tconv_plan* plan, int64_t n, int64_t h,
                                                       int64_t w, size_t* bytes);
/** Bytes that tconv_prepack writes, 64-byte aligned; 0: the family reads the filters as they are.
 *  The first 256 are a header with the key. */
TCONV_API size_t tconv_plan_packed_filter_bytes(const tconv_plan* plan);
/** Names the order of the plan's packed filters, in printable ASCII of at most 239 characters: what
 *  tconv_prepack of one plan wrote, every plan with the same key takes; with other keys the bytes
 *  differ. "" where nothing is packed. Of a family whose order is not a matter of strides (simd), a
 *  plan with prepacked_filters packs numbers first, which takes some packings' time, and above 256
 * MiB of filters the key also names family, tile and problem. Owned by the plan. */
TCONV_API const char* tconv_plan_packed_key(const tconv_plan* plan);
/** Bytes held beside the caller's memory (a vendor's code and constants), as far as known. */
TCONV_API size_t tconv_plan_device_bytes(const tconv_plan* plan);

/** The decision: the family chosen, every other family with reason, estimate, share of the
 * roofline. */
TCONV_API tconv_status tconv_plan_explain(const tconv_plan* plan, tconv_text_format format,
                                          char** text);
/** What a run of the plan will do, as far as its family predicts it: multiply-adds issued and
 * useful, bytes by level, waves, time. Model numbers. */
TCONV_API tconv_status tconv_plan_counters(const tconv_plan* plan, tconv_text_format format,
                                           char** text);
/** The taps and products that make output (n, p, q, k). `input` and `filters` (host memory, in the
 *  problem's order) may both be NULL: then without values. Of a tap's products the first 8 are
 *  listed, and 8 more that are infinite or NaN. JSON has no infinity and no NaN: they are the
 * strings "inf", "-inf" and "nan", here and in all other JSON of the library and its program. */
TCONV_API tconv_status tconv_plan_explain_at(const tconv_plan* plan, const void* input,
                                             const void* filters, int64_t n, int64_t p, int64_t q,
                                             int64_t k, tconv_text_format format, char** text);

/** Rewrites filters (in the problem's order) into the family's own order, behind a header with
 *  tconv_plan_packed_key. Only for plans made with prepacked_filters; asynchronous on `stream`,
 *  except on the CPU. Captured into a graph, it must not outlive the plan: the header is copied
 * from there. TCONV_INVALID on the CPU, where `filters` are packed already. */
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
 *  TCONV_INVALID: a pointer is null, misaligned or too small, or the filters are packed under
 *  another key than the plan's, or packed where they should not be (seen on the CPU and in verified
 *  runs; otherwise what lies in a GPU's memory is not looked at, and compare the keys yourself);
 *  TCONV_MISMATCH: verification failed; TCONV_UNSUPPORTED: a vendor's packing that cannot be undone
 *  cannot be verified.
 *  TCONV_DEVICE_ERROR: another device is current than the plan's (it is not switched), or a CUDA
 * error was pending before the call (it is reported, not cleared). A verified run on CUDA copies
 * the whole tensors to the host; while `stream` is captured into a graph it is not verified, and
 * the log says so. */
TCONV_API tconv_status tconv_run(const tconv_plan* plan, const tconv_tensors* tensors,
                                 void* stream);

/** Times tconv_run on the caller's memory: `samples` times `runs` runs; us_per_run[i] becomes the
 *  time of one run of sample i in microseconds, by CUDA events on `stream` or the host's clock.
 *  Synchronous. Checked as tconv_run does; TCONV_UNSUPPORTED while `stream` is captured. */
TCONV_API tconv_status tconv_time(const tconv_plan* plan, const tconv_tensors* tensors,
                                  void* stream, int32_t samples, int32_t runs, double* us_per_run);

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

#ifdef __cplusplus
}
#endif
#endif /* TCONV_TCONV_C_PLAN_H_ */
