/* SPDX-License-Identifier: Apache-2.0
 *
 * tconv_c_verify.h: is a result right? Part of tconv_c.h. */
#ifndef TCONV_TCONV_C_VERIFY_H_
#define TCONV_TCONV_C_VERIFY_H_

#include "tconv_c_plan.h"

#ifdef __cplusplus
extern "C" {
#endif

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
 *  copied. tensors.output is not used. `other` NULL: `plan` once more. Plans of the same family and
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

#ifdef __cplusplus
}
#endif
#endif /* TCONV_TCONV_C_VERIFY_H_ */
