// SPDX-License-Identifier: Apache-2.0
// frontend.h: NVIDIA's header-only cudnn_frontend, as far as it serves here. Included by
// library.cpp alone, which defines cudnn_frontend::cudnn_dlhandle.
//
// Of cudnn_frontend its classes over single descriptors serve, not its class Graph: that one takes
// eight times as long to compile, opens the CUDA runtime and NVRTC by name, and prints.
#pragma once

// Only this library has these classes: another version of them in the same program, linked
// statically, would otherwise be the same symbols.
#define cudnn_frontend tconv_cudnn_frontend
#define NV_CUDNN_FRONTEND_USE_DYNAMIC_LOADING
#define NV_CUDNN_FRONTEND_DISABLE_LOGGING
#define CUDNN_FRONTEND_SKIP_JSON_LIB
#include <cudnn.h>
#include <cudnn_frontend_ExecutionPlan.h>
#include <cudnn_frontend_Heuristics.h>
#include <cudnn_frontend_Operation.h>
#include <cudnn_frontend_OperationGraph.h>
#include <cudnn_frontend_VariantPack.h>

namespace tconv::host {
namespace fe = cudnn_frontend;
}
