// SPDX-License-Identifier: Apache-2.0
// c_api.cpp: the C boundary. Translates structs and exceptions; decides nothing.
#include <cstring>
#include <utility>

#include "src/host/c_api/c_translate.h"
#include "src/host/c_api/guarded.h"
#include "src/host/device/device_models.h"
#include "src/host/explain/explain.h"
#include "src/host/plan/devices.h"
#include "src/host/plan/log.h"
#include "src/host/plan/plan.h"
#include "src/host/plan/reasons.h"
#include "src/host/plan/saved_plan.h"
#include "src/host/problem/errors.h"
#include "src/host/run/compare_plans.h"
#include "src/host/run/run.h"
#include "src/host/verify/diagnose.h"
#include "src/host/verify/verify.h"
#include "tconv/printable.h"
#include "tconv/tconv_c.h"

struct tconv_problem {
  tconv::host::Problem problem;
};

struct tconv_plan {
  tconv::host::Plan plan;
};

namespace tconv::host {
namespace {

char* new_text(const std::string& text) {
  auto* copy = new char[text.size() + 1];
  std::memcpy(copy, text.c_str(), text.size() + 1);
  return copy;
}

/// The JSON switch, checked before anything is computed.
bool is_json(tconv_text_format format) {
  if (format != TCONV_TEXT && format != TCONV_JSON) {
    refuse("format", format, "TCONV_TEXT (0) or TCONV_JSON (1)");
  }
  return format == TCONV_JSON;
}

template <typename Make>
tconv_status text_call(tconv_text_format format, char** text, Make&& make) noexcept {
  return guarded([&] {
    need(text, "text");
    const bool json = is_json(format);
    const std::string made = make(json);
    *text = new_text(json ? made : printable(made));
  });
}

void log_plan(const Plan& plan) {
  if (!log_is_heard(plan.options())) return;
  const std::string& name = plan.problem().name();
  std::string line = "tconv: " + (name.empty() ? "" : name + ": ") + plan.problem().key() + " -> " +
                     plan.kernel().name + "/" + plan.tile() + " on " + plan.device().name;
  if (!plan.device_note().empty()) line += " (no GPU: " + plan.device_note() + ")";
  for (const ReasonGroup& group : reason_groups(plan.candidates())) {
    if (group.reason.empty()) continue;
    line += std::string("; ") + group.kernel->name + ": " + group.reason;
  }
  log_line(plan.options(), line);
}

tconv_plan* new_plan(Plan plan) {
  auto made = std::make_unique<tconv_plan>(tconv_plan{std::move(plan)});
  log_plan(made->plan);
  return made.release();
}

}  // namespace
}  // namespace tconv::host

using namespace tconv::host;

