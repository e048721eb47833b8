//go:build linux && (amd64 || arm64) && !portable

// This file lets the package declare functions without a body: runtimeArgs,
// runtimeEnvs.
