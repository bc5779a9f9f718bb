/* SPDX-License-Identifier: Apache-2.0
 *
 * tconv_c_verify.h: is a result right? Part of tconv_c.h. */
#ifndef TCONV_TCONV_C_VERIFY_H_
#define TCONV_TCONV_C_VERIFY_H_

#include "tconv_c_plan.h"

#ifdef __cplusplus
extern "C" {
#endif

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
  int64_t overflowed;          /**< right elements that are infinite or NaN (inf - inf) because the
                                  sum overflows on the way in some order */
  int64_t zero_padded; /**< of the mismatches: NaN where a weight that is infinite or NaN meets
                          pixels beyond the border, as kernels give that multiply zeros there;
                          tconv_kernels says which do */
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
  double worst;          /**< the distance that is the largest in units of what is allowed */
  double allowed;        /**< what it may be, there */
  int64_t n, p, q, k; /**< in memory order: the first wrong element, else the first that differs */
  double got, other;  /**< there */
  int64_t wrong;      /**< farther apart than two right results can be, or only one is NaN */
  int64_t one_nan;    /**< of the wrong: only one is NaN */
  int64_t unbounded;  /**< of those that differ: their sums may overflow on the way in some order,
                         so that anything is right */
} tconv_comparison;

/** Runs two plans of one problem on tensors in host memory, like tconv_run_host, and compares all
 *  elements of what they wrote on the plans' device: nothing is sampled and, on CUDA, no result is
 *  copied. tensors.output is not used. `other` NULL: `plan` once more. Plans of the same family and
 *  tile must give the same values unless they may be nondeterministic; others may be as far apart
 *  as two right results of each element can be, which a third run tells, with the operands'
 *  magnitudes (docs/verification.md). TCONV_MISMATCH fills `comparison` and has a
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