extern "C" {

const char* tconv_last_error(void) { return last_error().c_str(); }

const char* tconv_version(void) { return TCONV_VERSION; }

void tconv_text_free(char* text) { delete[] text; }

// ---- Problem ---------------------------------------------------------------------------------

tconv_status tconv_problem_create(const tconv_problem_desc* desc, tconv_problem** problem) {
  return guarded([&] {
    need(problem, "problem");
    *problem = new tconv_problem{Problem(to_host(need(desc, "desc")))};
  });
}

tconv_status tconv_problem_from_key(const char* key, tconv_problem** problem) {
  return guarded([&] {
    need(problem, "problem");
    *problem = new tconv_problem{Problem(parse_key(&need(key, "key")))};
  });
}

void tconv_problem_destroy(tconv_problem* problem) { delete problem; }

const char* tconv_problem_key(const tconv_problem* problem) {
  return problem == nullptr ? "" : problem->problem.key().c_str();
}

tconv_status tconv_problem_get_desc(const tconv_problem* problem, tconv_problem_desc* desc) {
  return guarded([&] {
    tconv_problem_desc known = received(need(desc, "desc"), "desc");
    write_desc(need(problem, "problem").problem.desc(), known);
    deliver(known, *desc);
  });
}

tconv_status tconv_problem_get_info(const tconv_problem* problem, tconv_problem_info* info) {
  return guarded([&] {
    received(need(info, "info"), "info");
    const Problem& p = need(problem, "problem").problem;
    auto known = blank<tconv_problem_info>();
    known.useful_macs = p.useful_macs();
    known.least_bytes = p.least_bytes();
    known.input_bytes = p.input_bytes();
    known.filter_bytes = p.filter_bytes();
    known.bias_bytes = p.bias_bytes();
    known.slopes_bytes = p.slopes_bytes();
    known.residual_bytes = p.residual_bytes();
    known.output_bytes = p.output_bytes();
    deliver(known, *info);
  });
}

tconv_status tconv_problem_describe(const tconv_problem* problem, tconv_text_format format,
                                    char** text) {
  return text_call(format, text,
                   [&](bool json) { return describe(need(problem, "problem").problem, json); });
}

// ---- Plan ------------------------------------------------------------------------------------

tconv_status tconv_plan_create(const tconv_problem* problem, const tconv_options* options,
                               tconv_plan** plan) {
  return guarded([&] {
    need(plan, "plan");
    const Options host_options = options == nullptr ? Options{} : to_host(*options);
    *plan = new_plan(make_plan(need(problem, "problem").problem, host_options));
  });
}

tconv_status tconv_plan_resized(const tconv_plan* plan, int64_t n, int64_t h, int64_t w,
                                tconv_plan** resized_plan) {
  return guarded([&] {
    need(resized_plan, "resized");
    *resized_plan = new_plan(resized(need(plan, "plan").plan, n, h, w));
  });
}

void tconv_plan_destroy(tconv_plan* plan) { delete plan; }

tconv_status tconv_plan_save(const tconv_plan* plan, char** text) {
  return guarded([&] {
    need(text, "text");
    *text = new_text(save(need(plan, "plan").plan));
  });
}

tconv_status tconv_plan_load(const char* text, const tconv_options* callbacks, tconv_plan** plan) {
  return guarded([&] {
    need(plan, "plan");
    const Options taken = callbacks == nullptr ? Options{} : callbacks_of(*callbacks);
    *plan = new_plan(load_plan(&need(text, "text"), taken));
  });
}

tconv_status tconv_plan_problem(const tconv_plan* plan, tconv_problem** problem) {
  return guarded([&] {
    need(problem, "problem");
    *problem = new tconv_problem{need(plan, "plan").plan.problem()};
  });
}

const char* tconv_plan_kernel(const tconv_plan* plan) {
  return plan == nullptr ? "" : plan->plan.kernel().name;
}
const char* tconv_plan_tile(const tconv_plan* plan) {
  return plan == nullptr ? "" : plan->plan.tile();
}
tconv_device_kind tconv_plan_device(const tconv_plan* plan) {
  return plan == nullptr ? TCONV_DEVICE_AUTO
                         : static_cast<tconv_device_kind>(plan->plan.device().kind);
}
double tconv_plan_estimate_us(const tconv_plan* plan) {
  return plan == nullptr ? 0 : plan->plan.estimate_us();
}
size_t tconv_plan_workspace_bytes(const tconv_plan* plan) {
  return plan == nullptr ? 0 : plan->plan.workspace_bytes();
}
tconv_status tconv_plan_workspace_bytes_upto(const tconv_plan* plan, int64_t n, int64_t h,
                                             int64_t w, size_t* bytes) {
  return guarded([&] {
    need(bytes, "bytes");
    *bytes = workspace_bytes_upto(need(plan, "plan").plan, n, h, w);
  });
}
size_t tconv_plan_packed_filter_bytes(const tconv_plan* plan) {
  return plan == nullptr ? 0 : plan->plan.packed_filter_bytes();
}
const char* tconv_plan_packed_key(const tconv_plan* plan) {
  return plan == nullptr ? "" : plan->plan.packed_key();
}
size_t tconv_plan_device_bytes(const tconv_plan* plan) {
  return plan == nullptr ? 0 : plan->plan.state().device_bytes;
}

tconv_status tconv_plan_explain(const tconv_plan* plan, tconv_text_format format, char** text) {
  return text_call(format, text, [&](bool json) { return explain(need(plan, "plan").plan, json); });
}

tconv_status tconv_plan_counters(const tconv_plan* plan, tconv_text_format format, char** text) {
  return text_call(format, text,
                   [&](bool json) { return explain_counters(need(plan, "plan").plan, json); });
}

tconv_status tconv_plan_explain_at(const tconv_plan* plan, const void* input, const void* filters,
                                   int64_t n, int64_t p, int64_t q, int64_t k,
                                   tconv_text_format format, char** text) {
  return text_call(format, text, [&](bool json) {
    return explain_at(need(plan, "plan").plan, input, filters, n, p, q, k, json);
  });
}

tconv_status tconv_prepack(const tconv_plan* plan, const void* filters, void* packed,
                           size_t packed_bytes, void* stream) {
  return guarded([&] { prepack(need(plan, "plan").plan, filters, packed, packed_bytes, stream); });
}

tconv_status tconv_run(const tconv_plan* plan, const tconv_tensors* tensors, void* stream) {
  return guarded([&] {
    const tconv_tensors given = received(need(tensors, "tensors"), "tensors");
    run(need(plan, "plan").plan, to_host(given), stated_bytes(given), stream);
  });
}

tconv_status tconv_time(const tconv_plan* plan, const tconv_tensors* tensors, void* stream,
                        int32_t samples, int32_t runs, double* us_per_run) {
  return guarded([&] {
    const tconv_tensors given = received(need(tensors, "tensors"), "tensors");
    time_runs(need(plan, "plan").plan, to_host(given), stated_bytes(given), stream, samples, runs,
              us_per_run);
  });
}

tconv_status tconv_run_host(const tconv_plan* plan, const tconv_tensors* tensors) {
  return tconv_time_host(plan, tensors, 1, 1, nullptr);
}

tconv_status tconv_time_host(const tconv_plan* plan, const tconv_tensors* tensors, int32_t samples,
                             int32_t runs, double* us_per_run) {
  return guarded([&] {
    const tconv_tensors given = received(need(tensors, "tensors"), "tensors");
    run_host(need(plan, "plan").plan, to_host(given), stated_bytes(given), samples, runs,
             us_per_run);
  });
}

// ---- Trust -----------------------------------------------------------------------------------

tconv_status tconv_verify(const tconv_problem* problem, const tconv_tensors* tensors,
                          const tconv_verify_options* options, tconv_verify_report* report) {
  return guarded([&] {
    const Problem& p = need(problem, "problem").problem;
    const tconv_tensors given = received(need(tensors, "tensors"), "tensors");
    received(need(report, "report"), "report");
    check_host_tensors(p, to_host(given), stated_bytes(given));
    const VerifyReport result = verify(p, to_host(given), to_host(options));
    deliver(to_c(result), *report);
    if (!result.right()) throw Mismatch(describe_mismatch(p, result));
  });
}

tconv_status tconv_compare_host(const tconv_plan* plan, const tconv_plan* other,
                                const tconv_tensors* tensors, tconv_comparison* comparison) {
  return guarded([&] {
    const Plan& p = need(plan, "plan").plan;
    const tconv_tensors given = received(need(tensors, "tensors"), "tensors");
    received(need(comparison, "comparison"), "comparison");
    const PlanComparison result =
        compare_host(p, other == nullptr ? p : other->plan, to_host(given), stated_bytes(given));
    deliver(to_c(result), *comparison);
    if (!result.right()) throw Mismatch(describe(p.problem(), result));
  });
}

tconv_status tconv_diagnose(const tconv_problem* problem, const tconv_tensors* tensors,
                            const tconv_verify_options* options, tconv_text_format format,
                            char** text) {
  return text_call(format, text, [&](bool json) {
    const Problem& p = need(problem, "problem").problem;
    const tconv_tensors given = received(need(tensors, "tensors"), "tensors");
    check_host_tensors(p, to_host(given), stated_bytes(given));
    return describe(diagnose(p, to_host(given), to_host(options)), json);
  });
}

// ---- What is there ---------------------------------------------------------------------------

tconv_status tconv_kernels(tconv_text_format format, char** text) {
  return text_call(format, text, list_kernels);
}

tconv_status tconv_devices(tconv_text_format format, char** text) {
  return text_call(format, text, [](bool json) {
    return list_devices(all_devices(json), cuda_absence(), json, gpu().seems_here());
  });
}

}  // extern "C"
